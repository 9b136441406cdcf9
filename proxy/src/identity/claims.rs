//! What an issuer says of an access token, in the token itself or by introspection: judged by the same rules.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::{AuthError, Binding, LEEWAY};
use crate::config::Issuer;

/// Instants after this one (the end of the year 9999) are taken for nonsense rather than for a time.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// The claims of an access token that is for us and valid now, by its issuer's own word.
#[derive(Debug)]
pub(super) struct AccessClaims<'a> {
    pub(super) all: &'a Map<String, Value>,
    pub(super) expires: SystemTime,
    pub(super) binding: Binding,
    /// Those of `aud` that are the issuer's for us; at least one.
    pub(super) audiences: Vec<String>,
}

impl<'a> AccessClaims<'a> {
    /// The claims, if they are those of a token for one of the issuer's audiences, valid at `now`. The caller has
    /// established that they are the issuer's, and of an access token.
    pub(super) fn judge(claims: &'a Map<String, Value>, issuer: &Issuer, now: SystemTime) -> Result<Self, AuthError> {
        let named = match claims.get("aud") {
            Some(Value::Array(audiences)) => audiences.as_slice(),
            Some(audience) => std::slice::from_ref(audience),
            None => &[],
        };
        let is_ours = |audience: &&str| issuer.audiences.iter().any(|ours| ours == audience);
        let named = named.iter().filter_map(Value::as_str);
        let audiences: Vec<String> = named.filter(is_ours).map(str::to_owned).collect();
        if audiences.is_empty() {
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
        Ok(Self {
            all: claims,
            expires,
            binding: Binding::of(claims)?,
            audiences,
        })
    }

    /// `sub`: who. Not empty.
    pub(super) fn subject(&self) -> Result<&'a str, AuthError> {
        let subject = self.all.get("sub").and_then(Value::as_str);
        subject
            .filter(|subject| !subject.is_empty())
            .ok_or(AuthError::MissingClaim("sub"))
    }
}

/// Whether a claim that says what kind of token it is says another kind: Keycloak's `typ` (`Bearer` for access tokens,
/// else `ID`, `Refresh`, `Offline`, `Logout`), and `token_use` (Cognito `access`, Ory Hydra `access_token`).
pub(super) fn says_another_kind(claims: &Map<String, Value>) -> bool {
    let says = |claim: &str, access: &[&str]| match claims.get(claim) {
        None => true,
        Some(Value::String(kind)) => access.iter().any(|access| access.eq_ignore_ascii_case(kind)),
        Some(_) => false,
    };
    !says("typ", &["Bearer", "DPoP", "at+jwt"]) || !says("token_use", &["access", "access_token"])
}

/// A NumericDate (RFC 7519, section 2), if the claim is there.
pub(super) fn instant(claims: &Map<String, Value>, name: &'static str) -> Result<Option<SystemTime>, AuthError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    match value.as_f64() {
        Some(seconds) if (0.0..=LAST_SECOND).contains(&seconds) => {
            Ok(Some(UNIX_EPOCH + Duration::from_secs_f64(seconds)))
        }
        _ => Err(AuthError::MissingClaim(name)),
    }
}
