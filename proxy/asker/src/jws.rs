//! The compact form of a signed JSON object, parsed strictly: access tokens and DPoP proofs have it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use openidconnect::core::CoreJwsSigningAlgorithm;
use serde_json::{Map, Value};

use crate::strict_json;

/// The algorithms that are accepted (RFC 8725, section 3.1), by their names in `alg`. Never `none`, never an HMAC, whose
/// key would be public.
pub const ALGORITHMS: [&str; 9] = [
    "ES256", "ES384", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512",
];

/// A compact JWS (RFC 7515, section 7.1) whose payload is a JSON object; not verified.
pub struct Compact<'a> {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims.
    pub payload: Map<String, Value>,
    /// The header and payload as signed.
    pub signing_input: &'a [u8],
    /// Decoded.
    pub signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Parses all of `text`.
    ///
    /// # Errors
    /// In what it is malformed, in our own words: nothing of `text` is in them.
    pub fn parse(text: &'a str) -> Result<Self, &'static str> {
        let (signing_input, signature) = text.rsplit_once('.').ok_or("not three parts")?;
        let (header, payload) = signing_input.split_once('.').ok_or("not three parts")?;
        if payload.contains('.') {
            return Err("not three parts");
        }
        Ok(Self {
            header: strict_json::object(&decode(header)?).ok_or("the header is no JSON object")?,
            payload: strict_json::object(&decode(payload)?).ok_or("the payload is no JSON object")?,
            signing_input: signing_input.as_bytes(),
            signature: decode(signature)?,
        })
    }
}

/// Whether `text` means to be a JWT: three parts, the first of which is a JSON object. Anything else is opaque.
pub fn is_compact(text: &str) -> bool {
    let mut parts = text.split('.');
    let header = parts.next().and_then(|header| decode(header).ok());
    parts.count() == 2 && header.is_some_and(|header| header.first() == Some(&b'{'))
}

/// The algorithm that `alg` names, if it is accepted.
pub fn algorithm(alg: Option<&Value>) -> Option<CoreJwsSigningAlgorithm> {
    let name = alg?.as_str().filter(|name| ALGORITHMS.contains(name))?;
    // The library knows algorithms by these very names.
    serde_json::from_value(Value::from(name)).ok()
}

/// base64url without padding, in its one canonical form (RFC 7515, section 2).
fn decode(part: &str) -> Result<Vec<u8>, &'static str> {
    BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| "not base64url without padding")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_of_the_list_is_one_that_the_library_knows_and_signs_with_a_key_pair() {
        for name in ALGORITHMS {
            let algorithm = algorithm(Some(&Value::from(name))).expect(name);
            assert!(
                !openidconnect::JwsSigningAlgorithm::uses_shared_secret(&algorithm),
                "{name}"
            );
        }
        for name in ["none", "HS256", "ES512", "es256", ""] {
            assert!(algorithm(Some(&Value::from(name))).is_none(), "{name}");
        }
    }

    #[test]
    fn what_has_no_header_of_a_jwt_is_opaque() {
        assert!(is_compact("e30.e30.c2ln"));
        for opaque in [
            "",
            "8xLOxBtZp8",
            "a.b.c",
            "ory_at_x.y",
            "e30.e30",
            "e30.e30.a.b.c",
            "v2.local.AAAA",
        ] {
            assert!(!is_compact(opaque), "{opaque}");
        }
    }
}
