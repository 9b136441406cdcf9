//! TLS towards clients.

use std::sync::Arc;

use rustls::server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::{ClientCertificates, ServerTls};

/// `[tls]` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Certificate and key that rustls does not take.
    #[error("{0}")]
    Own(#[from] rustls::Error),
    /// A root of clients' certificates that is none.
    #[error("client_ca: {0}")]
    Clients(#[from] VerifierBuilderError),
}

/// Presents the configured certificate, and asks for the client's where roots of those are configured; HTTP/2 is offered
/// first.
///
/// # Errors
/// Certificates and a key that rustls does not take.
pub(crate) fn acceptor(tls: &ServerTls) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = match &tls.clients {
        Some(clients) => verifier(clients, &provider)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(tls.own.chain.clone(), tls.own.key.clone_key())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A certificate that is shown must be of one of the roots; whether one must be shown is configured.
fn verifier(
    clients: &ClientCertificates,
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in &clients.roots {
        roots.add(root.clone())?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let verifier = if clients.optional {
        builder.allow_unauthenticated().build()
    } else {
        builder.build()
    };
    Ok(verifier?)
}
