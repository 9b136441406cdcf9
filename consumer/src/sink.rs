//! ClickHouse: the one insert per batch, under a lease, and what is read back from the table.

mod asked;
mod clock;
mod erase;
mod error;
mod holds;
mod insert;
mod open_calls;
mod orders;
mod past;
mod pieces;
mod read_back;
mod retries;

use clickhouse::{Client, Compression};
use secrecy::ExposeSecret as _;
use tapedeck_config::ClickHouse;

pub use clock::ServerClock;
pub use erase::{Erased, LoadedPlace};
pub use error::{Fault, SinkError};
pub use insert::{Block, Insert, statement};
pub use open_calls::OpenCall;
pub use past::Past;
pub use read_back::Loaded;

/// A connection to the database that holds the tables.
#[derive(Clone)]
pub struct Sink {
    client: Client,
    /// For inserts, whose bodies come compressed.
    loading: Client,
    database: String,
}

impl Sink {
    /// Of this configuration. Nothing is sent yet.
    #[must_use]
    pub fn new(config: &ClickHouse) -> Self {
        let mut client = Client::default()
            .with_url(config.url.as_str())
            .with_database(&config.database)
            .with_user(&config.user)
            .with_compression(Compression::Lz4);
        if let Some(password) = &config.password {
            client = client.with_password(password.expose_secret());
        }
        let loading = client
            .clone()
            .with_compression(Compression::None)
            .with_header("Content-Encoding", "lz4");
        Self {
            client,
            loading,
            database: config.database.clone(),
        }
    }

    /// The client, for statements that no lease guards.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Whether ClickHouse answers within `patience`.
    pub async fn is_up(&self, patience: std::time::Duration) -> bool {
        let query = self.client.query("SELECT 1").fetch_one::<u8>();
        matches!(tokio::time::timeout(patience, query).await, Ok(Ok(1)))
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}
