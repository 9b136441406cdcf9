//! Asking an issuer over HTTP: for its metadata and keys, and about tokens.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use openidconnect::reqwest::{self, redirect};
use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;
use url::Url;
use zeroize::Zeroizing;

use super::AuthError;
use crate::config::is_loopback;

/// How long an issuer may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// How long an issuer may take for one answer, the connection included.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// How long a connection is kept for the next question about a token. Keys are asked for every few minutes: a connection
/// that was kept in between would only be found dead.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// Questions about tokens at once, for each issuer. More wait.
const AT_ONCE: usize = 32;

/// How long nothing is asked after an asking failed: who waits then would only wait in vain.
const PAUSE: Duration = Duration::from_secs(1);

/// An HTTP client for asking issuers. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Client(reqwest::Client);

/// The HTTP client for asking issuers could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client for the issuers")]
pub struct ClientError(#[from] reqwest::Error);

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
    #[error("it has not answered a moment ago")]
    Away,
}

/// An answer, read whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// May say who somebody is.
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// The roots that this machine trusts. `SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded, as by OpenSSL.
pub(super) fn native_roots() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a trusted root certificate could not be read");
    }
    found.certs
}

/// A client that trusts `roots` and follows no redirect: answers come from where the issuer said, or not at all.
pub(super) fn client(roots: Vec<CertificateDer<'static>>) -> Result<Client, ClientError> {
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
    Ok(Client(builder.build()?))
}

impl Client {
    /// Starts a request, to be given to [`Client::send`].
    pub(super) fn request(&self, method: http::Method, url: Url) -> reqwest::RequestBuilder {
        self.0.request(method, url)
    }

    /// Sends a request, if it goes to where nobody listens in.
    pub(super) async fn send(&self, request: reqwest::Request) -> Result<Answer, RequestError> {
        if !is_secure(request.url()) {
            return Err(RequestError::Insecure(request.url().to_string()));
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
}

/// The error with its causes in one line: the libraries' own say only that a request failed.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

/// Whoever can change the answer on its way decides who everybody is. Metadata from https may not lead to http keys.
pub(super) fn is_secure(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

/// Where one issuer is asked about tokens. A few questions at once, and none for a moment when it is away, so that
/// whoever waits does not wait for all who waited before.
#[derive(Debug)]
pub(super) struct Desk {
    client: Client,
    room: Semaphore,
    failed: Mutex<Option<Instant>>,
}

impl Desk {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            room: Semaphore::new(AT_ONCE),
            failed: Mutex::default(),
        }
    }

    /// The client, to make a request of.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Asks. `what` is asked, of which `issuer`, is for the log.
    ///
    /// # Errors
    /// [`AuthError::ProviderUnreachable`]: no answer, or one that says that the issuer cannot answer (5xx, 429).
    pub(super) async fn ask(&self, what: &str, issuer: &str, request: reqwest::Request) -> Result<Answer, AuthError> {
        let _place = self.room.acquire().await.map_err(|_| AuthError::ProviderUnreachable)?;
        let outcome = if self.is_away() {
            Err(RequestError::Away)
        } else {
            self.client.send(request).await
        };
        let problem = match outcome {
            Ok(answer) if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS => {
                format!("it answers {}", answer.status.as_u16())
            }
            Ok(answer) => return Ok(answer),
            Err(RequestError::Away) => return Err(AuthError::ProviderUnreachable),
            Err(error) => with_causes(&error),
        };
        tracing::warn!(%issuer, %problem, "no answer from the issuer's {what}");
        *self.failed() = Some(Instant::now());
        Err(AuthError::ProviderUnreachable)
    }

    fn is_away(&self) -> bool {
        self.failed().is_some_and(|at| at.elapsed() < PAUSE)
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
