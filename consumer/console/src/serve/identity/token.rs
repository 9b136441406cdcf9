//! A bearer token: a JWT access token, parsed strictly, verified, then judged by the rules of RFC 9068.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKey, JsonWebKeyId, SignatureVerificationError};
use serde_json::{Map, Value};
use tapedeck_asker::issuer::is_strong;
use tapedeck_asker::jws::{self, Compact};

/// The longest token, in bytes: a few times what issuers make when they put every group into it.
const LONGEST: usize = 16 * 1024;
/// The most keys that are tried on a token that names none (`kid` is optional: RFC 7515, section 4.1.4).
const MOST_TRIED: usize = 16;
/// How far the issuer's clock may be ahead of ours (`nbf`, `iat`).
const LEEWAY: Duration = Duration::from_secs(60);
/// Instants after this one (the end of the year 9999) are taken for nonsense.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Why a token stands for nobody. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    #[error("the token is signed by an algorithm that is not accepted, or has no typ that an access token has")]
    Unsupported,
    #[error("the token is of an unknown issuer")]
    UnknownIssuer,
    #[error("the token is signed by an unknown key")]
    UnknownKey,
    #[error("the signature is wrong")]
    BadSignature,
    #[error("the token is for another audience")]
    WrongAudience,
    #[error("the token has expired, or is not valid yet")]
    NotNow,
    #[error("the token is not an access token")]
    NotAccessToken,
    #[error("the token is bound to a key, which cannot be checked here")]
    SenderConstrained,
    #[error("the token lacks a right claim: {0}")]
    MissingClaim(&'static str),
    #[error("the identity provider is away")]
    ProviderAway,
}

/// A compact JWS (RFC 7515, section 7.1) of a JWT, parsed and not yet verified.
pub(super) struct Jws<'a> {
    alg: CoreJwsSigningAlgorithm,
    kid: Option<JsonWebKeyId>,
    /// The header and payload as signed.
    signing_input: &'a [u8],
    signature: Vec<u8>,
    /// Whether `typ` says access token; else it says only JWT.
    says_access_token: bool,
    claims: Map<String, Value>,
}

/// The claims of a token that is an access token for us, valid now.
pub(super) struct AccessClaims<'a> {
    pub(super) all: &'a Map<String, Value>,
    pub(super) expires: SystemTime,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::Malformed("longer than 16 KiB"));
        }
        let Compact {
            header,
            payload: claims,
            signing_input,
            signature,
        } = Compact::parse(token).map_err(TokenError::Malformed)?;
        // Before the signature is even looked at: an algorithm that is not accepted is not to be tried.
        let alg = jws::algorithm(header.get("alg")).ok_or(TokenError::Unsupported)?;
        if header.contains_key("crit") {
            return Err(TokenError::Unsupported);
        }
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(JsonWebKeyId::new(kid.clone())),
            Some(_) => return Err(TokenError::Malformed("kid is not a string")),
        };
        Ok(Self {
            alg,
            kid,
            signing_input,
            signature,
            says_access_token: says_access_token(header.get("typ"))?,
            claims,
        })
    }

    /// Whom the token names as its issuer: not verified.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// Whether one of the issuer's keys has signed it.
    pub(super) fn verify(&self, keys: &CoreJsonWebKeySet) -> Result<(), TokenError> {
        let named = |key: &&CoreJsonWebKey| self.kid.is_none() || key.key_id() == self.kid.as_ref();
        let mut reason = TokenError::UnknownKey;
        for key in keys
            .keys()
            .iter()
            .filter(named)
            .filter(|key| is_strong(key))
            .take(MOST_TRIED)
        {
            match key.verify_signature(&self.alg, self.signing_input, &self.signature) {
                Ok(()) => return Ok(()),
                Err(SignatureVerificationError::CryptoError(_)) => reason = TokenError::BadSignature,
                Err(_) => {}
            }
        }
        Err(reason)
    }

    /// The claims, if this is an access token for one of the audiences, valid at `now`. To be asked after the signature was
    /// verified.
    pub(super) fn claims_for(&self, audiences: &[String], now: SystemTime) -> Result<AccessClaims<'_>, TokenError> {
        let claims = &self.claims;
        if self.is_another_kind() {
            return Err(TokenError::NotAccessToken);
        }
        if claims.contains_key("cnf") {
            return Err(TokenError::SenderConstrained);
        }
        let is_ours = |audience: &Value| audiences.iter().any(|ours| audience.as_str() == Some(ours));
        let for_us = match claims.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
            Some(audience) => is_ours(audience),
            None => false,
        };
        if !for_us {
            return Err(TokenError::WrongAudience);
        }
        let expires = instant(claims, "exp")?.ok_or(TokenError::MissingClaim("exp"))?;
        let begun = |time: Option<SystemTime>| time.is_none_or(|time| time <= now + LEEWAY);
        if expires <= now || !begun(instant(claims, "nbf")?) || !begun(instant(claims, "iat")?) {
            return Err(TokenError::NotNow);
        }
        Ok(AccessClaims { all: claims, expires })
    }

    /// Whether the token is of another kind that the same issuer signs with the same keys. `at+jwt` settles it (RFC 9068,
    /// section 2.1). Where `typ` says only `JWT`, these tell: claims that stand in ID tokens or logout tokens alone,
    /// Keycloak's `typ` claim, and Cognito's `token_use`.
    fn is_another_kind(&self) -> bool {
        let only_elsewhere = ["nonce", "at_hash", "c_hash", "s_hash", "events"];
        let says = |claim: &str, access: &[&str]| match self.claims.get(claim) {
            None => true,
            Some(Value::String(kind)) => access.iter().any(|access| access.eq_ignore_ascii_case(kind)),
            Some(_) => false,
        };
        !self.says_access_token
            && (only_elsewhere.iter().any(|claim| self.claims.contains_key(*claim))
                || !says("typ", &["Bearer", "at+jwt"])
                || !says("token_use", &["access"]))
    }
}

/// Whether `typ` is that of an access token (RFC 9068, section 4); `JWT`, which many issuers send, leaves it open.
fn says_access_token(typ: Option<&Value>) -> Result<bool, TokenError> {
    let typ = typ.and_then(Value::as_str).ok_or(TokenError::Unsupported)?;
    let typ = typ.to_ascii_lowercase();
    // `application/` may be left out and so must not matter (RFC 7515, section 4.1.9).
    match typ.strip_prefix("application/").unwrap_or(&typ) {
        "at+jwt" => Ok(true),
        "jwt" => Ok(false),
        _ => Err(TokenError::Unsupported),
    }
}

/// A NumericDate (RFC 7519, section 2), if the claim is there.
fn instant(claims: &Map<String, Value>, name: &'static str) -> Result<Option<SystemTime>, TokenError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    match value.as_f64() {
        Some(seconds) if (0.0..=LAST_SECOND).contains(&seconds) => {
            Ok(Some(UNIX_EPOCH + Duration::from_secs_f64(seconds)))
        }
        _ => Err(TokenError::MissingClaim(name)),
    }
}
