//! TLS in front of something that speaks none, and the other way round.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::task::AbortOnDropHandle;

/// Takes TLS off, as a load balancer before a server does, and keeps what came in.
pub(crate) struct Terminator {
    port: u16,
    seen: Arc<Mutex<Vec<u8>>>,
    _task: AbortOnDropHandle<()>,
}

impl Terminator {
    /// In front of the port `behind` of this machine.
    pub(crate) async fn start(config: Arc<ServerConfig>, behind: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let account = Arc::clone(&seen);
        let acceptor = TlsAcceptor::from(config);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, account) = (acceptor.clone(), Arc::clone(&account));
                tokio::spawn(async move {
                    // A client that does not trust us ends here.
                    let stream = acceptor.accept(stream).await?;
                    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, behind)).await?;
                    pass(stream, server, |bytes| {
                        account
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .extend_from_slice(bytes);
                    })
                    .await
                });
            }
        });
        Ok(Self {
            port,
            seen,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// `https://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Everything that clients have sent, as text.
    pub(crate) fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// Puts TLS on, so that a client which speaks none can talk to a server that wants it.
pub(crate) struct Originator {
    port: u16,
    _task: AbortOnDropHandle<()>,
}

impl Originator {
    /// In front of the port `server` of this machine, which must present a certificate for 127.0.0.1.
    pub(crate) async fn start(config: Arc<ClientConfig>, server: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let connector = TlsConnector::from(config);
        let name = ServerName::try_from("127.0.0.1")?;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (connector, name) = (connector.clone(), name.clone());
                tokio::spawn(async move {
                    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await?;
                    pass(stream, connector.connect(name, server).await?, |_| {}).await
                });
            }
        });
        Ok(Self {
            port,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Copies both ways until both have ended; `saw` is shown what the client sends before the server is.
async fn pass<C, S>(client: C, server: S, saw: impl Fn(&[u8])) -> std::io::Result<()>
where
    C: AsyncRead + AsyncWrite,
    S: AsyncRead + AsyncWrite,
{
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let asking = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            saw(&buffer[..read]);
            to_server.write_all(&buffer[..read]).await?;
        }
    };
    let answering = async {
        copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(asking, answering).map(drop)
}
