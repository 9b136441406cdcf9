//! Tokens that no honest issuer issues.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tapedeck_dev::identity::{Identity, Unsigned};

use crate::AUDIENCE;

/// Seconds since 1970.
///
/// # Errors
/// Never on a machine whose clock is set.
pub fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// The header and claims of a good access token for alice, to be spoiled.
///
/// # Errors
/// When the provider's keys cannot be read.
pub fn good(identity: &Identity) -> anyhow::Result<Unsigned> {
    let kid = identity.key_id("RS256")?.context("the provider has no key for RS256")?;
    let now = now()?;
    Ok(Unsigned {
        header: json!({ "typ": "at+jwt", "alg": "RS256", "kid": kid }),
        claims: json!({
            "iss": identity.issuer(),
            "sub": "alice",
            "aud": AUDIENCE,
            "client_id": "tapedeck-tests",
            "jti": format!("test-{}", uuid::Uuid::now_v7().simple()),
            "iat": now - 10,
            "nbf": now - 10,
            "exp": now + 3600,
            "groups": ["engineers"],
        }),
        kid: Some(kid),
    })
}

/// Signs a token whose claims are changed: null removes a claim.
///
/// # Errors
/// When it cannot be signed.
pub async fn with_claims(identity: &Identity, changes: Value) -> anyhow::Result<String> {
    let mut token = good(identity)?;
    for (claim, value) in changes.as_object().into_iter().flatten() {
        token.claims[claim] = value.clone();
    }
    if let Some(claims) = token.claims.as_object_mut() {
        claims.retain(|_, value| !value.is_null());
    }
    signed(identity, token).await
}

/// Signs a token as it is.
///
/// # Errors
/// When it cannot be signed.
pub async fn signed(identity: &Identity, token: Unsigned) -> anyhow::Result<String> {
    let signed = identity.sign(&[token]).await?;
    Ok(signed
        .first()
        .ok_or_else(|| anyhow!("no token came back"))?
        .as_str()
        .to_owned())
}

/// A token with that header, those claims, and that signature.
pub fn compact(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (header, claims) = (
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes()),
    );
    format!("{header}.{claims}.{}", encode(signature))
}

/// A token that is authenticated by HMAC with a public key as its secret: what a verifier takes that lets the token choose
/// the algorithm (RFC 8725, section 2.1).
///
/// # Errors
/// Never: HMAC takes keys of any length.
pub fn keyed_by(secret: &[u8], kid: &str, claims: &Value) -> anyhow::Result<String> {
    let header = json!({ "typ": "at+jwt", "alg": "HS256", "kid": kid });
    let unsigned = compact(&header, claims, &[]);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret)?;
    mac.update(unsigned.trim_end_matches('.').as_bytes());
    Ok(compact(&header, claims, &mac.finalize().into_bytes()))
}
