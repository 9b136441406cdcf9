//! `[tls]`: certificate and key from PEM files.

use std::path::{Path, PathBuf};

use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tapedeck_config::Section;

/// What the console presents to its clients. Debug shows no key.
#[derive(Debug)]
pub struct Tls {
    /// The chain, the console's own certificate first. Invariant: not empty, and its key is [`Tls::key`].
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
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let chain = section
            .field::<PathBuf>("certificate")
            .and_then(|path| certificates(&path))
            .required("a PEM file with the console's certificate and those of its issuers");
        let key = section.field::<PathBuf>("key").and_then(|path| {
            // What the parser says is not repeated: it may quote the file, and the file may be a key.
            PrivateKeyDer::from_pem_file(&path).map_err(|_| format!("{} holds no readable private key", path.display()))
        });
        let key_span = key.span();
        let key = key.required("a PEM file with the private key of the certificate");
        let (chain, key) = (chain?, key?);
        let provider = rustls::crypto::ring::default_provider();
        match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
            Ok(_) => Some(Self { chain, key }),
            Err(error) => {
                let message = format!("certificate and key do not go together: {error}");
                section.reader().problem(key_span, message);
                None
            }
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!("{} holds no readable certificate", path.display())),
    }
}
