//! Connections: TLS with the roots that are configured, and no longer a wait than that either.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tapedeck_config::ClickHouse;
use tokio::net::TcpStream;
use tower_service::Service;

/// Between two probes of a silent connection.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// ClickHouse closes idle connections after 3 s or more: one that it closes while a request is sent is a request lost.
const IDLE: Duration = Duration::from_secs(2);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why no connection can ever be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// `ca_file` cannot be read, or is no PEM.
    #[error("clickhouse.ca_file: {0}")]
    CaFile(#[source] rustls_pki_types::pem::Error),
    /// `ca_file` has no certificate.
    #[error("clickhouse.ca_file holds no certificate")]
    NoCertificate,
    /// A certificate is no root.
    #[error("clickhouse.ca_file: {0}")]
    Root(#[source] rustls::Error),
    /// This machine trusts nobody.
    #[error("this machine has no trusted roots; name ClickHouse's in clickhouse.ca_file")]
    NoRoots,
    /// The TLS library knows no version of the protocol.
    #[error("TLS: {0}")]
    Tls(#[source] rustls::Error),
}

/// The HTTP client that all endpoints share: it keeps connections by host and port.
pub(crate) fn client<B>(config: &ClickHouse) -> Result<Client<Timely, B>, ConnectError>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    let mut http = HttpConnector::new();
    http.set_keepalive(Some(KEEPALIVE));
    http.set_nodelay(true);
    http.set_connect_timeout(Some(config.connect_timeout));
    http.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls(config)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    let timely = Timely {
        connector,
        patience: config.connect_timeout,
    };
    Ok(Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .build(timely))
}

fn tls(config: &ClickHouse) -> Result<ClientConfig, ConnectError> {
    let mut roots = RootCertStore::empty();
    match &config.ca_file {
        Some(path) => {
            let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            for root in read.map_err(ConnectError::CaFile)? {
                roots.add(root).map_err(ConnectError::Root)?;
            }
            if roots.is_empty() {
                return Err(ConnectError::NoCertificate);
            }
        }
        None if config.urls().any(|url| url.scheme() == "https") => {
            // A root that this TLS library cannot use is one that it does not trust.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(ConnectError::NoRoots);
            }
        }
        None => {}
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ConnectError::Tls)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Waits for connection and TLS together no longer than it is told to: whoever accepts a connection and says nothing is as
/// far away as who does not accept it.
#[derive(Clone)]
pub(crate) struct Timely {
    connector: HttpsConnector<HttpConnector>,
    patience: Duration,
}

impl Service<Uri> for Timely {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connection, patience) = (self.connector.call(uri), self.patience);
        Box::pin(async move {
            match tokio::time::timeout(patience, connection).await {
                Ok(connected) => connected,
                Err(_) => Err(format!("no connection within {} ms", patience.as_millis()).into()),
            }
        })
    }
}
