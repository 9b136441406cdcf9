//! The server: its parts put together, and their life.

mod access;
mod api;
pub mod config;
mod edge;
mod export;
mod identity;
mod listen;
mod problem;
mod query;
mod rights;
mod sql_looks;
mod store;
mod time;
mod timing;
mod values;
mod web;

use std::net::SocketAddr;
use std::sync::Arc;

use tapedeck_clickhouse::ConnectError;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use access::AccessLog;
use config::Config;
use edge::Strangers;
use identity::{BrowserSessions, Provider, Seals, SignIns};
use store::Store;
use values::Values;

pub(crate) use api::{FRAME_COLUMNS, Frame, FramePage, Hit, Holder, Page, SESSION_COLUMNS, Session, start_of};
pub use identity::ClientError;
pub(crate) use listen::serve as listen;
pub use values::ValuesError;

/// Why the server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's word.
        source: std::io::Error,
    },
    /// Certificate and key are no use.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// ClickHouse cannot be reached by what is configured.
    #[error(transparent)]
    ClickHouse(#[from] ConnectError),
    /// No HTTP client for the identity provider.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Values cannot be searched for.
    #[error("[tokens]: {0}")]
    Values(#[from] ValuesError),
}

/// What every request needs.
#[derive(Debug)]
struct Console {
    config: Config,
    store: Store,
    access: Arc<AccessLog>,
    strangers: Arc<Strangers>,
    provider: Provider,
    sessions: BrowserSessions,
    sign_ins: SignIns,
    values: Option<Values>,
}

/// Serves until `shutdown`, then finishes the answers that are under way. Neither ClickHouse nor the identity provider
/// need be there at the start.
///
/// # Errors
/// When the configured address cannot be listened on, or what [`run_on`] needs cannot be made.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), ServeError> {
    let address = config.listen;
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    run_on(listener, config, shutdown).await
}

/// [`run`] on a listener that is there already.
///
/// # Errors
/// When TLS or a client for the identity provider cannot be set up, or packs are wrong.
pub async fn run_on(listener: TcpListener, config: Config, shutdown: CancellationToken) -> Result<(), ServeError> {
    let acceptor = config.tls.as_ref().map(listen::acceptor).transpose()?;
    if config.session_keys.is_random() {
        tracing::warn!(
            "no session_keys: who signs in has to do so again when this process ends, and at every other replica"
        );
    }
    let seals = Seals::new(&config.session_keys);
    let console = Arc::new(Console {
        store: Store::new(&config.clickhouse, config.limits)?,
        access: Arc::new(AccessLog::start(&config.access_log)?),
        strangers: Arc::new(Strangers::new()),
        provider: Provider::new(config.issuer.clone(), &config.public_url)?,
        sessions: BrowserSessions::new(&config, seals.clone())?,
        sign_ins: SignIns::new(seals),
        values: config.tokens.as_ref().map(Values::new).transpose()?,
        config,
    });
    let looks = console.config.query_log.clone();
    let looks = looks.map(|query_log| sql_looks::take(&console.config, query_log, shutdown.clone()));
    let looks = looks.transpose()?.map(tokio::spawn);
    if looks.is_none() {
        tracing::warn!("no [query_log]: looks at the database in SQL, past the console, are not on the access log");
    }
    tracing::info!(url = console.config.public_url.origin(), "serving");
    let router = web::router(Arc::clone(&console), shutdown.clone());
    listen::serve(listener, acceptor, router, shutdown).await;
    if let Some(looks) = looks {
        // A panic in there is in the log already.
        let _ = looks.await;
    }
    Ok(())
}

/// The API's description, OpenAPI 3.1, as JSON.
#[must_use]
pub fn openapi() -> String {
    api::description()
        .to_pretty_json()
        .expect("a description made of strings and maps is JSON")
}
