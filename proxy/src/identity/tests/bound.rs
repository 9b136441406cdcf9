//! Tokens that are bound to a certificate (RFC 8705).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use rustls_pki_types::CertificateDer;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{claims, headers, one_issuer, shown, start, with};
use crate::identity::{AuthError, CertificateThumbprint, Shown};

#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_is_good_over_its_connections_alone() {
    let (issuer, key, authenticator) = one_issuer().await;
    let own = CertificateDer::from(b"the client's own".to_vec());
    let other = CertificateThumbprint::of(&CertificateDer::from(b"another's".to_vec()));
    let thumbprint = BASE64.encode(Sha256::digest(&own));
    let bound = with(claims(&issuer, start()), json!({ "cnf": { "x5t#S256": thumbprint } }));
    let (bound, unbound) = (key.access_token(&bound), key.access_token(&claims(&issuer, start())));
    let own = Some(CertificateThumbprint::of(&own));
    for (token, certificate, outcome) in [
        (&bound, own, Ok(())),
        (&bound, Some(other), Err(AuthError::OtherCertificate)),
        (&bound, None, Err(AuthError::OtherCertificate)),
        // Again, now that it is remembered.
        (&bound, own, Ok(())),
        (&unbound, own, Ok(())),
        (&unbound, None, Ok(())),
    ] {
        let headers = headers(token);
        let shown = Shown {
            certificate,
            ..shown(&headers)
        };
        let authenticated = authenticator.authenticate_at(shown, start()).await;
        assert_eq!(authenticated.map(drop), outcome, "{certificate:?}");
    }
}
