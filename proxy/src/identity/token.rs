//! A JWT access token: parsed strictly, then judged by the rules of RFC 9068.

use std::time::SystemTime;

use openidconnect::{JsonWebKeyId, core::CoreJwsSigningAlgorithm};
use serde_json::{Map, Value};
use tapedeck_asker::jws::{self, Compact};

use super::AuthError;
use super::claims::{AccessClaims, says_another_kind};
use crate::config::Issuer;

/// The longest token, in bytes: a few times what issuers make when they put every group into it.
pub(super) const LONGEST: usize = 16 * 1024;

/// A compact JWS (RFC 7515, section 7.1) of a JWT, parsed and not yet verified.
pub(super) struct Jws<'a> {
    pub(super) alg: CoreJwsSigningAlgorithm,
    pub(super) kid: Option<JsonWebKeyId>,
    /// The header and payload as signed.
    pub(super) signing_input: &'a [u8],
    pub(super) signature: Vec<u8>,
    /// Whether `typ` says access token; else it says only JWT.
    says_access_token: bool,
    claims: Map<String, Value>,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, AuthError> {
        if token.len() > LONGEST {
            return Err(AuthError::TooLong);
        }
        let Compact {
            header,
            payload: claims,
            signing_input,
            signature,
        } = Compact::parse(token).map_err(AuthError::Malformed)?;
        // Before the signature is even looked at: an algorithm that is not accepted is not to be tried.
        let alg = jws::algorithm(header.get("alg")).ok_or(AuthError::UnsupportedAlg)?;
        if header.contains_key("crit") {
            return Err(AuthError::CriticalExtension);
        }
        let says_access_token = says_access_token(header.get("typ"))?;
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(JsonWebKeyId::new(kid.clone())),
            Some(_) => return Err(AuthError::Malformed("kid is not a string")),
        };
        Ok(Self {
            alg,
            kid,
            signing_input,
            signature,
            says_access_token,
            claims,
        })
    }

    /// Whom the token names as its issuer: not verified, only good for choosing whose keys to try.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// The claims, if this is an access token for one of the issuer's audiences, valid at `now`. To be asked after the
    /// signature was verified, so that the reason on record is true.
    pub(super) fn claims_for(&self, issuer: &Issuer, now: SystemTime) -> Result<AccessClaims<'_>, AuthError> {
        if self.is_another_kind() {
            return Err(AuthError::NotAccessToken);
        }
        AccessClaims::judge(&self.claims, issuer, now)
    }

    /// Whether the token is of another kind that the same issuer signs with the same keys. `at+jwt` settles it (RFC
    /// 9068, section 2.1). Where `typ` says only `JWT`, these tell: claims that stand in ID tokens or logout tokens
    /// alone (OpenID Connect Core, sections 2 and 3.3.2.11; Back-Channel Logout, section 2.4), and those that name the
    /// kind.
    fn is_another_kind(&self) -> bool {
        let only_elsewhere = ["nonce", "at_hash", "c_hash", "s_hash", "events"];
        !self.says_access_token
            && (only_elsewhere.iter().any(|claim| self.claims.contains_key(*claim)) || says_another_kind(&self.claims))
    }
}

/// Whether `typ` is that of an access token (RFC 9068, section 4); `JWT`, which many issuers send, leaves it open.
fn says_access_token(typ: Option<&Value>) -> Result<bool, AuthError> {
    let typ = typ
        .and_then(Value::as_str)
        .ok_or(AuthError::UnsupportedType)?
        .to_ascii_lowercase();
    // `application/` may be left out and so must not matter (RFC 7515, section 4.1.9).
    match typ.strip_prefix("application/").unwrap_or(&typ) {
        "at+jwt" => Ok(true),
        "jwt" => Ok(false),
        _ => Err(AuthError::UnsupportedType),
    }
}
