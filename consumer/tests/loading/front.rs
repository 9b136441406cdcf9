//! A way to ClickHouse of a test's own, over TCP or TLS: it passes everything, and is cut where the test wants it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// Where the connection of an insert ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before ClickHouse has heard of it.
    BeforeHeaders,
    /// When it has the statement and some of the rows.
    InBody,
    /// When it has all of it.
    AfterBody,
    /// When it has answered, and the answer has not been passed on.
    BeforeAnswer,
}

/// The front, which goes when it is dropped.
pub(crate) struct Front {
    url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    plan: Mutex<Plan>,
    cuts: watch::Sender<usize>,
}

#[derive(Default)]
struct Plan {
    /// What happens to the inserts to come, and to how many.
    cut: Option<(Cut, usize)>,
    /// No connection gets through.
    closed: bool,
    inserts: usize,
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("no panic")
    }

    /// What is to become of an insert that begins.
    fn insert(&self) -> Option<Cut> {
        let mut plan = self.plan();
        plan.inserts += 1;
        let (cut, left) = plan.cut.as_mut().filter(|(_, left)| *left > 0)?;
        *left -= 1;
        Some(*cut)
    }
}

impl Front {
    /// In front of an HTTP interface.
    pub(crate) async fn start(behind: &Url) -> Self {
        Self::listen(behind, None).await
    }

    /// The same with TLS, and a certificate of `authority` for 127.0.0.1.
    pub(crate) async fn with_tls(behind: &Url, authority: &Authority) -> Self {
        Self::listen(behind, Some(TlsAcceptor::from(authority.server()))).await
    }

    async fn listen(behind: &Url, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let behind = (Ipv4Addr::LOCALHOST, behind.port().expect("a port"));
        let shared = Arc::new(Shared {
            plan: Mutex::default(),
            cuts: watch::Sender::new(0),
        });
        let told = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (shared, tls) = (Arc::clone(&told), tls.clone());
                if shared.plan().closed {
                    continue;
                }
                tokio::spawn(async move {
                    let server = TcpStream::connect(behind).await?;
                    match tls {
                        Some(tls) => relay(tls.accept(client).await?, server, &shared).await,
                        None => relay(client, server, &shared).await,
                    }
                });
            }
        });
        Self { url, shared, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next inserts are cut so.
    pub(crate) fn cut(&self, cut: Cut, inserts: usize) {
        self.shared.plan().cut = Some((cut, inserts));
    }

    /// What begins from now on passes whole.
    pub(crate) fn mend(&self) {
        self.shared.plan().cut = None;
    }

    /// No connection gets through any more, and those that are there end with their next piece.
    pub(crate) fn close(&self) {
        self.shared.plan().closed = true;
    }

    /// Inserts into `frames` that came here.
    pub(crate) fn inserts(&self) -> usize {
        self.shared.plan().inserts
    }

    /// Waits until so many inserts have been cut.
    pub(crate) async fn has_cut(&self, inserts: usize) {
        let mut cuts = self.shared.cuts.subscribe();
        cuts.wait_for(|cuts| *cuts >= inserts)
            .await
            .expect("the front is there");
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes requests and answers, until an end or a cut. Both connections are gone when it returns.
async fn relay<C>(client: C, server: TcpStream, shared: &Shared) -> std::io::Result<()>
where
    C: AsyncRead + AsyncWrite,
{
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = server.into_split();
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut cut = None;
    loop {
        tokio::select! {
            read = from_client.read(&mut asked) => {
                let mut piece = asked[..read?].to_vec();
                if piece.is_empty() || shared.plan().closed {
                    return Ok(());
                }
                let mut body = 0;
                if piece.starts_with(b"POST ") {
                    while position(&piece, b"\r\n\r\n").is_none() {
                        let read = from_client.read(&mut asked).await?;
                        piece.extend_from_slice(&asked[..read]);
                    }
                    body = position(&piece, b"\r\n\r\n").expect("just found") + 4;
                    let is_insert = position(&piece[..body], b"INSERT+INTO+frames+%28").is_some();
                    cut = if is_insert { shared.insert() } else { None };
                }
                match cut {
                    Some(Cut::BeforeHeaders) => return made(shared),
                    Some(Cut::InBody) if piece.len() > body => {
                        to_server.write_all(&piece[..body + (piece.len() - body) / 2]).await?;
                        return made(shared);
                    }
                    _ => to_server.write_all(&piece).await?,
                }
                if cut == Some(Cut::AfterBody) && piece.ends_with(b"0\r\n\r\n") {
                    return made(shared);
                }
            }
            read = from_server.read(&mut answered) => {
                let piece = &answered[..read?];
                if cut == Some(Cut::BeforeAnswer) {
                    return made(shared);
                }
                if piece.is_empty() {
                    return Ok(());
                }
                to_client.write_all(piece).await?;
                to_client.flush().await?;
            }
        }
    }
}

fn made(shared: &Shared) -> std::io::Result<()> {
    shared.cuts.send_modify(|cuts| *cuts += 1);
    Ok(())
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// A certificate authority that nobody trusts by default.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    fn server(&self) -> Arc<ServerConfig> {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.expect("certificate and key"))
    }
}
