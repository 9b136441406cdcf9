//! A token while an exchange goes on: whether its issuer still stands by it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};

use super::AuthError;
use super::introspection::{Introspection, Said};

/// How long an exchange goes on while nobody can say whether its token is still good.
const UNCONFIRMED: Duration = Duration::from_secs(5 * 60);

/// Why a token does not count any more, although it has not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// The issuer says that it is not active.
    Revoked,
    /// The issuer has not answered for five minutes.
    Unconfirmed,
}

/// A token that its issuer is asked about from time to time.
#[derive(Debug)]
pub(crate) struct Watch {
    introspection: Arc<Introspection>,
    token: SecretString,
}

impl Watch {
    pub(super) fn new(introspection: Arc<Introspection>, token: &str) -> Self {
        Self {
            introspection,
            token: token.into(),
        }
    }

    /// Waits until the token does not count any more. Who watches the same token shares the answers: the issuer is asked
    /// once.
    pub(crate) async fn lapses(self) -> Lapse {
        let every = self.introspection.keep();
        let mut confirmed = Instant::now();
        loop {
            tokio::time::sleep(every).await;
            let now = Instant::now();
            let said = self
                .introspection
                .said(self.token.expose_secret(), every / 4, now)
                .await;
            match said {
                Ok((Said::Active(_), at)) => confirmed = at,
                Ok((Said::Inactive, _)) => return Lapse::Revoked,
                Err(AuthError::ProviderUnreachable) if confirmed.elapsed() < UNCONFIRMED => {}
                Err(_) => return Lapse::Unconfirmed,
            }
        }
    }
}
