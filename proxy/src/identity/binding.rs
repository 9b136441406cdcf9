//! What a token is bound to: `cnf` (RFC 7800), and what a request must show for it.

use serde_json::{Map, Value};

use super::{AuthError, CertificateThumbprint};

/// The keys of its holder that a token is bound to. Usually none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// `jkt`: the thumbprint (RFC 7638) of the key that signs DPoP proofs (RFC 9449, section 6.1).
    pub key: Option<String>,
    /// `x5t#S256`: the certificate of the client's TLS connection (RFC 8705, section 3.1).
    pub certificate: Option<CertificateThumbprint>,
}

impl Binding {
    /// What `cnf` says. A way of binding that is not checked here is refused, and so is a token of which nothing could be
    /// checked. Other members beside one that is checked are remarks (RFC 7800, section 3.1): Keycloak adds `kc-jkt-type`.
    pub(super) fn of(claims: &Map<String, Value>) -> Result<Self, AuthError> {
        let Some(confirmation) = claims.get("cnf") else {
            return Ok(Self::default());
        };
        let confirmation = confirmation.as_object().ok_or(AuthError::SenderConstrained)?;
        let mut binding = Self::default();
        for (way, value) in confirmation {
            match (way.as_str(), value.as_str()) {
                ("jkt", Some(thumbprint)) => binding.key = Some(thumbprint.to_owned()),
                ("x5t#S256", Some(thumbprint)) => {
                    let thumbprint = CertificateThumbprint::parse(thumbprint).ok_or(AuthError::SenderConstrained)?;
                    binding.certificate = Some(thumbprint);
                }
                // Of the registered ways (IANA, "JWT Confirmation Methods"), those that nothing here checks.
                ("jkt" | "x5t#S256" | "jwk" | "jwe" | "kid" | "jku" | "osc", _) => {
                    return Err(AuthError::SenderConstrained);
                }
                _ => {}
            }
        }
        if binding == Self::default() {
            return Err(AuthError::SenderConstrained);
        }
        Ok(binding)
    }

    /// Whether the certificate of the connection is the one that the token is bound to, if it is bound to one.
    pub(super) fn allows(&self, shown: Option<CertificateThumbprint>) -> Result<(), AuthError> {
        match self.certificate {
            Some(bound) if shown != Some(bound) => Err(AuthError::OtherCertificate),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

    fn of(claims: Value) -> Result<Binding, AuthError> {
        Binding::of(claims.as_object().expect("an object"))
    }

    #[test]
    fn a_token_without_cnf_is_bound_to_nothing() {
        assert_eq!(of(json!({ "sub": "alice" })), Ok(Binding::default()));
    }

    #[test]
    fn remarks_beside_a_way_that_is_checked_are_ignored() {
        let keycloaks = json!({ "jkt": THUMBPRINT, "kc-jkt-type": "DPoP" });
        let binding = of(json!({ "cnf": keycloaks })).expect("understood");
        assert_eq!((binding.key.as_deref(), binding.certificate), (Some(THUMBPRINT), None));
        let both = of(json!({ "cnf": { "jkt": THUMBPRINT, "x5t#S256": THUMBPRINT } })).expect("understood");
        assert!(both.key.is_some() && both.certificate.is_some());
    }

    #[test]
    fn a_way_that_is_not_checked_is_refused_also_beside_one_that_is() {
        for cnf in [
            json!({}),
            json!(null),
            json!("jkt"),
            json!({ "jkt": 7 }),
            json!({ "jwk": { "kty": "oct" } }),
            json!({ "kid": "k" }),
            json!({ "x5t#S256": "short" }),
            json!({ "kc-jkt-type": "DPoP" }),
            json!({ "jkt": THUMBPRINT, "x5t#S256": null }),
            json!({ "jkt": THUMBPRINT, "jku": "https://keys.example" }),
        ] {
            assert_eq!(of(json!({ "cnf": cnf })), Err(AuthError::SenderConstrained), "{cnf}");
        }
    }

    #[test]
    fn a_certificate_allows_its_own_tokens_and_those_that_are_bound_to_none() {
        let bound = of(json!({ "cnf": { "x5t#S256": THUMBPRINT } })).expect("understood");
        let (own, other) = (
            CertificateThumbprint::parse(THUMBPRINT),
            CertificateThumbprint::parse(&"A".repeat(43)),
        );
        assert!(own.is_some() && other.is_some());
        assert_eq!(bound.allows(own), Ok(()));
        assert_eq!(bound.allows(other), Err(AuthError::OtherCertificate));
        assert_eq!(bound.allows(None), Err(AuthError::OtherCertificate));
        assert_eq!(Binding::default().allows(other), Ok(()));
    }
}
