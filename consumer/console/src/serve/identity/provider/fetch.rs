//! The issuer's metadata.

use openidconnect::{DiscoveryError, IssuerUrl, ProviderMetadataWithLogout};
use tapedeck_asker::issuer::{Client, RequestError, with_causes};

/// Why the issuer's metadata is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Discovery(String),
    /// OpenID Connect Discovery, section 4.3.
    #[error("its metadata is that of the issuer {0}")]
    OtherIssuer(String),
}

/// The issuer's metadata and keys.
pub(super) async fn metadata(client: &Client, issuer: &str) -> Result<ProviderMetadataWithLogout, FetchError> {
    let url = IssuerUrl::new(issuer.to_owned()).map_err(|error| FetchError::Discovery(error.to_string()))?;
    let metadata = ProviderMetadataWithLogout::discover_async(url, &client.for_library())
        .await
        .map_err(|error: DiscoveryError<RequestError>| FetchError::Discovery(with_causes(&error)))?;
    // The library compares parsed URLs or text, depending on its version; this is the rule.
    match metadata.issuer().as_str() == issuer {
        true => Ok(metadata),
        false => Err(FetchError::OtherIssuer(metadata.issuer().to_string())),
    }
}
