//! HTTP towards the issuer.

use std::time::Duration;

use openidconnect::reqwest::{self, redirect};
use openidconnect::{DiscoveryError, HttpRequest, HttpResponse, IssuerUrl, ProviderMetadataWithLogout};
use url::Url;

use crate::serve::config::is_loopback;

/// How long the issuer may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// How long it may take for one answer, the connection included.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

/// An HTTP client for the issuer. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Client(reqwest::Client);

/// No HTTP client for the issuer could be made.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client for the identity provider")]
pub struct ClientError(#[from] reqwest::Error);

/// Why the issuer's metadata is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Discovery(String),
    /// OpenID Connect Discovery, section 4.3.
    #[error("its metadata is that of the issuer {0}")]
    OtherIssuer(String),
}

/// Why one HTTP request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Response(#[from] openidconnect::http::Error),
    #[error("the answer is longer than 1 MiB")]
    TooLong,
    #[error("{0} is not https")]
    Insecure(String),
}

impl Client {
    /// A client that trusts this machine's roots and follows no redirect.
    pub(super) fn new() -> Result<Self, ClientError> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a trusted root certificate could not be read");
        }
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIME)
            .timeout(ANSWER_TIME)
            .tls_built_in_root_certs(false)
            // Asked every few minutes: a connection kept in between would only be found dead.
            .pool_max_idle_per_host(0);
        for root in &found.certs {
            // A root that this TLS library cannot use is one that it does not trust.
            if let Ok(root) = reqwest::Certificate::from_der(root) {
                builder = builder.add_root_certificate(root);
            }
        }
        Ok(Self(builder.build()?))
    }

    /// The client as the library wants it.
    pub(super) fn requests(
        &self,
    ) -> impl Fn(HttpRequest) -> std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, RequestError>> + Send>>
    + Send
    + Sync
    + use<> {
        // Owns its client: a future that borrows it cannot be proven to be Send (rust-lang/rust#100013).
        let client = self.clone();
        move |request| Box::pin(send(client.clone(), request))
    }
}

async fn send(client: Client, request: HttpRequest) -> Result<HttpResponse, RequestError> {
    let request: reqwest::Request = request.try_into()?;
    // Whoever can change the answer on its way decides who everybody is.
    if request.url().scheme() != "https" && !is_loopback(request.url()) {
        let mut shown: Url = request.url().clone();
        shown.set_query(None);
        return Err(RequestError::Insecure(shown.to_string()));
    }
    let mut response = client.0.execute(request).await?;
    let mut built = openidconnect::http::Response::builder().status(response.status());
    for (name, value) in response.headers() {
        built = built.header(name, value);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LONGEST {
            return Err(RequestError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(built.body(body)?)
}

/// The issuer's metadata and keys.
pub(super) async fn metadata(client: &Client, issuer: &str) -> Result<ProviderMetadataWithLogout, FetchError> {
    let url = IssuerUrl::new(issuer.to_owned()).map_err(|error| FetchError::Discovery(error.to_string()))?;
    let metadata = ProviderMetadataWithLogout::discover_async(url, &client.requests())
        .await
        .map_err(|error: DiscoveryError<RequestError>| FetchError::Discovery(with_causes(&error)))?;
    // The library compares parsed URLs or text, depending on its version; this is the rule.
    match metadata.issuer().as_str() == issuer {
        true => Ok(metadata),
        false => Err(FetchError::OtherIssuer(metadata.issuer().to_string())),
    }
}

/// The error with its causes in one line: the library's own says only that a request failed.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
