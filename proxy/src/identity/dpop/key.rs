//! The public key that a proof brings along, and its thumbprint.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use openidconnect::core::{CoreJsonCurveType, CoreJsonWebKey};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::ProofError;

/// The shortest RSA modulus, in bytes: 2048 bits (RFC 7518, section 3.3).
const SHORTEST_MODULUS: usize = 256;

/// Members that only private and symmetric keys have (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key of a client's own choice: it proves only that two requests come from one holder.
pub(super) struct HolderKey {
    pub(super) jwk: CoreJsonWebKey,
    /// RFC 7638, SHA-256, base64url.
    pub(super) thumbprint: String,
}

impl HolderKey {
    /// The key in a proof's header. Nothing but its required members counts: what it says of its use is not weighed.
    pub(super) fn parse(jwk: Option<&Value>) -> Result<Self, ProofError> {
        let jwk = jwk
            .and_then(Value::as_object)
            .ok_or(ProofError::Key("jwk is missing"))?;
        if PRIVATE.iter().any(|member| jwk.contains_key(*member)) {
            return Err(ProofError::Key("jwk is not a public key"));
        }
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        // The required members in the order of their names, without spaces: RFC 7638, section 3.2; RFC 8037, section 2.
        let (jwk, canonical) = match (text("kty"), text("crv")) {
            (Some("EC"), Some(name @ ("P-256" | "P-384"))) => {
                let curve = if name == "P-256" {
                    CoreJsonCurveType::P256
                } else {
                    CoreJsonCurveType::P384
                };
                let (x, y) = (Member::of(jwk, "x")?, Member::of(jwk, "y")?);
                let canonical = format!(r#"{{"crv":"{name}","kty":"EC","x":"{}","y":"{}"}}"#, x.text, y.text);
                (CoreJsonWebKey::new_ec(x.bytes, y.bytes, curve, None), canonical)
            }
            (Some("OKP"), Some("Ed25519")) => {
                let x = Member::of(jwk, "x")?;
                let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, x.text);
                let key = CoreJsonWebKey::new_okp(x.bytes, CoreJsonCurveType::Ed25519, None);
                (key, canonical)
            }
            (Some("RSA"), _) => {
                let (n, e) = (Member::of(jwk, "n")?, Member::of(jwk, "e")?);
                if n.bytes.iter().skip_while(|byte| **byte == 0).count() < SHORTEST_MODULUS {
                    return Err(ProofError::Key("the RSA key has fewer than 2048 bits"));
                }
                let canonical = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, e.text, n.text);
                (CoreJsonWebKey::new_rsa(n.bytes, e.bytes, None), canonical)
            }
            _ => return Err(ProofError::Key("jwk is of no type that is accepted")),
        };
        Ok(Self {
            jwk,
            thumbprint: BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)),
        })
    }
}

/// A number or a coordinate: base64url, so it has nothing that JSON would escape.
struct Member<'a> {
    text: &'a str,
    bytes: Vec<u8>,
}

impl<'a> Member<'a> {
    fn of(jwk: &'a Map<String, Value>, name: &str) -> Result<Self, ProofError> {
        let text = jwk.get(name).and_then(Value::as_str);
        let text = text.ok_or(ProofError::Key("jwk lacks a required member"))?;
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| ProofError::Key("a member of jwk is not base64url"))?;
        Ok(Self { text, bytes })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn thumbprints_are_those_of_the_specifications() {
        // RFC 7638, section 3.1.
        let rsa = json!({
            "kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3\
                  oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA\
                  ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-\
                  kEgU8awapJzKnqDKgw",
        });
        // RFC 9449, section 4.1 (the key) and 6.1 (its thumbprint).
        let ec = json!({
            "kty": "EC", "crv": "P-256",
            "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        });
        // RFC 8037, appendix A.3.
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        for (jwk, thumbprint) in [
            (rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (ec, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
            (ed, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ] {
            let key = HolderKey::parse(Some(&jwk)).expect("a public key");
            assert_eq!(key.thumbprint, thumbprint);
        }
    }

    #[test]
    fn what_is_no_strong_public_key_is_refused() {
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        let mut wrong = vec![
            json!(null),
            json!("key"),
            json!({ "kty": "oct", "k": "c2VjcmV0" }),
            json!({ "kty": "oct" }),
            json!({ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" }),
            json!({ "kty": "EC", "crv": "P-256", "x": "AA" }),
            json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "A\"" }),
            json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }),
        ];
        for private in PRIVATE {
            let mut key = ed.clone();
            key[private] = json!("AA");
            wrong.push(key);
        }
        for jwk in wrong {
            assert!(matches!(HolderKey::parse(Some(&jwk)), Err(ProofError::Key(_))), "{jwk}");
        }
        assert!(matches!(HolderKey::parse(None), Err(ProofError::Key(_))));
    }
}
