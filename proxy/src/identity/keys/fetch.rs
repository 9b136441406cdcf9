//! Asking an issuer: OpenID Connect Discovery, then its key set.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use openidconnect::{
    DiscoveryError, HttpRequest, HttpResponse, IssuerUrl, JsonWebKey,
    core::{CoreJsonWebKey, CoreJsonWebKeyType, CoreProviderMetadata},
    reqwest::{self, redirect},
};
use rustls_pki_types::CertificateDer;
use url::Url;

use super::KeySet;
use crate::config::is_loopback;

/// How long the issuer may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// How long the issuer may take for one answer, the connection included.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// The shortest RSA modulus, in bytes: 2048 bits (RFC 7518, section 3.3). A shorter key is left out.
const SHORTEST_MODULUS: usize = 256;

/// An HTTP client for asking issuers. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::identity) struct Client(reqwest::Client);

/// The HTTP client for asking issuers could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client for the issuers")]
pub struct ClientError(#[from] reqwest::Error);

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

/// Why one HTTP request failed.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Response(#[from] openidconnect::http::Error),
    #[error("the answer is longer than 1 MiB")]
    TooLong,
    #[error("{0} is not https")]
    Insecure(String),
}

/// The roots that this machine trusts. `SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded, as by OpenSSL.
pub(in crate::identity) fn native_roots() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a trusted root certificate could not be read");
    }
    found.certs
}

/// A client that trusts `roots` and follows no redirect: keys come from where the issuer said, or not at all.
pub(in crate::identity) fn client(roots: Vec<CertificateDer<'static>>) -> Result<Client, ClientError> {
    let mut builder = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIME)
        .timeout(ANSWER_TIME)
        .tls_built_in_root_certs(false)
        // Asked every few minutes: a connection kept in between would only be found dead.
        .pool_max_idle_per_host(0);
    for root in roots {
        // A root that this TLS library cannot use is one that it does not trust.
        if let Ok(root) = reqwest::Certificate::from_der(&root) {
            builder = builder.add_root_certificate(root);
        }
    }
    Ok(Client(builder.build()?))
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
        .map_err(discovery_problem)?;
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
    if !is_secure(request.url()) {
        return Err(RequestError::Insecure(request.url().to_string()));
    }
    let mut response = client.0.execute(request).await?;
    let mut built = openidconnect::http::Response::builder().status(response.status());
    for (name, value) in response.headers() {
        built = built.header(name, value);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(RequestError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(built.body(body)?)
}

/// Whoever can change the answer on its way decides who everybody is. Metadata from https may not lead to http keys.
fn is_secure(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
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

/// The error with its causes in one line: the library's own says only that a request failed.
fn discovery_problem(error: DiscoveryError<RequestError>) -> FetchError {
    let mut line = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    FetchError::Discovery(line)
}
