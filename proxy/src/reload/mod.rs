//! Another configuration without a restart.
//!
//! # The life of a change
//!
//! 1. [`Reloader::follow`] looks once a second at the file and those that it names, and hears SIGHUP. It looks, and is not
//!    told: that holds for every file system, for links that are swapped (Kubernetes), and for files that are replaced.
//! 2. The file is read and checked as at the start. What is wrong is said, all of it, and nothing changes.
//! 3. What only a restart can change is refused (`fixed`), all of it, and nothing changes.
//! 4. [`Proxy::renewed`] makes the other configuration's `Proxy`, which shares with the one before what goes on.
//! 5. [`Current`] has it from now on. A request that has begun goes on to its end under the one with which it began.

mod files;
mod fixed;
mod metrics;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus_client::registry::Registry;
use tapedeck_config::Errors;
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::proxy::Proxy;
use crate::start::StartError;
use files::Watched;
use fixed::{Fixed, Modes};
use metrics::{Metrics, Outcome};

/// How often files are looked at. A change counts when they have rested for as long.
const LOOK: Duration = Duration::from_secs(1);

/// Why another configuration is not in force. The one before is.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file is no configuration.
    #[error("{0}")]
    Invalid(#[from] Errors),
    /// It changes what cannot change while the proxy runs.
    #[error("{0}")]
    Fixed(#[from] Fixed),
    /// The proxy would not start with it.
    #[error(transparent)]
    Unusable(#[from] StartError),
    /// Reading it was interrupted: the process ends.
    #[error("reading the configuration was interrupted")]
    Interrupted,
}

/// The configuration that is in force.
#[derive(Debug)]
pub(crate) struct Current {
    proxy: watch::Sender<Arc<Proxy>>,
    metrics: Metrics,
    /// Held by whoever changes it.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    applied: SystemTime,
    /// When a later one could not be used, and why.
    failed: Option<(SystemTime, String)>,
    modes: Modes,
}

impl Current {
    /// From the start on.
    pub(crate) fn new(proxy: Arc<Proxy>, registry: &mut Registry) -> Self {
        let (metrics, applied) = (Metrics::new(registry), SystemTime::now());
        metrics.starts(applied);
        let modes = Modes::of(&proxy.config);
        Self {
            proxy: watch::Sender::new(proxy),
            metrics,
            state: Mutex::new(State {
                applied,
                failed: None,
                modes,
            }),
        }
    }

    pub(crate) fn proxy(&self) -> Arc<Proxy> {
        Arc::clone(&self.proxy.borrow())
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Proxy>> {
        self.proxy.subscribe()
    }

    /// For operators to read: no secret is in it.
    pub(crate) fn account(&self) -> String {
        let state = self.state();
        let since = humantime::format_rfc3339_seconds(state.applied);
        match &state.failed {
            None => format!("in force since {since}\n"),
            Some((at, why)) => {
                let at = humantime::format_rfc3339_seconds(*at);
                format!("in force since {since}; what was read at {at} cannot be used:\n{why}\n")
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever panics under it has changed nothing yet, or all.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts what was read in force, or says why not.
    fn take(&self, read: Result<Config, Errors>) -> Result<(), ReloadError> {
        let mut state = self.state();
        let outcome = read
            .map_err(ReloadError::from)
            .and_then(|config| self.apply(config, &mut state));
        let now = SystemTime::now();
        match &outcome {
            Ok(()) => {
                state.applied = now;
                state.failed = None;
                self.metrics.reloaded(Outcome::Applied, now);
                tracing::info!("another configuration is in force");
            }
            Err(error) => {
                let outcome = match error {
                    ReloadError::Fixed(_) => Outcome::Refused,
                    ReloadError::Invalid(_) | ReloadError::Unusable(_) | ReloadError::Interrupted => Outcome::Invalid,
                };
                self.metrics.reloaded(outcome, now);
                tracing::error!(%error, "the configuration cannot be used; the one before stays");
                state.failed = Some((now, error.to_string()));
            }
        }
        outcome
    }

    fn apply(&self, config: Config, state: &mut State) -> Result<(), ReloadError> {
        let before = self.proxy();
        let modes = fixed::check(&before.config, &config, &state.modes)?;
        let proxy = before.renewed(config)?;
        for warning in &proxy.config.warnings {
            tracing::warn!("{warning}");
        }
        for target in modes.spooled() {
            proxy.recorder.spool_frames_of(target);
        }
        state.modes = modes;
        self.proxy.send_replace(Arc::new(proxy));
        Ok(())
    }
}

/// Keeps a running proxy to its configuration file.
#[derive(Debug)]
pub struct Reloader {
    current: Arc<Current>,
    file: PathBuf,
    watched: Watched,
}

impl Reloader {
    pub(crate) fn new(current: Arc<Current>, file: PathBuf) -> Self {
        // What has changed since it was read for the start is found by the first looks.
        let in_force = current.proxy();
        let watched = Watched::since_read(in_force.config.files.clone(), in_force.config.read_at, None);
        Self { current, file, watched }
    }

    /// Reads the file again, and puts what it says in force.
    ///
    /// # Errors
    /// Why it is not. What was in force still is.
    pub async fn reload(&mut self) -> Result<(), ReloadError> {
        let (file, began) = (self.file.clone(), SystemTime::now());
        // It reads files, and tries options on librdkafka.
        let read = tokio::task::spawn_blocking(move || Config::load(&file));
        let read = read.await.map_err(|_| ReloadError::Interrupted)?;
        let files = match &read {
            Ok(config) => config.files.clone(),
            // What is in force was read from these: when they come back, so does what they say.
            Err(errors) => {
                let in_force = self.current.proxy();
                errors.files().iter().chain(&in_force.config.files).cloned().collect()
            }
        };
        self.watched = Watched::since_read(files, began, Some(&self.watched));
        self.current.take(read)
    }

    /// Reloads whenever the file, or one that it names, has changed and has come to rest, and at once on `hangup`. For ever;
    /// what cannot be used is logged and counted, and is on the admin page.
    pub async fn follow(mut self, mut hangup: Signal) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => if !self.look().await { continue },
                _ = hangup.recv() => tracing::info!(file = %self.file.display(), "SIGHUP: the configuration is read again"),
            }
            // It has said what is wrong.
            let _ = self.reload().await;
        }
    }

    /// Looks at the files once: whether they have changed since they were read, and have not since the look before.
    async fn look(&mut self) -> bool {
        let mut watched = std::mem::take(&mut self.watched);
        // A file system may let one wait.
        let looked = tokio::task::spawn_blocking(move || {
            let changed = watched.look();
            (watched, changed)
        });
        match looked.await {
            Ok((watched, changed)) => {
                self.watched = watched;
                changed
            }
            Err(_) => false,
        }
    }
}
