//! ClickHouse: the one insert per batch, under a lease, and what is read back from the table.

mod asked;
mod clock;
mod erase;
mod error;
mod holds;
mod insert;
mod open_calls;
mod orders;
mod packing;
mod past;
mod pieces;
mod read_back;
mod replicas;
mod retries;

use std::sync::{Arc, OnceLock};

use clickhouse::{Client, Compression};
use tapedeck_clickhouse::{ConnectError, Endpoints};
use tapedeck_config::ClickHouse;
use tokio::sync::Mutex;

use replicas::Table;

pub use clock::{Lease, ServerClock};
pub use erase::{Erased, LoadedPlace};
pub use error::{Fault, SinkError};
pub use insert::{Block, Insert, statement};
pub use open_calls::OpenCall;
pub use packing::Packing;
pub use past::Past;
pub use read_back::Loaded;

/// The way to the database that holds the tables: one endpoint, or several replicas (`replicas.rs`).
#[derive(Clone)]
pub struct Sink {
    endpoints: Endpoints,
    /// The same for inserts, whose bodies come packed.
    loading: Endpoints,
    packing: Packing,
    database: String,
    /// What every endpoint must hold, once one has said it.
    table: Arc<OnceLock<Table>>,
    /// Held while another endpoint is made the current one.
    moving: Arc<Mutex<()>>,
}

impl Sink {
    /// Of this configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// Where no TLS can be spoken with the roots that are configured.
    pub fn new(config: &ClickHouse) -> Result<Self, ConnectError> {
        let endpoints = Endpoints::new(config)?.with(|client| client.with_compression(Compression::Lz4));
        let packing = Packing::towards(config);
        Ok(Self {
            loading: packing.of(&endpoints),
            packing,
            endpoints,
            database: config.database.clone(),
            table: Arc::default(),
            moving: Arc::default(),
        })
    }

    /// The same, with rows sent so.
    #[must_use]
    pub fn with_packing(self, packing: Packing) -> Self {
        Self {
            loading: packing.of(&self.endpoints),
            packing,
            ..self
        }
    }

    /// The current endpoint's client, for statements that no lease guards.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.endpoints.client()
    }

    /// How rows are sent.
    #[must_use]
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Whether ClickHouse answers within `patience`.
    pub async fn is_up(&self, patience: std::time::Duration) -> bool {
        let query = self.timed(self.client().query("SELECT 1").fetch_one::<u8>());
        matches!(tokio::time::timeout(patience, query).await, Ok(Ok(1)))
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink")
            .field("endpoints", &self.endpoints)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}
