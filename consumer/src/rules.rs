//! The redaction rules in use. Packs are files, which are looked at again and again: a change that is sound is taken over
//! by the next batch, one that is not leaves the rules as they are and is said in the log and in the figures.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapedeck_redact::{Config, ConfigError, Pack, Redactor};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::config::Redaction;
use crate::metrics::Metrics;

#[cfg(test)]
mod tests;

/// Why there are no rules, or no others.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A pack's file cannot be read.
    #[error("the pack {0} cannot be read: {1}")]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// Packs or policies are wrong.
    #[error(transparent)]
    Wrong(#[from] ConfigError),
}

/// Rules at one moment.
#[derive(Clone, Debug)]
pub struct Live {
    /// What redacts.
    pub redactor: Arc<Redactor>,
    /// What is only tried: its findings are counted.
    pub tried: Option<Arc<Redactor>>,
}

/// The rules that are in use now. Cheap to clone; every clone sees a change.
#[derive(Clone, Debug)]
pub struct Rules(watch::Receiver<Live>);

impl Rules {
    /// Rules that never change.
    #[must_use]
    pub fn fixed(redactor: Redactor) -> Self {
        let live = Live {
            redactor: Arc::new(redactor),
            tried: None,
        };
        Self(watch::channel(live).1)
    }

    /// The rules of this moment.
    #[must_use]
    pub fn current(&self) -> Live {
        self.0.borrow().clone()
    }
}

/// Looks after the files that rules are made from.
#[derive(Debug)]
pub struct Reload {
    settings: Redaction,
    /// What the files held when they were looked at last.
    packs: Packs,
    rules: watch::Sender<Live>,
}

#[derive(Clone, PartialEq, Eq)]
struct Packs {
    used: Vec<(PathBuf, String)>,
    tried: Vec<(PathBuf, String)>,
}

/// Names the files.
impl std::fmt::Debug for Packs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.used.iter().chain(&self.tried).map(|(path, _)| path);
        f.debug_list().entries(names).finish()
    }
}

/// Reads all files and compiles the rules.
///
/// # Errors
/// Everything that is wrong with them.
pub fn load(settings: Redaction) -> Result<(Rules, Reload), RulesError> {
    if !settings.enabled {
        warn!("redaction is off: whatever clients and targets say is stored as they sent it, secrets too");
    }
    let packs = Packs::read(&settings)?;
    let live = packs.compile(&settings)?;
    let (sender, receiver) = watch::channel(live);
    let reload = Reload {
        settings,
        packs,
        rules: sender,
    };
    Ok((Rules(receiver), reload))
}

impl Reload {
    /// Looks at the files for as long as it is polled.
    pub async fn run(mut self, metrics: &Metrics) {
        let mut ticks = tokio::time::interval(self.settings.reload);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            // Compiling takes long enough to keep other tasks waiting.
            tokio::task::block_in_place(|| self.look(metrics));
        }
    }

    /// Looks at the files once. True if other rules are in use now.
    pub fn look(&mut self, metrics: &Metrics) -> bool {
        let packs = match Packs::read(&self.settings) {
            Ok(packs) if packs == self.packs => return false,
            Ok(packs) => packs,
            Err(error) => {
                self.refuse(metrics, &error);
                return false;
            }
        };
        let compiled = packs.compile(&self.settings);
        // What is wrong is said once, not at each look.
        self.packs = packs;
        match compiled {
            Ok(live) => {
                info!(packs = ?self.packs, "redaction rules changed");
                self.rules.send_replace(live);
                metrics.rules_changed.inc();
                true
            }
            Err(error) => {
                self.refuse(metrics, &error);
                false
            }
        }
    }

    fn refuse(&self, metrics: &Metrics, error: &RulesError) {
        metrics.rules_refused.inc();
        error!(%error, "redaction rules were changed and are wrong; the ones before stay in use");
    }
}

impl Packs {
    fn read(settings: &Redaction) -> Result<Self, RulesError> {
        let read = |path: &PathBuf| match std::fs::read_to_string(path) {
            Ok(text) => Ok((path.clone(), text)),
            Err(error) => Err(RulesError::Unreadable(path.clone(), error)),
        };
        Ok(Self {
            used: settings.packs.iter().map(read).collect::<Result<_, _>>()?,
            tried: settings.tried.iter().map(read).collect::<Result<_, _>>()?,
        })
    }

    fn compile(&self, settings: &Redaction) -> Result<Live, RulesError> {
        let pack = |(path, toml): &(PathBuf, String)| Pack {
            name: name(path),
            toml: toml.clone(),
        };
        let mut config = Config {
            enabled: settings.enabled,
            policies: settings.policies.clone(),
            keys: settings.keys.clone(),
            ..Config::default()
        };
        config.packs.extend(self.used.iter().map(pack));
        let redactor = Arc::new(Redactor::new(config)?);
        let tried = match self.tried.is_empty() {
            true => None,
            false => Some(Arc::new(Redactor::new(Config {
                packs: self.tried.iter().map(pack).collect(),
                keys: settings.keys.clone(),
                ..Config::default()
            })?)),
        };
        Ok(Live { redactor, tried })
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}
