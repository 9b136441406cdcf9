//! The certificate that a client has shown, by its thumbprint.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};

/// SHA-256 of a certificate's DER (RFC 8705, section 3.1). Whoever holds one has got it from the connection on which the
/// certificate's key was shown, or from a proxy that is trusted to have seen that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CertificateThumbprint([u8; 32]);

impl CertificateThumbprint {
    /// That of this certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate).into())
    }

    /// The hash itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The value of `x5t#S256`: base64url without padding.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

/// As `x5t#S256` has it.
impl fmt::Display for CertificateThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for CertificateThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateThumbprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_written_as_it_is_read_and_nothing_else_is_one() {
        let canonical = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0";
        let parsed = CertificateThumbprint::parse(canonical).expect("32 bytes");
        assert_eq!(parsed.to_string(), canonical);
        // The last has bits that no 32 bytes have (the example of RFC 8705, section 3.1).
        let not_canonical = canonical.replace("dg0", "dg2");
        for wrong in ["", "AAAA", &canonical[1..], &format!("{canonical}="), &not_canonical] {
            assert!(CertificateThumbprint::parse(wrong).is_none(), "{wrong}");
        }
    }
}
