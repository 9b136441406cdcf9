//! The way to ClickHouse, as the consumer and the console go it: to one endpoint, or to several that are replicas of the
//! same tables.
//!
//! Statements go to the *current* endpoint. Nothing here moves on by itself: an insert must be looked for before it is tried
//! elsewhere, so whoever knows what a failed statement was says when to [leave](Endpoints::leave) an endpoint.

mod connect;
mod failure;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clickhouse::Client;
use secrecy::ExposeSecret as _;
use tapedeck_config::ClickHouse;

pub use connect::ConnectError;
pub use failure::{causes, is_away, is_distrust, is_unsent};

/// All endpoints of a configuration. Clones share which one is current.
#[derive(Clone)]
pub struct Endpoints {
    all: Arc<[Endpoint]>,
    /// Invariant: below the number of endpoints.
    current: Arc<AtomicUsize>,
    request_timeout: Duration,
}

/// One of them. Debug shows its address and nothing else.
pub struct Endpoint {
    address: String,
    client: Client,
}

impl Endpoint {
    /// Scheme, host and port, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The client that goes there and nowhere else.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

impl Endpoints {
    /// Of this configuration; the first is the current one. Nothing is sent yet.
    ///
    /// # Errors
    /// Where no TLS can be spoken with what `ca_file`, or this machine, has as roots.
    pub fn new(config: &ClickHouse) -> Result<Self, ConnectError> {
        let http = connect::client(config)?;
        let endpoint = |url: &url::Url| {
            let mut client = Client::with_http_client(http.clone())
                .with_url(url.as_str().trim_end_matches('/'))
                .with_database(&config.database)
                .with_user(&config.user);
            if let Some(password) = &config.password {
                client = client.with_password(password.expose_secret());
            }
            Endpoint {
                address: url.origin().ascii_serialization(),
                client,
            }
        };
        Ok(Self {
            all: config.urls().map(endpoint).collect(),
            current: Arc::default(),
            request_timeout: config.request_timeout,
        })
    }

    /// The same endpoints with other settings of their clients. Which one is current is shared with these.
    #[must_use]
    pub fn with(&self, settings: impl Fn(Client) -> Client) -> Self {
        let endpoint = |endpoint: &Endpoint| Endpoint {
            address: endpoint.address.clone(),
            client: settings(endpoint.client.clone()),
        };
        Self {
            all: self.all.iter().map(endpoint).collect(),
            current: Arc::clone(&self.current),
            request_timeout: self.request_timeout,
        }
    }

    /// The number of the current endpoint, from 0.
    #[must_use]
    pub fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// The client of the current endpoint.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.all[self.current()].client()
    }

    /// All of them, by their numbers.
    #[must_use]
    pub fn all(&self) -> &[Endpoint] {
        &self.all
    }

    /// Whether there is more than one.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// The numbers of all endpoints but one, beginning with the one after it.
    pub fn after(&self, number: usize) -> impl Iterator<Item = usize> {
        let count = self.all.len();
        (1..count).map(move |step| (number + step) % count)
    }

    /// Makes `to` the current endpoint if `from` is; whether it was. Statements that are under way go on where they are.
    pub fn leave(&self, from: usize, to: usize) -> bool {
        to < self.all.len()
            && self
                .current
                .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Leaves an endpoint for the next one, if it is still the current one and not the only one.
    pub fn next(&self, from: usize) {
        if let Some(to) = self.after(from).next() {
            self.leave(from, to);
        }
    }

    /// Asks the current endpoint, and while one is away the next, each at most once. For what may be asked twice: reads,
    /// and inserts that a table recognizes.
    ///
    /// # Errors
    /// The last endpoint's.
    pub async fn ask<T, F>(&self, ask: impl Fn(Client) -> F) -> clickhouse::error::Result<T>
    where
        F: Future<Output = clickhouse::error::Result<T>>,
    {
        let mut left = self.all.len();
        loop {
            let endpoint = self.current();
            left -= 1;
            match ask(self.all[endpoint].client().clone()).await {
                Err(error) if left > 0 && is_away(&error) => self.next(endpoint),
                asked => return asked,
            }
        }
    }

    /// The longest wait for an answer.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.request_timeout
    }
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
