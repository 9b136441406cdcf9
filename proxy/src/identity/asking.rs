//! Asking an issuer about tokens.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use openidconnect::reqwest;
use tapedeck_asker::issuer::{Answer, Client, with_causes};
use tokio::sync::Semaphore;

use super::AuthError;

/// Questions about tokens at once, for each issuer. More wait.
const AT_ONCE: usize = 32;

/// How long nothing is asked after an asking failed: who waits then would only wait in vain.
const PAUSE: Duration = Duration::from_secs(1);

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
        if self.is_away() {
            return Err(AuthError::ProviderUnreachable);
        }
        let problem = match self.client.send(request).await {
            Ok(answer) if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS => {
                format!("it answers {}", answer.status.as_u16())
            }
            Ok(answer) => return Ok(answer),
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
