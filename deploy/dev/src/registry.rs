//! Apicurio Registry: a schema registry with Confluent's interface, for tests.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::fetch::{self, FetchError};
use crate::folder::Site;
use crate::ports;
use crate::prerequisites::{self, Missing, Prerequisite};
use crate::process::{Launch, ProcessError, Server};
use crate::progress::Step;

/// The last that runs on Java 17.
const VERSION: &str = "3.0.9";

/// Longer than it takes to start on a busy machine.
const START: Duration = Duration::from_secs(180);

/// Longer than it takes to answer on a busy machine.
const ANSWER: Duration = Duration::from_secs(30);

/// The registry could not be started.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// A prerequisite is missing.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// It could not be installed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// No port is free, or no client can be made.
    #[error("cannot prepare the schema registry: {0}")]
    Prepare(#[from] io::Error),
    /// Its process failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// A running registry, which keeps its schemas in memory. It ends when this is dropped.
#[derive(Debug)]
pub struct Registry {
    url: String,
    _server: Server,
}

impl Registry {
    /// Installs Apicurio if need be, and starts it. When this returns, it has answered.
    ///
    /// # Errors
    /// When it cannot be installed or started; the error quotes its log.
    pub async fn start(site: Site<'_>) -> Result<Self, RegistryError> {
        prerequisites::check(&[Prerequisite::Java])?;
        let home = install(site).await?;
        let port = ports::free()?;
        let room = site.run.room("registry").map_err(io::Error::other)?;
        let launch = Launch::new("the schema registry", "java", site.run.log(&room))
            .current_dir(&room)
            .args(["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg("-Dquarkus.http.host=127.0.0.1")
            .arg(format!("-Dquarkus.http.port={port}"))
            .arg("-jar")
            .arg(home.join(format!("apicurio-registry-app-{VERSION}-runner.jar")));
        let part = "Apicurio Registry";
        site.progress.report(Step::Starting { part });
        let began = Instant::now();
        let server = Server::start(launch)?;
        let url = format!("http://127.0.0.1:{port}/apis/ccompat/v7");
        let http = reqwest::Client::builder().timeout(ANSWER).build();
        let http = http.map_err(io::Error::other)?;
        let subjects = format!("{url}/subjects");
        let probe = async || match http.get(&subjects).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(answer.status().to_string()),
            Err(error) => Err(error.to_string()),
        };
        server.child().ready(START, probe).await?;
        let after = began.elapsed();
        site.progress.report(Step::Ready { part, after });
        Ok(Self { url, _server: server })
    }

    /// Where Confluent's interface is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn install(site: Site<'_>) -> Result<PathBuf, FetchError> {
    let artifact = format!("io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all");
    let archive = format!("apicurio-registry-app-{VERSION}-all.tar.gz");
    fetch::archive(site.folder, "registry", VERSION, (&artifact, &archive), site.progress).await
}
