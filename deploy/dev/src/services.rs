//! Our own services, configured and started from the programs as they are built now.
//!
//! What they are told is what a user would write: a TOML file beside their log. Secrets reach them through the environment.

mod console;
mod consumer;
mod proxy;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::binaries::BinariesError;
use crate::folder::{FolderError, Site};
use crate::process::{Child, Launch, ProcessError, Server};
use crate::progress::Step;

pub use console::{Console, ConsoleOptions, register};
pub use consumer::{Consumer, ConsumerOptions, Database};
pub use proxy::{Credential, Issuer, Proxy, ProxyOptions, Target};

/// Longer than a service takes to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// How long a service may take to finish what it has begun.
const GRACE: Duration = Duration::from_secs(40);

/// Where Kafka's brokers are, and under which names.
#[derive(Debug, Clone, Serialize)]
pub struct Kafka {
    /// `HOST:PORT`, several with commas.
    pub brokers: String,
    /// The prefix of the topics: `mcp` makes `mcp.frames.v1`.
    pub topic_prefix: String,
}

impl Kafka {
    /// The topic that holds the raw frames.
    pub fn frames(&self) -> String {
        format!("{}.frames.v1", self.topic_prefix)
    }
}

/// A service of ours could not be started or asked.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The programs could not be built.
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    /// The folder could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its process failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Its configuration could not be written, or no port is free.
    #[error("cannot prepare {service}: {source}")]
    Prepare {
        /// Which service.
        service: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// It could not be reached over HTTP.
    #[error("cannot reach {url}: {source}")]
    Http {
        /// Where.
        url: String,
        /// Why not.
        source: reqwest::Error,
    },
}

/// A running service of ours, which says on its admin port whether it is ready. It ends when this is dropped.
#[derive(Debug)]
pub struct Service {
    server: Server,
    admin: String,
    config: PathBuf,
    http: reqwest::Client,
}

impl Service {
    async fn start(
        launch: Launch,
        name: &str,
        admin_port: u16,
        config: PathBuf,
        site: Site<'_>,
    ) -> Result<Self, ServiceError> {
        let began = Instant::now();
        let service = Self::begin(launch, name, admin_port, config, site)?;
        service.ready().await?;
        site.progress.report(Step::Ready {
            part: name,
            after: began.elapsed(),
        });
        Ok(service)
    }

    /// Starts it and waits for nothing.
    fn begin(
        launch: Launch,
        name: &str,
        admin_port: u16,
        config: PathBuf,
        site: Site<'_>,
    ) -> Result<Self, ServiceError> {
        site.progress.report(Step::Starting { part: name });
        Ok(Self {
            server: Server::start(launch)?,
            admin: format!("http://127.0.0.1:{admin_port}"),
            config,
            http: reqwest::Client::new(),
        })
    }

    /// Its process, to pause it or to read its log. Another one after a restart.
    pub fn child(&self) -> Arc<Child> {
        self.server.child()
    }

    /// The base URL of its admin endpoints: `/readyz`, `/healthz`, `/metrics`.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Its configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Kills it (SIGKILL), as if the machine had failed, and waits until it is gone.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Lets it finish what it has begun and end (SIGTERM); says how it ended.
    pub async fn stop(&self) -> ExitStatus {
        self.server.stop(GRACE).await
    }

    /// Starts it again, as it was, and waits until it is ready; kills it first if it still runs.
    ///
    /// # Errors
    /// When it does not get ready; the error quotes its log.
    pub async fn restart(&self) -> Result<(), ServiceError> {
        self.server.start_again()?;
        self.ready().await
    }

    /// Waits until it is ready: after a [`Service::kill`] by someone else, or while what it needs is away.
    ///
    /// # Errors
    /// When it ends, or is not ready in time; the error quotes its log.
    pub async fn ready(&self) -> Result<(), ServiceError> {
        self.answers("/readyz").await
    }

    /// Waits until it serves, whether or not it is ready.
    ///
    /// # Errors
    /// When it ends, or does not serve in time; the error quotes its log.
    pub async fn alive(&self) -> Result<(), ServiceError> {
        self.answers("/healthz").await
    }

    async fn answers(&self, page: &str) -> Result<(), ServiceError> {
        let url = format!("{}{page}", self.admin);
        let probe = async || {
            let answer = self.http.get(&url).send().await.map_err(|error| error.to_string())?;
            let status = answer.status();
            let said = answer.text().await.unwrap_or_default();
            if status.is_success() {
                Ok(())
            } else {
                Err(format!("{url} answers {status}: {said}"))
            }
        };
        Ok(self.child().ready(START, probe).await?)
    }

    /// The value of one series at `/metrics`, named as it stands there, labels included. `None` if it is not there.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metric(&self, series: &str) -> Result<Option<String>, ServiceError> {
        let metrics = self.metrics().await?;
        let mut values = metrics
            .lines()
            .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(values.next().map(str::to_owned))
    }

    /// What it says at `/metrics`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> Result<String, ServiceError> {
        let url = format!("{}/metrics", self.admin);
        let failed = |source| ServiceError::Http {
            url: url.clone(),
            source,
        };
        self.http
            .get(&url)
            .send()
            .await
            .map_err(failed)?
            .text()
            .await
            .map_err(failed)
    }
}

/// Lays `over` on `settings`: tables are merged key by key, all else is replaced, null leaves what is there.
fn overlay(settings: &mut Value, over: &Value) {
    match (settings, over) {
        (Value::Object(settings), Value::Object(over)) => {
            for (key, value) in over {
                overlay(settings.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (settings, over) => *settings = over.clone(),
    }
}

/// Writes a configuration that only its owner can read.
fn write_config(service: &'static str, path: &Path, config: &impl Serialize) -> Result<(), ServiceError> {
    let write = || {
        let text = toml::to_string(config).map_err(io::Error::other)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|source| ServiceError::Prepare { service, source })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_overlay_changes_what_it_names_and_nothing_else() {
        let mut settings = json!({ "kafka": { "brokers": ["a:1"], "group": "g" }, "batch": { "every": "1s" } });
        overlay(
            &mut settings,
            &json!({ "kafka": { "group": "h", "options": { "linger.ms": "5" } }, "batch": null }),
        );
        let expected = json!({
            "kafka": { "brokers": ["a:1"], "group": "h", "options": { "linger.ms": "5" } },
            "batch": { "every": "1s" },
        });
        assert_eq!(settings, expected);
    }
}
