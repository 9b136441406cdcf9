//! New connections to a target.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::credential::ClientError;
use crate::config::Tls;
use crate::socket;

/// Time for TCP and TLS together: a target that takes longer is taken for away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        Ok(Self { host, port, tls })
    }

    /// A connection that is ready for its first request.
    pub(crate) async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ConnectError> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.open())
            .await
            .map_err(|_| ConnectError::Timeout)?
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>, ConnectError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(ConnectError::Tcp)?;
        socket::prepare(&tcp).map_err(ConnectError::Tcp)?;
        match &self.tls {
            None => handshake(TokioIo::new(tcp)).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), tcp).await.map_err(ConnectError::Tls)?;
                handshake(TokioIo::new(stream)).await
            }
        }
    }
}

async fn handshake<T>(io: T) -> Result<SendRequest<Full<Bytes>>, ConnectError>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(io).await.map_err(ConnectError::Http)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // The request that was on it, if any, sees the same and reports it.
            tracing::debug!(%error, "a connection to a target ended");
        }
    });
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
