//! Schemathesis: asks an API what its OpenAPI description allows, and what it does not, and holds the answers against it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::fetch;
use crate::folder::{Run, Site};
use crate::node::NodeError;
use crate::process::Launch;

/// Where its packages are pinned, in `deploy/dev`.
const RECIPE: &str = "schemathesis";
/// For people, in a folder's name; the file of requirements decides.
const SOURCE: &str = "schemathesis==4.32.5";
/// How long it may ask.
const PATIENCE: Duration = Duration::from_secs(400);

/// Schemathesis, installed.
#[derive(Debug, Clone)]
pub struct Schemathesis {
    python: PathBuf,
    run: Run,
}

/// What it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Whether all answers were as they have to be.
    pub is_clean: bool,
    /// What it printed.
    pub report: String,
}

impl Schemathesis {
    /// Installs it where that has not been done yet.
    ///
    /// # Errors
    /// When Python or pip is missing, or the install fails.
    pub async fn open(site: Site<'_>) -> Result<Self, NodeError> {
        let python = fetch::python(site.folder, RECIPE, SOURCE, &[], site.progress).await?;
        Ok(Self {
            python,
            run: site.run.clone(),
        })
    }

    /// Asks the API that is described at `url`, with that bearer token on every request, and with further arguments of
    /// `schemathesis run`. The same seed every time: what it asks does not change from run to run.
    ///
    /// # Errors
    /// When it does not run to its end.
    pub async fn run(&self, url: &str, token: &str, arguments: &[&str]) -> Result<Findings, NodeError> {
        let room = self.run.room(RECIPE)?;
        // Not on the command line, which everybody on this machine can read.
        let config = room.join("schemathesis.toml");
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&config)?;
            writeln!(file, "[headers]\nAuthorization = \"Bearer {token}\"")
        };
        write().map_err(|source| NodeError::File {
            action: "write",
            path: config.clone(),
            source,
        })?;
        let output = room.join("output");
        let launch = Launch::new(RECIPE, "python3", self.run.log(&room))
            .output(output.clone())
            .args(["-m", "schemathesis.cli", "--config-file"])
            .arg(&config)
            .args(["run", url, "--seed", "1", "--generation-database", "none", "--no-color"])
            .args(arguments)
            .env("PYTHONPATH", self.python.join("lib"))
            // What is installed is shared, and nothing is written there.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(&room);
        let child = launch.start()?;
        let status = match child.exited(PATIENCE).await {
            // 1: something was found.
            Some(status) if matches!(status.code(), Some(0 | 1)) => status,
            Some(status) => return Err(child.ended(status).into()),
            None => return Err(child.not_ready(PATIENCE, "it still runs".to_owned()).into()),
        };
        let report = fs::read_to_string(&output).map_err(|source| NodeError::File {
            action: "read",
            path: output.clone(),
            source,
        })?;
        Ok(Findings {
            is_clean: status.success(),
            report,
        })
    }
}
