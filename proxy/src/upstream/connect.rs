//! New connections to a target.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::uri::Authority;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::credential::ClientError;
use super::http2::Multiplexed;
use super::pool::{Alone, Opened};
use crate::config::Tls;
use crate::socket;

/// Time for TCP and TLS together: a target that takes longer is taken for away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// HTTP/2 over TLS (RFC 9113, section 3.2). Without TLS it is not spoken: nothing would tell whether the target does.
const HTTP2: &[u8] = b"h2";

/// Why there is no connection. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no connection within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout,
    #[error("TCP: {0}")]
    Tcp(#[source] io::Error),
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    #[error("HTTP: {0}")]
    Http(#[source] hyper::Error),
    #[error("it takes no requests on its connections")]
    NoStream,
    #[error("it does not start: {0}")]
    Start(#[source] io::Error),
}

/// Why a target cannot be connected to at all. Found at start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("a certificate of its `ca` cannot be a trust anchor: {0}")]
    Anchor(#[source] rustls::Error),
    #[error("its `client_certificate` cannot be presented: {0}")]
    Client(#[source] rustls::Error),
    #[error("its credential: {0}")]
    Credential(#[from] ClientError),
    #[error("the operating system has no trust anchors; give the target a `ca`")]
    NoNativeRoots,
    #[error("the host of its url cannot be in a certificate or a request")]
    Name,
}

/// Opens connections to one target.
pub(crate) struct Connector {
    host: String,
    port: u16,
    /// The target's own name: servers refuse a foreign one, to be safe from DNS rebinding.
    authority: Authority,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    /// For the host of `url` (http or https), trusting the certificates in `ca`, else the operating system's, and
    /// presenting `client` where the host asks for a certificate.
    pub(crate) fn new(
        url: &Url,
        ca: Option<&[CertificateDer<'static>]>,
        client: Option<&Tls>,
    ) -> Result<Self, TargetError> {
        let host = match url.host().ok_or(TargetError::Name)? {
            Host::Domain(name) => name.to_owned(),
            // Without the brackets that an address has in a URL.
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let port = url.port_or_known_default().ok_or(TargetError::Name)?;
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let authority = Authority::try_from(authority).map_err(|_| TargetError::Name)?;
        let tls = if url.scheme() == "https" {
            let name = ServerName::try_from(host.clone()).map_err(|_| TargetError::Name)?;
            let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(TargetError::Anchor)?
                .with_root_certificates(roots(ca)?);
            let mut config = match client {
                None => config.with_no_client_auth(),
                Some(Tls { chain, key }) => config
                    .with_client_auth_cert(chain.clone(), key.clone_key())
                    .map_err(TargetError::Client)?,
            };
            config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        Ok(Self {
            host,
            port,
            authority,
            tls,
        })
    }

    /// Host, and port where it is not the scheme's own.
    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A TCP connection, where nothing more is between it and HTTP/1.1.
    pub(super) async fn plain(&self) -> Option<Result<TcpStream, ConnectError>> {
        if self.tls.is_some() {
            return None;
        }
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.tcp()).await;
        Some(connected.unwrap_or(Err(ConnectError::Timeout)))
    }

    /// A connection that is ready for its first request, by HTTP/2 where the target prefers it.
    pub(super) async fn connect(&self) -> Result<Opened, ConnectError> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.open())
            .await
            .map_err(|_| ConnectError::Timeout)?
    }

    async fn tcp(&self) -> Result<TcpStream, ConnectError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(ConnectError::Tcp)?;
        socket::prepare(&tcp).map_err(ConnectError::Tcp)?;
        Ok(tcp)
    }

    async fn open(&self) -> Result<Opened, ConnectError> {
        let tcp = self.tcp().await?;
        match &self.tls {
            None => handshake(TokioIo::new(tcp)).await.map(Opened::Alone),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), tcp).await.map_err(ConnectError::Tls)?;
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
                let io = TokioIo::new(stream);
                match is_http2 {
                    true => Multiplexed::handshake(io)
                        .await
                        .map(Opened::Shared)
                        .map_err(ConnectError::Http),
                    false => handshake(io).await.map(Opened::Alone),
                }
            }
        }
    }
}

async fn handshake<T>(io: T) -> Result<Alone, ConnectError>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(io).await.map_err(ConnectError::Http)?;
    // No async block, which would have room for it twice: a connection may carry one silent stream for days.
    tokio::spawn(connection.map(|ended| {
        if let Err(error) = ended {
            // The request that was on it, if any, sees the same and reports it.
            tracing::debug!(%error, "a connection to a target ended");
        }
    }));
    Ok(sender)
}

fn roots(ca: Option<&[CertificateDer<'static>]>) -> Result<RootCertStore, TargetError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(certificates) => {
            for certificate in certificates {
                roots.add(certificate.clone()).map_err(TargetError::Anchor)?;
            }
        }
        None => {
            // Some stores hold certificates that rustls does not take; the others still count.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TargetError::NoNativeRoots);
            }
        }
    }
    Ok(roots)
}
