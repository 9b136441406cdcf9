//! The running proxy: its start and its stop.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use tapedeck_registry::{Registry as SchemaRegistry, RegistryError};
use tapedeck_schemas::schema;
use tapedeck_schemas::wire::Framing;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::Admin;
use crate::config::{Config, Record, Target};
use crate::gate::Gate;
use crate::identity::Authenticator;
use crate::listen;
use crate::metrics::Metrics;
use crate::proxy::{Proxy, acceptor, routes};
use crate::record::{Framings, Recorder, RecorderSettings, SpooledTargets};
use crate::reload::{Current, Reloader};
use crate::served::{Clients, Operators};
use crate::session_tag::TagKeys;
use crate::telemetry::Traces;
use crate::workers::Workers;

/// How long calls in progress may go on once the proxy stops. Listening streams end at once: their clients come back to
/// another replica.
const GRACE: Duration = Duration::from_secs(15);
/// How long what was cut may take to be told so.
const CUT_GRACE: Duration = Duration::from_secs(2);
/// How long Kafka may take to acknowledge the last frames.
const GOODBYE: Duration = Duration::from_secs(10);

/// Why the proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the operating system says.
        #[source]
        error: std::io::Error,
    },
    /// The certificate and key for clients cannot be used.
    #[error("[tls]: {0}")]
    Tls(#[source] listen::TlsError),
    /// A target cannot be connected to, whatever its state.
    #[error("target {name}: {error}")]
    Target {
        /// Its name.
        name: String,
        /// Why.
        error: String,
    },
    /// The session tag's keys cannot be used.
    #[error("[sessions] tag_keys: {0}")]
    TagKeys(#[from] crate::session_tag::TagKeysError),
    /// Traces cannot be exported.
    #[error("[telemetry]: {0}")]
    Telemetry(#[from] tapedeck_otlp::OtlpError),
    /// There are no threads to serve clients on.
    #[error("no threads for clients: {0}")]
    Threads(#[source] std::io::Error),
    /// Tokens cannot be verified.
    #[error("no HTTP client for the identity provider: {0}")]
    Identity(String),
    /// The schema registry refuses for good.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Frames cannot be recorded, whatever Kafka's state.
    #[error("[kafka]: {0}")]
    Record(#[from] crate::record::StartError),
}

/// A proxy that serves. [`Running::stop`] ends it in order; dropping it leaves its tasks to the runtime.
#[derive(Debug)]
pub struct Running {
    current: Arc<Current>,
    address: SocketAddr,
    admin_address: SocketAddr,
    /// The last to go: connections whose exchange is over are given time to say so.
    sever: CancellationToken,
    servers: [JoinHandle<()>; 2],
    /// Exchanges are on them, which outlive their connections.
    _workers: Arc<Workers>,
}

/// Starts to serve `config`. Kafka, targets and issuers need not be there yet: what needs them is refused until they are.
///
/// Must be called within a Tokio runtime.
///
/// # Errors
/// What no waiting would mend: an address that is taken, keys and certificates that do not fit.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let tls = acceptor(&config)?;
    let routes = routes(&config, &HashMap::new(), &metrics)?;
    let tag_keys = Arc::new(TagKeys::new(config.tag_keys.all().to_vec())?);
    let traces = Traces::start(config.traces.as_ref())?;
    let workers = Arc::new(Workers::start().map_err(StartError::Threads)?);
    let listener = bind(config.listen).await?;
    let admin_listener = bind(config.admin_listen).await?;
    let address = listener.local_addr().map_err(|error| StartError::Listen {
        address: config.listen,
        error,
    })?;
    let admin_address = admin_listener.local_addr().map_err(|error| StartError::Listen {
        address: config.admin_listen,
        error,
    })?;
    let framings = framings(&config).await?;
    let recorder = Recorder::start(recorder_settings(&config, framings), &mut registry)?;
    let authenticator = Authenticator::start(&config.issuers, config.dpop, config.tag_keys.all())
        .map_err(|error| StartError::Identity(error.to_string()))?;

    let proxy = Arc::new(Proxy {
        gate: Gate::new(&config.limits),
        config,
        authenticator,
        recorder,
        tag_keys,
        elsewhere: Arc::new(metrics.answers("")),
        metrics,
        traces,
        routes,
        exchanges: TaskTracker::new(),
        tls,
        stopping: CancellationToken::new(),
        cut: CancellationToken::new(),
    });
    let (targets, sever, stopping) = (proxy.routes.len(), CancellationToken::new(), proxy.stopping.clone());
    let current = Arc::new(Current::new(proxy, &mut registry));
    let clients = Clients::new(current.watch());
    let clients = listen::serve(listener, Some(Arc::clone(&workers)), clients, stopping, sever.clone());
    let operators = Operators::new(Admin::new(Arc::clone(&current), registry), sever.clone());
    // Health is asked for, and metrics are scraped, to the very end.
    let operators = listen::serve(admin_listener, None, operators, sever.clone(), sever.clone());
    let servers = [tokio::spawn(clients), tokio::spawn(operators)];
    tracing::info!(%address, %admin_address, targets, "serving");
    Ok(Running {
        current,
        address,
        admin_address,
        sever,
        servers,
        _workers: workers,
    })
}

impl Running {
    /// Where clients are served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics and health are served.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// What keeps to `file`, from which the configuration was read.
    #[must_use]
    pub fn reloader(&self, file: PathBuf) -> Reloader {
        Reloader::new(Arc::clone(&self.current), file)
    }

    /// Stops in order: no new connections; listening streams end, calls may finish for 15 s and are cut then, on
    /// record; every segment is sealed and the writer says goodbye.
    ///
    /// # Errors
    /// Kafka did not acknowledge all of it in time.
    pub async fn stop(self) -> Result<(), crate::record::Unfinished> {
        // Whatever configuration comes now shares what is waited for here.
        let proxy = self.current.proxy();
        proxy.stopping.cancel();
        proxy.exchanges.close();
        if tokio::time::timeout(GRACE, proxy.exchanges.wait()).await.is_err() {
            tracing::warn!(exchanges = proxy.exchanges.len(), "cut: not finished in time");
        }
        proxy.cut.cancel();
        if tokio::time::timeout(CUT_GRACE, proxy.exchanges.wait()).await.is_err() {
            tracing::error!(exchanges = proxy.exchanges.len(), "exchanges do not end");
        }
        let [clients, operators] = self.servers;
        let _ = tokio::time::timeout(CUT_GRACE, clients).await;
        let outcome = proxy.recorder.shutdown(Instant::now() + GOODBYE).await;
        proxy.traces.shutdown().await;
        self.sever.cancel();
        // It ends at once: its connections are severed.
        let _ = operators.await;
        outcome
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen { address, error })
}

/// How records name their schemas: by a registry's ids, where there is one. Waits until it answers.
async fn framings(config: &Config) -> Result<Framings, RegistryError> {
    let Some(registry) = &config.schema_registry else {
        return Ok(Framings::default());
    };
    let (registry, topics) = (SchemaRegistry::new(registry)?, &config.kafka.topics);
    Ok(Framings {
        frames: Framing::Registry(registry.register_at_last(topics.frames(), schema::FRAME).await?),
        control: Framing::Registry(registry.register_at_last(topics.control(), schema::CONTROL).await?),
    })
}

fn recorder_settings(config: &Config, framings: Framings) -> RecorderSettings {
    let kafka = &config.kafka;
    let client = kafka.client_config();
    // By name, for in its map the crate puts something else in the place of secrets.
    let mut options: std::collections::BTreeMap<String, String> = client
        .config_map()
        .into_keys()
        .filter_map(|name| Some((name.to_owned(), client.get(name)?.to_owned())))
        .collect();
    options.remove("bootstrap.servers");
    RecorderSettings {
        brokers: kafka.brokers.join(","),
        options: crate::record::Options(options),
        topics: crate::record::Topics {
            frames: kafka.topics.frames().to_owned(),
            control: kafka.topics.control().to_owned(),
        },
        framings,
        message_timeout: crate::record::MESSAGE_TIMEOUT,
        instance: instance(),
        spool: config
            .spool
            .clone()
            .map(|settings| (settings, spooled(&config.targets))),
    }
}

fn spooled(targets: &[Target]) -> SpooledTargets {
    let spooled = targets.iter().filter(|target| target.record == Record::Spooled);
    SpooledTargets(spooled.map(|target| target.name.clone()).collect())
}

/// The host's name, as containers and shells have it.
fn instance() -> String {
    std::env::var("HOSTNAME")
        .ok()
        .or_else(|| {
            std::fs::read_to_string("/etc/hostname")
                .ok()
                .map(|name| name.trim().to_owned())
        })
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}
