//! The parts that run on Node: installed once from the lock file, started from a run's own copy of the scripts.
//!
//! `node/package.json` pins every version, `node/package-lock.json` every integrity hash, and no package runs code when it
//! is installed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::fetch::{self, FetchError};
use crate::folder::{FolderError, Run, Site};
use crate::ports;
use crate::prerequisites::{self, Missing, Prerequisite};
use crate::process::{Child, Launch, ProcessError, Server};
use crate::progress::Step;

/// The folder in `deploy/dev` that holds the scripts and what pins their packages.
const RECIPE: &str = "node";

/// For people, in a folder's name; the lock file decides.
const VERSION: &str = "1";

/// How long a server may take to say that it listens, on a machine that is busy building.
const START: Duration = Duration::from_secs(60);

/// How long a server may take to end cleanly.
const GRACE: Duration = Duration::from_secs(5);

/// A part that runs on Node could not be installed, started or asked.
#[derive(Debug, Error)]
pub enum NodeError {
    /// Node is missing or too old.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The packages could not be installed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The folder could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No port is free.
    #[error("cannot find a port: {0}")]
    Port(#[source] io::Error),
    /// A server did not start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file of the run could not be written or read.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A script that runs once could not be started or talked to.
    #[error("cannot run {script}: {source}")]
    Script {
        /// Its file name.
        script: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A script that runs once failed.
    #[error("{script} failed: {complaint}")]
    Failed {
        /// Its file name.
        script: &'static str,
        /// What it wrote to its standard error.
        complaint: String,
    },
    /// A script that runs once did not end in time.
    #[error("{script} has not ended after {within:?}")]
    Late {
        /// Its file name.
        script: &'static str,
        /// How long it had.
        within: Duration,
    },
    /// A script's answer is not what this library expects of it.
    #[error("{script} answered something else than expected: {source}")]
    Answer {
        /// Its file name.
        script: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A server of ours could not be reached over HTTP.
    #[error("cannot reach {url}: {source}")]
    Http {
        /// Where.
        url: String,
        /// Why not.
        source: reqwest::Error,
    },
}

/// Node, with the packages of the lock file and one run's copy of the scripts.
#[derive(Debug, Clone)]
pub struct Node {
    scripts: PathBuf,
    run: Run,
}

impl Node {
    /// Installs the packages where that has not been done yet, and lays out the scripts in the run's folder.
    ///
    /// # Errors
    /// When Node or npm is missing, or the install fails.
    pub async fn open(site: Site<'_>) -> Result<Self, NodeError> {
        prerequisites::check(&[Prerequisite::Node])?;
        let packages = fetch::npm(site.folder, RECIPE, VERSION, site.progress).await?;
        let scripts = site.run.room("scripts")?;
        lay_out(
            &site.folder.workspace().join("deploy/dev").join(RECIPE),
            &packages,
            &scripts,
        )
        .map_err(|source| NodeError::File {
            action: "copy the scripts to",
            path: scripts.clone(),
            source,
        })?;
        Ok(Self {
            scripts,
            run: site.run.clone(),
        })
    }

    /// Where a package of the lock file is installed.
    pub fn package(&self, name: &str) -> PathBuf {
        self.scripts.join("node_modules").join(name)
    }

    /// A folder of the run for one server's files, and the port it is to listen on: `wanted` if that is free.
    pub(crate) fn place(&self, name: &str, wanted: Option<u16>) -> Result<Place, NodeError> {
        let room = self.run.room(name)?;
        let log = self.run.log(&room);
        Ok(Place {
            name: name.to_owned(),
            room,
            log,
            port: ports::pick(wanted).map_err(NodeError::Port)?,
        })
    }

    /// How to run Node at that place, in the scripts' folder.
    pub(crate) fn launch(&self, place: &Place) -> Launch {
        Launch::new(&place.name, "node", &place.log)
            .output(place.output())
            .current_dir(&self.scripts)
    }

    /// Runs one of our scripts to its end: hands it `request` and returns what it printed.
    pub(crate) async fn ask(
        &self,
        script: &'static str,
        request: &impl Serialize,
        within: Duration,
    ) -> Result<String, NodeError> {
        let failed = |source| NodeError::Script { script, source };
        let mut line = serde_json::to_vec(request).map_err(|source| NodeError::Answer { script, source })?;
        line.push(b'\n');
        let mut child = Command::new("node")
            // The request and the answer may hold tokens: neither goes to arguments or files.
            .args([script, "--tied"])
            .current_dir(&self.scripts)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is for us; we end the script ourselves.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) = (stdin, stdout, stderr) else {
            return Err(failed(io::Error::other("a pipe is missing")));
        };
        let (mut printed, mut complaint) = (String::new(), String::new());
        // Standard input stays open: the script takes its end for ours.
        let work = async {
            stdin.write_all(&line).await?;
            tokio::try_join!(
                stdout.read_to_string(&mut printed),
                stderr.read_to_string(&mut complaint)
            )?;
            child.wait().await
        };
        let status = match tokio::time::timeout(within, work).await {
            Ok(ended) => ended.map_err(failed)?,
            Err(_) => return Err(NodeError::Late { script, within }),
        };
        match status.success() {
            true => Ok(printed),
            false => Err(NodeError::Failed {
                script,
                complaint: complaint.trim().to_owned(),
            }),
        }
    }
}

/// Node finds packages beside the scripts that import them, so a link stands for them there.
pub(crate) fn lay_out(source: &Path, packages: &Path, scripts: &Path) -> io::Result<()> {
    for entry in fs::read_dir(source)? {
        let path = entry?.path();
        if let (Some("mjs" | "py"), Some(name)) = (path.extension().and_then(|e| e.to_str()), path.file_name()) {
            fs::copy(&path, scripts.join(name))?;
        }
    }
    std::os::unix::fs::symlink(packages.join("node_modules"), scripts.join("node_modules"))
}

/// Where one server that runs on Node has its files and its port.
#[derive(Debug)]
pub(crate) struct Place {
    name: String,
    pub(crate) room: PathBuf,
    log: PathBuf,
    pub(crate) port: u16,
}

impl Place {
    fn output(&self) -> PathBuf {
        self.room.join("output")
    }
}

/// A server that runs on Node and announces where it listens (see `listen.mjs`).
#[derive(Debug)]
pub(crate) struct Listener {
    server: Server,
    output: PathBuf,
    url: String,
}

impl Listener {
    pub(crate) async fn start(place: &Place, launch: Launch, site: Site<'_>) -> Result<Self, NodeError> {
        let began = Instant::now();
        site.progress.report(Step::Starting { part: &place.name });
        let url = format!("http://127.0.0.1:{}", place.port);
        let listener = Self {
            server: Server::start(launch)?,
            output: place.output(),
            url,
        };
        listener.ready().await?;
        site.progress.report(Step::Ready {
            part: &place.name,
            after: began.elapsed(),
        });
        Ok(listener)
    }

    /// `http://127.0.0.1:PORT`. The same after a restart.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn child(&self) -> Arc<Child> {
        self.server.child()
    }

    pub(crate) fn kill(&self) {
        self.server.kill();
    }

    pub(crate) async fn stop(&self) {
        self.server.stop(GRACE).await;
    }

    pub(crate) async fn restart(&self) -> Result<(), NodeError> {
        self.server.start_again()?;
        self.ready().await
    }

    async fn ready(&self) -> Result<(), NodeError> {
        // The output was emptied when the child was started.
        let announced = || {
            let text = fs::read_to_string(&self.output).map_err(|error| error.to_string())?;
            let listens = |line: &str| {
                serde_json::from_str::<Value>(line)
                    .is_ok_and(|announcement| announcement["listening"] == self.url.as_str())
            };
            text.lines()
                .any(listens)
                .then_some(())
                .ok_or_else(|| "it has not said that it listens".to_owned())
        };
        Ok(self.server.child().ready(START, async || announced()).await?)
    }
}
