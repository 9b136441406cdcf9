//! Certificates and keys from PEM files.

use std::path::Path;

use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tapedeck_config::Reader;

use super::raw::RawTls;

/// What the proxy presents to clients (`[tls]`), or to a target. Debug shows no key.
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
