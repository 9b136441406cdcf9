//! Asking an issuer over HTTP, and which of its keys count.

use std::pin::Pin;
use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode};
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeyType};
use openidconnect::reqwest::{self, redirect};
use openidconnect::{HttpRequest, HttpResponse, JsonWebKey as _};
use rustls_pki_types::CertificateDer;
use url::{Host, Url};
use zeroize::Zeroizing;

/// How long an issuer may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// How long an issuer may take for one answer, the connection included.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// How long a connection is kept for the next question about a token. Keys are asked for every few minutes: a connection
/// that was kept in between would only be found dead.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// The shortest RSA modulus, in bytes: 2048 bits (RFC 7518, section 3.3).
const SHORTEST_MODULUS: usize = 256;

/// An HTTP client for asking issuers, which follows no redirect: answers come from where the issuer said, or not at all.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

/// The HTTP client for asking issuers could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client for the issuers")]
pub struct ClientError(#[from] reqwest::Error);

/// Why one HTTP request failed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It could not be made or sent, or its answer not be read.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// The answer could not be handed on.
    #[error(transparent)]
    Response(#[from] openidconnect::http::Error),
    /// The answer is longer than 1 MiB.
    #[error("the answer is longer than 1 MiB")]
    TooLong,
    /// It goes, without its query, to where others may listen in.
    #[error("{0} is not https")]
    Insecure(String),
}

/// An answer, read whole.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its content. May say who somebody is.
    pub body: Zeroizing<Vec<u8>>,
}

/// A request of `openidconnect`'s under way.
type Asking = Pin<Box<dyn Future<Output = Result<HttpResponse, RequestError>> + Send>>;

/// The roots that this machine trusts. `SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded, as by OpenSSL.
pub fn native_roots() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a trusted root certificate could not be read");
    }
    found.certs
}

impl Client {
    /// A client that trusts `roots`.
    ///
    /// # Errors
    /// Its TLS could not be set up.
    pub fn new(roots: Vec<CertificateDer<'static>>) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIME)
            .timeout(ANSWER_TIME)
            .tls_built_in_root_certs(false)
            .pool_idle_timeout(IDLE_TIME);
        for root in roots {
            // A root that this TLS library cannot use is one that it does not trust.
            if let Ok(root) = reqwest::Certificate::from_der(&root) {
                builder = builder.add_root_certificate(root);
            }
        }
        Ok(Self(builder.build()?))
    }

    /// Starts a request, to be given to [`Client::send`].
    pub fn request(&self, method: http::Method, url: Url) -> reqwest::RequestBuilder {
        self.0.request(method, url)
    }

    /// Sends a request, if it goes to where nobody listens in.
    ///
    /// # Errors
    /// There is no answer, or none of an acceptable length.
    pub async fn send(&self, request: reqwest::Request) -> Result<Answer, RequestError> {
        if !is_secure(request.url()) {
            let mut shown = request.url().clone();
            shown.set_query(None);
            return Err(RequestError::Insecure(shown.to_string()));
        }
        let mut response = self.0.execute(request).await?;
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(RequestError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }

    /// Sends a request of `openidconnect`'s. Owns its client: a future that borrows it cannot be proven to be Send
    /// (rust-lang/rust#100013).
    ///
    /// # Errors
    /// Those of [`Client::send`].
    pub async fn ask(self, request: HttpRequest) -> Result<HttpResponse, RequestError> {
        let answer = self.send(request.try_into()?).await?;
        let mut built = openidconnect::http::Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            built = built.header(name, value);
        }
        Ok(built.body(answer.body.to_vec())?)
    }

    /// [`Client::ask`] as `openidconnect` wants it.
    pub fn for_library(&self) -> impl Fn(HttpRequest) -> Asking + Send + Sync + use<> {
        let client = self.clone();
        move |request| Box::pin(client.clone().ask(request))
    }
}

/// The error with its causes in one line: the libraries' own say only that a request failed.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

/// Whether an issuer may be asked there. Whoever can change the answer on its way decides who everybody is: metadata from
/// https may not lead to http keys.
pub fn is_secure(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

/// Whether the URL's host is this machine itself, by its address or the reserved name (RFC 6761, section 6.3).
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Whether a key may verify signatures: public, and long enough.
pub fn is_strong(key: &CoreJsonWebKey) -> bool {
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
