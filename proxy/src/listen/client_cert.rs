//! Which certificate a client has shown.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName};
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;

use super::Peer;
use crate::config::Config;
use crate::identity::CertificateThumbprint;

/// Where a proxy that terminates TLS says which certificate its client has shown (RFC 9440, section 2.2).
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// The longest certificate that is read, in bytes of base64.
const LONGEST: usize = 16 * 1024;

/// The certificate of the client's own TLS connection: that of the connection here, or, where its other end is a trusted
/// proxy and the configuration says so, the one that the proxy names. Then the proxy's own does not count: it is nobody's
/// who calls.
pub(crate) fn client_certificate(peer: Peer, headers: &HeaderMap, config: &Config) -> Option<CertificateThumbprint> {
    let address = peer.address.ip().to_canonical();
    let is_trusted = || config.trusted_proxies.iter().any(|network| network.contains(&address));
    if config.client_cert_header && is_trusted() {
        named(headers)
    } else {
        peer.certificate
    }
}

/// The one certificate that the header fields name; none if there are two, or if it is no certificate. A token that is
/// bound to a certificate is refused then.
fn named(headers: &HeaderMap) -> Option<CertificateThumbprint> {
    let mut fields = headers.get_all(CLIENT_CERT).iter();
    let field = fields.next().filter(|field| field.len() <= LONGEST)?;
    if fields.next().is_some() {
        return None;
    }
    // A byte sequence of structured fields (RFC 8941, section 3.3.5).
    let encoded = field
        .to_str()
        .ok()?
        .trim_matches(' ')
        .strip_prefix(':')?
        .strip_suffix(':')?;
    let certificate = CertificateDer::from(BASE64_STANDARD.decode(encoded).ok()?);
    ParsedCertificate::try_from(&certificate).ok()?;
    Some(CertificateThumbprint::of(&certificate))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use rcgen::generate_simple_self_signed;

    use super::*;

    #[test]
    fn one_certificate_is_named_or_none() {
        let made = generate_simple_self_signed(vec!["client.example".to_owned()]).expect("made");
        let der = made.cert.der();
        let good = format!(":{}:", BASE64_STANDARD.encode(der));
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CLIENT_CERT, HeaderValue::from_str(value).expect("a value"));
            }
            named(&headers)
        };
        assert_eq!(of(&[&good]), Some(CertificateThumbprint::of(der)));
        let cut = format!(":{}:", BASE64_STANDARD.encode(&der[..der.len() - 1]));
        let long = format!(":{}:", "A".repeat(LONGEST));
        for wrong in [
            &[][..],
            &[""],
            &["::"],
            &[":AAAA:"],
            &[good.trim_matches(':')],
            &[cut.as_str()],
            &[long.as_str()],
            &[good.as_str(), good.as_str()],
        ] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }
}
