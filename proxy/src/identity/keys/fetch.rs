//! Asking an issuer: OpenID Connect Discovery, then its key set.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use openidconnect::{
    DiscoveryError, HttpRequest, HttpResponse, IssuerUrl, JsonWebKey,
    core::{CoreJsonWebKey, CoreJsonWebKeyType, CoreProviderMetadata},
    reqwest,
};

use super::KeySet;
use crate::identity::asking::{Client, RequestError, with_causes};

/// The shortest RSA modulus, in bytes: 2048 bits (RFC 7518, section 3.3). A shorter key is left out.
const SHORTEST_MODULUS: usize = 256;

/// Why an issuer's answer is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// Of the issuer's metadata or keys; with all its causes, for people to read.
    #[error("{0}")]
    Discovery(String),
    /// The metadata names another issuer (OpenID Connect Discovery, section 4.3).
    #[error("its metadata is that of the issuer {0}")]
    OtherIssuer(String),
    #[error("its key set holds no key that verifies signatures")]
    NoKeys,
}

/// The issuer's keys, as of `now`.
pub(super) async fn keys(client: &Client, issuer: &str, now: Instant) -> Result<KeySet, FetchError> {
    let url = IssuerUrl::new(issuer.to_owned()).map_err(|error| FetchError::Discovery(error.to_string()))?;
    // Owns its client: a future that borrows it cannot be proven to be Send (rust-lang/rust#100013).
    let client = client.clone();
    // The first answer is the metadata: clients are shown it as it is, with members that the library does not know.
    let first: Arc<OnceLock<Bytes>> = Arc::default();
    let kept = Arc::clone(&first);
    let request = move |request: HttpRequest| {
        let (client, kept) = (client.clone(), Arc::clone(&kept));
        async move {
            let answer = get(client, request).await?;
            kept.get_or_init(|| Bytes::copy_from_slice(answer.body()));
            Ok(answer)
        }
    };
    let metadata = CoreProviderMetadata::discover_async(url, &request)
        .await
        .map_err(|error: DiscoveryError<RequestError>| FetchError::Discovery(with_causes(&error)))?;
    // The library compares parsed URLs or text, depending on its version; this is the rule.
    if metadata.issuer().as_str() != issuer {
        return Err(FetchError::OtherIssuer(metadata.issuer().to_string()));
    }
    let keys: Vec<CoreJsonWebKey> = metadata
        .jwks()
        .keys()
        .iter()
        .filter(|key| is_strong(key))
        .cloned()
        .collect();
    if keys.is_empty() {
        return Err(FetchError::NoKeys);
    }
    let scopes = metadata
        .scopes_supported()
        .into_iter()
        .flatten()
        .map(|scope| scope.to_string())
        .collect();
    let metadata = first.get().cloned().unwrap_or_default();
    Ok(KeySet::new(keys, scopes, metadata, now))
}

async fn get(client: Client, request: HttpRequest) -> Result<HttpResponse, RequestError> {
    let request: reqwest::Request = request.try_into()?;
    let answer = client.send(request).await?;
    let mut built = openidconnect::http::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        built = built.header(name, value);
    }
    Ok(built.body(answer.body.to_vec())?)
}

/// Whether a key may verify signatures: public, and long enough.
fn is_strong(key: &CoreJsonWebKey) -> bool {
    match key.key_type() {
        CoreJsonWebKeyType::RSA => {
            let json = serde_json::to_value(key).unwrap_or_default();
            let modulus = json
                .get("n")
                .and_then(|n| BASE64_URL_SAFE_NO_PAD.decode(n.as_str()?).ok());
            modulus.is_some_and(|n| n.iter().skip_while(|byte| **byte == 0).count() >= SHORTEST_MODULUS)
        }
        CoreJsonWebKeyType::EllipticCurve | CoreJsonWebKeyType::OctetKeyPair => true,
        // A symmetric key in a public set is no secret, so it proves nothing; other types are unknown.
        _ => false,
    }
}
