//! A JWT access token: parsed strictly, then judged by the rules of RFC 9068.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use openidconnect::{JsonWebKeyId, core::CoreJwsSigningAlgorithm};
use serde_json::{Map, Value};

use super::{AuthError, LEEWAY, strict_json};
use crate::config::Issuer;

/// The longest token, in bytes: a few times what issuers make when they put every group into it.
const LONGEST: usize = 16 * 1024;

/// Instants after this one (the end of the year 9999) are taken for nonsense rather than for a time.
const LAST_SECOND: f64 = 253_402_300_799.0;

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

/// The claims of a token whose signature was verified and that is an access token for us, valid now.
pub(super) struct AccessClaims<'a> {
    pub(super) all: &'a Map<String, Value>,
    pub(super) expires: SystemTime,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, AuthError> {
        if token.len() > LONGEST {
            return Err(AuthError::TooLong);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(AuthError::Malformed("not three parts"))?;
        let (header, payload) = signing_input
            .split_once('.')
            .ok_or(AuthError::Malformed("not three parts"))?;
        if payload.contains('.') {
            return Err(AuthError::Malformed("not three parts"));
        }
        let header = decode(header)?;
        let header = strict_json::object(&header).ok_or(AuthError::Malformed("the header is no JSON object"))?;
        // Before the signature is even looked at: an algorithm that is not accepted is not to be tried.
        let alg = accepted_alg(header.get("alg"))?;
        if header.contains_key("crit") {
            return Err(AuthError::CriticalExtension);
        }
        let says_access_token = says_access_token(header.get("typ"))?;
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(JsonWebKeyId::new(kid.clone())),
            Some(_) => return Err(AuthError::Malformed("kid is not a string")),
        };
        let claims = decode(payload)?;
        let claims = strict_json::object(&claims).ok_or(AuthError::Malformed("the payload is no JSON object"))?;
        Ok(Self {
            alg,
            kid,
            signing_input: signing_input.as_bytes(),
            signature: decode(signature)?,
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
        let claims = &self.claims;
        if self.is_another_kind() {
            return Err(AuthError::NotAccessToken);
        }
        if claims.contains_key("cnf") {
            return Err(AuthError::SenderConstrained);
        }
        let is_ours = |audience: &Value| issuer.audiences.iter().any(|ours| audience.as_str() == Some(ours));
        let for_us = match claims.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
            Some(audience) => is_ours(audience),
            None => false,
        };
        if !for_us {
            return Err(AuthError::WrongAudience);
        }
        let expires = instant(claims, "exp")?.ok_or(AuthError::MissingClaim("exp"))?;
        if expires <= now {
            return Err(AuthError::Expired);
        }
        let begun = |time: Option<SystemTime>| time.is_none_or(|time| time <= now + LEEWAY);
        if !begun(instant(claims, "nbf")?) || !begun(instant(claims, "iat")?) {
            return Err(AuthError::NotYetValid);
        }
        Ok(AccessClaims { all: claims, expires })
    }

    /// Whether the token is of another kind that the same issuer signs with the same keys. `at+jwt` settles it (RFC
    /// 9068, section 2.1). Where `typ` says only `JWT`, these tell: claims that stand in ID tokens or logout tokens
    /// alone (OpenID Connect Core, sections 2 and 3.3.2.11; Back-Channel Logout, section 2.4), Keycloak's `typ` claim
    /// (`Bearer` for access tokens, else `ID`, `Refresh`, `Offline`, `Logout`), and Cognito's `token_use`.
    fn is_another_kind(&self) -> bool {
        let only_elsewhere = ["nonce", "at_hash", "c_hash", "s_hash", "events"];
        let says = |claim: &str, access: &[&str]| match self.claims.get(claim) {
            None => true,
            Some(Value::String(kind)) => access.iter().any(|access| access.eq_ignore_ascii_case(kind)),
            Some(_) => false,
        };
        !self.says_access_token
            && (only_elsewhere.iter().any(|claim| self.claims.contains_key(*claim))
                || !says("typ", &["Bearer", "DPoP", "at+jwt"])
                || !says("token_use", &["access"]))
    }
}

/// base64url without padding, in its one canonical form (RFC 7515, section 2).
fn decode(part: &str) -> Result<Vec<u8>, AuthError> {
    BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| AuthError::Malformed("not base64url without padding"))
}

/// The allow-list of algorithms (RFC 8725, section 3.1). Never `none`, never an HMAC, whose key would be public.
fn accepted_alg(alg: Option<&Value>) -> Result<CoreJwsSigningAlgorithm, AuthError> {
    match alg.and_then(Value::as_str) {
        Some("RS256") => Ok(CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256),
        Some("RS384") => Ok(CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384),
        Some("RS512") => Ok(CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512),
        Some("PS256") => Ok(CoreJwsSigningAlgorithm::RsaSsaPssSha256),
        Some("PS384") => Ok(CoreJwsSigningAlgorithm::RsaSsaPssSha384),
        Some("PS512") => Ok(CoreJwsSigningAlgorithm::RsaSsaPssSha512),
        Some("ES256") => Ok(CoreJwsSigningAlgorithm::EcdsaP256Sha256),
        Some("ES384") => Ok(CoreJwsSigningAlgorithm::EcdsaP384Sha384),
        Some("EdDSA") => Ok(CoreJwsSigningAlgorithm::EdDsa),
        _ => Err(AuthError::UnsupportedAlg),
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

/// A NumericDate (RFC 7519, section 2), if the claim is there.
fn instant(claims: &Map<String, Value>, name: &'static str) -> Result<Option<SystemTime>, AuthError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    match value.as_f64() {
        Some(seconds) if (0.0..=LAST_SECOND).contains(&seconds) => {
            Ok(Some(UNIX_EPOCH + Duration::from_secs_f64(seconds)))
        }
        _ => Err(AuthError::MissingClaim(name)),
    }
}
