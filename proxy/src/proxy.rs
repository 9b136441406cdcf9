//! What all requests share that begin under one configuration.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Record, Target};
use crate::gate::Gate;
use crate::identity::{Authenticator, challenge::Offer};
use crate::listen;
use crate::metrics::{Answers, Flow, Metrics};
use crate::record::{Copies, Demand, Recorder};
use crate::session_tag::TagKeys;
use crate::start::StartError;
use crate::telemetry::Traces;
use crate::upstream::Upstream;

/// A target and what its requests share.
pub(crate) struct Route {
    pub(crate) target: Target,
    /// Shared with the configurations before and after, where the target is the same server.
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) demand: Demand,
    pub(crate) flow: Flow,
    pub(crate) answers: Answers,
}

/// What all requests share that begin under one configuration. It does not change: another configuration is another one of
/// these, which shares with this one what goes on.
pub(crate) struct Proxy {
    pub(crate) config: Config,
    pub(crate) authenticator: Authenticator,
    pub(crate) recorder: Recorder,
    pub(crate) tag_keys: Arc<TagKeys>,
    pub(crate) metrics: Metrics,
    /// Answers about no target.
    pub(crate) elsewhere: Arc<Answers>,
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
    pub(super) cut: CancellationToken,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("targets", &self.routes.keys())
            .finish_non_exhaustive()
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
            elsewhere: Arc::clone(&self.elsewhere),
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

    /// Whether a frame of every target could be recorded now; else of which not, and why.
    pub(crate) fn ready(&self) -> Result<(), String> {
        self.routes.values().try_for_each(|route| self.is_ready_for(route))
    }

    /// Whether a frame of this target could be recorded now; else why not.
    pub(crate) fn is_ready_for(&self, route: &Route) -> Result<(), String> {
        if self.stopping.is_cancelled() {
            return Err("the proxy is stopping".to_owned());
        }
        // A target that waits for nothing can always be served.
        if route.demand == Demand::BestEffort {
            return Ok(());
        }
        let found = self.recorder.ready(route.demand);
        found.map_err(|why| format!("target {}: {why}", route.target.name))
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
            answers: metrics.answers(&target.name),
            target: target.clone(),
        })
    }
}

/// The ways to all targets, by name.
pub(super) fn routes(
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

/// As clients are served under `config`, where that is by TLS.
pub(super) fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>, StartError> {
    let tls = config.tls.as_ref().map(listen::acceptor);
    tls.transpose().map_err(StartError::Tls)
}

fn copies(single_is_enough: bool) -> Copies {
    if single_is_enough {
        Copies::One
    } else {
        Copies::AtLeastTwo
    }
}
