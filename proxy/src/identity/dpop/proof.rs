//! One proof: parsed and verified by the rules of RFC 9449, section 4.3.

use std::time::{Duration, SystemTime};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, Method};
use openidconnect::JsonWebKey;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tapedeck_asker::jws::{self, Compact};
use url::Url;

use super::ProofError;
use super::key::HolderKey;
use crate::identity::claims::instant;

/// The header field that a proof is in.
pub(super) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The longest proof, in bytes: its key and signature may be of RSA with 4096 bits.
const LONGEST: usize = 8 * 1024;

/// The longest `jti`, in bytes.
const LONGEST_ID: usize = 256;

/// How far a client's clock may be from ours, either way. The nonce says how old a proof is, whatever the clock.
const CLOCKS: Duration = Duration::from_secs(5 * 60);

/// What a proof has to be of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) method: &'a Method,
    /// The resource as clients know it.
    pub(super) url: &'a str,
    pub(super) token: &'a str,
    pub(super) now: SystemTime,
}

/// A proof that its sender held a key when they made it: for this method, resource and token. Not yet known: whether it
/// is fresh, and whether it came before.
#[derive(Debug)]
pub(super) struct Proof {
    /// Of the key (RFC 7638).
    pub(super) thumbprint: String,
    /// Not empty.
    pub(super) id: String,
    pub(super) nonce: Option<String>,
}

impl Proof {
    /// The one proof in these header fields.
    pub(super) fn of(headers: &HeaderMap, wanted: Wanted<'_>) -> Result<Self, ProofError> {
        let mut fields = headers.get_all(DPOP).iter();
        let field = fields.next().ok_or(ProofError::Missing)?;
        if fields.next().is_some() {
            return Err(ProofError::Malformed("more than one DPoP header field"));
        }
        let text = field
            .to_str()
            .ok()
            .filter(|text| text.len() <= LONGEST)
            .ok_or(ProofError::Malformed("not a token of at most 8 KiB"))?;
        Self::verify(text, wanted)
    }

    fn verify(text: &str, wanted: Wanted<'_>) -> Result<Self, ProofError> {
        let jws = Compact::parse(text).map_err(ProofError::Malformed)?;
        let typ = jws.header.get("typ").and_then(Value::as_str);
        if !typ.is_some_and(|typ| typ.eq_ignore_ascii_case("dpop+jwt")) {
            return Err(ProofError::Malformed("typ is not dpop+jwt"));
        }
        if jws.header.contains_key("crit") {
            return Err(ProofError::Malformed("it demands an extension"));
        }
        let alg = jws::algorithm(jws.header.get("alg")).ok_or(ProofError::Algorithm)?;
        let key = HolderKey::parse(jws.header.get("jwk"))?;
        key.jwk
            .verify_signature(&alg, jws.signing_input, &jws.signature)
            .map_err(|_| ProofError::Signature)?;

        let claims = &jws.payload;
        if text_of(claims, "htm") != Some(wanted.method.as_str()) {
            return Err(ProofError::Method);
        }
        if !text_of(claims, "htu").is_some_and(|named| is_same(named, wanted.url)) {
            return Err(ProofError::Url);
        }
        let made = instant(claims, "iat").ok().flatten().ok_or(ProofError::Time)?;
        if made > wanted.now + CLOCKS || made + CLOCKS < wanted.now {
            return Err(ProofError::Time);
        }
        let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(wanted.token));
        if text_of(claims, "ath") != Some(hash.as_str()) {
            return Err(ProofError::Token);
        }
        let id = text_of(claims, "jti").filter(|id| !id.is_empty() && id.len() <= LONGEST_ID);
        let id = id.ok_or(ProofError::Malformed("no jti of at most 256 bytes"))?;
        Ok(Self {
            thumbprint: key.thumbprint,
            id: id.to_owned(),
            nonce: text_of(claims, "nonce").map(str::to_owned),
        })
    }
}

fn text_of<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

/// Whether two URLs are the same, query and fragment aside, in whatever spelling (RFC 3986, sections 6.2.2 and 6.2.3).
fn is_same(named: &str, resource: &str) -> bool {
    let normal = |text: &str| {
        let mut url = Url::parse(text).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    named == resource || normal(named).is_some_and(|named| Some(named) == normal(resource))
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn a_url_is_the_same_in_every_spelling_and_without_its_query() {
        let resource = "https://mcp.example/demo/mcp";
        for same in [
            resource,
            "https://mcp.example/demo/mcp?a=b#c",
            "HTTPS://MCP.example:443/demo/mcp",
            "https://mcp.example/other/../demo/mcp",
        ] {
            assert!(is_same(same, resource), "{same}");
        }
        for other in [
            "http://mcp.example/demo/mcp",
            "https://mcp.example/demo/mcp/",
            "https://mcp.example:8443/demo/mcp",
            "https://mcp.example/other/mcp",
            "https://mcp.example.evil/demo/mcp",
            "https://user@mcp.example/demo/mcp",
            "/demo/mcp",
            "",
        ] {
            assert!(!is_same(other, resource), "{other}");
        }
    }
}
