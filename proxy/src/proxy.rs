//! The running proxy: what all requests share, its start and its stop.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::Admin;
use crate::config::{Config, Record, Target};
use crate::gate::Gate;
use crate::identity::{Authenticator, challenge::Offer};
use crate::listen;
use crate::metrics::{Flow, Metrics};
use crate::record::{Copies, Demand, Recorder, RecorderSettings, SpooledTargets};
use crate::reload::{Current, Reloader};
use crate::served::{Clients, Operators};
use crate::session_tag::TagKeys;
use crate::telemetry::Traces;
use crate::upstream::Upstream;

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
    Telemetry(#[from] crate::telemetry::TelemetryError),
    /// Tokens cannot be verified.
    #[error("no HTTP client for the identity provider: {0}")]
    Identity(String),
    /// Frames cannot be recorded, whatever Kafka's state.
    #[error("[kafka]: {0}")]
    Record(#[from] crate::record::StartError),
}

/// A target and what its requests share.
pub(crate) struct Route {
    pub(crate) target: Target,
    /// Shared with the configurations before and after, where the target is the same server.
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) demand: Demand,
    pub(crate) flow: Flow,
}

/// What all requests share that begin under one configuration. It does not change: another configuration is another one of
/// these, which shares with this one what goes on.
pub(crate) struct Proxy {
    pub(crate) config: Config,
    pub(crate) authenticator: Authenticator,
    pub(crate) recorder: Recorder,
    pub(crate) tag_keys: Arc<TagKeys>,
    pub(crate) metrics: Metrics,
    pub(crate) traces: Traces,
    pub(crate) gate: Gate,
    pub(crate) routes: HashMap<String, Arc<Route>>,
    /// Exchanges, each in its own task: they outlive their connections.
    pub(crate) exchanges: TaskTracker,
    /// As clients are served, where the proxy terminates TLS itself.
    pub(crate) tls: Option<TlsAcceptor>,
    /// No new work.
    pub(crate) stopping: CancellationToken,
    /// What is still going on ends now.
    cut: CancellationToken,
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
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("targets", &self.routes.keys())
            .finish_non_exhaustive()
    }
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
    let recorder = Recorder::start(recorder_settings(&config), &mut registry)?;
    let authenticator = Authenticator::start(&config.issuers, config.dpop, config.tag_keys.all())
        .map_err(|error| StartError::Identity(error.to_string()))?;

    let proxy = Arc::new(Proxy {
        gate: Gate::new(&config.limits),
        config,
        authenticator,
        recorder,
        tag_keys,
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
    let clients = listen::serve(listener, Clients::new(current.watch()), stopping, sever.clone());
    let operators = Operators::new(Admin::new(Arc::clone(&current), registry), sever.clone());
    // Health is asked for, and metrics are scraped, to the very end.
    let operators = listen::serve(admin_listener, operators, sever.clone(), sever.clone());
    let servers = [tokio::spawn(clients), tokio::spawn(operators)];
    tracing::info!(%address, %admin_address, targets, "serving");
    Ok(Running {
        current,
        address,
        admin_address,
        sever,
        servers,
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

impl Proxy {
    /// The same process under another configuration. What is unchanged goes on: issuers with their keys and the tokens that
    /// verified, targets with their connections and processes, rates, session keys that nobody configured.
    ///
    /// # Errors
    /// What would keep the proxy from starting with it.
    pub(crate) fn renewed(&self, config: Config) -> Result<Self, StartError> {
        let tls = acceptor(&config)?;
        let routes = routes(&config, &self.routes, &self.metrics)?;
        let keeps_keys = config.tag_keys.is_random() && self.config.tag_keys.is_random();
        let tag_keys = if keeps_keys {
            Arc::clone(&self.tag_keys)
        } else {
            Arc::new(TagKeys::new(config.tag_keys.all().to_vec())?)
        };
        Ok(Self {
            gate: self.gate.renewed(&config.limits),
            authenticator: self.authenticator.renewed(
                &config.issuers,
                config.dpop,
                (!keeps_keys).then(|| config.tag_keys.all()),
            ),
            recorder: self.recorder.clone(),
            tag_keys,
            metrics: self.metrics.clone(),
            traces: self.traces.clone(),
            routes,
            exchanges: self.exchanges.clone(),
            tls,
            stopping: self.stopping.clone(),
            cut: self.cut.clone(),
            config,
        })
    }

    /// What ends an exchange while the proxy stops: one that `listens` ends as soon as it begins to.
    pub(crate) fn cut_for(&self, listens: bool) -> CancellationToken {
        if listens {
            self.stopping.clone()
        } else {
            self.cut.clone()
        }
    }

    /// What clients are told about getting tokens.
    pub(crate) fn offer(&self) -> Offer {
        Offer {
            scopes: self.authenticator.scopes(),
            dpop: self.config.dpop,
            certificates: self.config.sees_certificates(),
        }
    }

    /// Whether a frame of any target could be recorded now.
    pub(crate) fn ready(&self) -> Result<(), String> {
        if self.stopping.is_cancelled() {
            return Err("the proxy is stopping".to_owned());
        }
        for route in self.routes.values() {
            // A target that waits for nothing can always be served.
            if route.demand == Demand::BestEffort {
                continue;
            }
            self.recorder
                .ready(route.demand)
                .map_err(|why| format!("target {}: {why}", route.target.name))?;
        }
        Ok(())
    }
}

impl Route {
    /// The way to `target`, by the connections and processes of `known` where that is the same server.
    fn new(target: &Target, known: Option<&Self>, metrics: &Metrics) -> Result<Self, StartError> {
        let upstream = match known.filter(|known| known.target.is_reached_like(target)) {
            Some(known) => Arc::clone(&known.upstream),
            None => Arc::new(Upstream::new(target).map_err(|error| StartError::Target {
                name: target.name.clone(),
                error: error.to_string(),
            })?),
        };
        Ok(Self {
            upstream,
            demand: match (target.record, target.allow_single_copy) {
                (Record::BestEffort, _) => Demand::BestEffort,
                (Record::Required, single) => Demand::Kafka(copies(single)),
                (Record::Spooled, single) => Demand::Spooled(copies(single)),
            },
            flow: metrics.flow(&target.name),
            target: target.clone(),
        })
    }
}

/// The ways to all targets, by name.
fn routes(
    config: &Config,
    known: &HashMap<String, Arc<Route>>,
    metrics: &Metrics,
) -> Result<HashMap<String, Arc<Route>>, StartError> {
    let routes = config.targets.iter().map(|target| {
        let known = known.get(&target.name).map(Arc::as_ref);
        let route = Route::new(target, known, metrics)?;
        Ok((target.name.clone(), Arc::new(route)))
    });
    routes.collect()
}

fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>, StartError> {
    let tls = config.tls.as_ref().map(listen::acceptor);
    tls.transpose().map_err(StartError::Tls)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen { address, error })
}

fn recorder_settings(config: &Config) -> RecorderSettings {
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
        message_timeout: crate::record::MESSAGE_TIMEOUT,
        instance: instance(),
        spool: config
            .spool
            .clone()
            .map(|settings| (settings, spooled(&config.targets))),
    }
}

fn copies(single_is_enough: bool) -> Copies {
    if single_is_enough {
        Copies::One
    } else {
        Copies::AtLeastTwo
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
