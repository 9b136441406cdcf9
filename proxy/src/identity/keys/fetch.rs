//! Asking an issuer: OpenID Connect Discovery, then its key set.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use openidconnect::{
    DiscoveryError, HttpRequest, IssuerUrl,
    core::{CoreJsonWebKey, CoreProviderMetadata},
};
use tapedeck_asker::issuer::{Client, RequestError, is_strong, with_causes};

use super::KeySet;

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
    // The first answer is the metadata: clients are shown it as it is, with members that the library does not know.
    let first: Arc<OnceLock<Bytes>> = Arc::default();
    let kept = Arc::clone(&first);
    let client = client.clone();
    let request = move |request: HttpRequest| {
        let (asking, kept) = (client.clone().ask(request), Arc::clone(&kept));
        async move {
            let answer = asking.await?;
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
