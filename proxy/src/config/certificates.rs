//! Certificates and keys from PEM files.

use std::path::Path;

use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tapedeck_config::Reader;

use super::raw::{RawServerTls, RawTls};

/// `[tls]`: what the proxy presents to clients, and what it asks of them.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// The proxy's own certificate.
    pub own: Tls,
    /// Whose certificates clients may show; without it none is asked for.
    pub clients: Option<ClientCertificates>,
}

/// Certificates of clients.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    /// Who issues them; at least one.
    pub roots: Vec<CertificateDer<'static>>,
    /// Whether a client without one is let in; default true.
    pub optional: bool,
}

impl ServerTls {
    pub(super) fn build(raw: RawServerTls<'_>, reader: &Reader) -> Option<Self> {
        let asks = raw.client_ca.is_present();
        if raw.client_certificates.is_present() && !asks {
            reader.problem(
                raw.client_certificates.span(),
                "`tls.client_certificates` is of no use without `tls.client_ca`",
            );
        }
        let roots = raw.client_ca.and_then(|path| certificates(&path)).optional();
        let optional = raw.client_certificates.and_then(is_optional).or(true);
        Some(Self {
            own: Tls::build(raw.own, reader)?,
            clients: roots.map(|roots| ClientCertificates { roots, optional }),
        })
    }
}

fn is_optional(written: String) -> Result<bool, String> {
    match written.as_str() {
        "optional" => Ok(true),
        "required" => Ok(false),
        _ => Err(format!("{written:?} must be \"optional\" or \"required\"")),
    }
}

/// A certificate to present, and its key. Debug shows no key.
#[derive(Debug, PartialEq, Eq)]
pub struct Tls {
    /// The chain, the proxy's own certificate first. Invariant: not empty, and its key is [`Tls::key`].
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key.
    pub key: PrivateKeyDer<'static>,
}

impl Clone for Tls {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl Tls {
    pub(super) fn build(raw: RawTls<'_>, reader: &Reader) -> Option<Self> {
        let chain = raw
            .certificate
            .and_then(|path| certificates(&path))
            .required("a PEM file with the proxy's certificate and those of its issuers");
        let key = raw.key.and_then(|path| {
            PrivateKeyDer::from_pem_file(&path).map_err(|error| pem_problem(&path, "private key", &error))
        });
        let key_span = key.span();
        let key = key.required("a PEM file with the private key of the certificate");
        let (chain, key) = (chain?, key?);
        let provider = rustls::crypto::ring::default_provider();
        match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
            Ok(_) => Some(Self { chain, key }),
            Err(error) => {
                reader.problem(key_span, format!("certificate and key do not go together: {error}"));
                None
            }
        }
    }
}

/// All certificates of a PEM file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(format!("the file {} holds no certificate", path.display())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(pem_problem(path, "certificate", &error)),
    }
}

fn pem_problem(path: &Path, what: &str, error: &rustls_pki_types::pem::Error) -> String {
    use rustls_pki_types::pem::Error;
    let path = path.display();
    match error {
        Error::Io(error) => format!("the file {path} cannot be read: {error}"),
        Error::NoItemsFound => format!("the file {path} holds no {what} in PEM form"),
        // Not repeated: the message may quote the file, and the file may be a key.
        _ => format!("the file {path} is not a {what} in PEM form"),
    }
}
