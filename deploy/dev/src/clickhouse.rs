//! ClickHouse: a program that is installed, or the library of that name in a process of ours.

mod example;
mod library;
mod program;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::binaries::BinariesError;
use crate::fetch::FetchError;
use crate::folder::{FolderError, Site};
use crate::ports;
use crate::process::{Child, ProcessError, Server};
use crate::progress::Step;

pub use example::example_users;
pub use library::{ServeError, ServerArguments, serve};

/// Longer than a start takes on a busy machine.
const START: Duration = Duration::from_secs(60);

/// How long it may take to write out what it holds and end.
const GRACE: Duration = Duration::from_secs(30);

/// Which ClickHouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClickHouseKind {
    /// The `clickhouse` program at that path.
    Program(PathBuf),
    /// ClickHouse 26.7 as a library, from npm. No replicated tables, no users created by SQL.
    Library,
}

impl fmt::Display for ClickHouseKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(path) => write!(formatter, "ClickHouse ({})", path.display()),
            Self::Library => formatter.write_str("ClickHouse (as a library)"),
        }
    }
}

impl ClickHouseKind {
    /// The `clickhouse` program where one is on the path, else the library; and the reason, for people.
    pub fn choose() -> (Self, String) {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&folders)
            .map(|folder| folder.join("clickhouse"))
            .find(|path| path.is_file());
        match program {
            Some(path) => {
                let kind = Self::Program(path);
                let reason = format!("{kind}, since it is installed");
                (kind, reason)
            }
            None => (
                Self::Library,
                format!("{}, since no `clickhouse` is on the path", Self::Library),
            ),
        }
    }
}

/// The one user of a server that asks for a password.
#[derive(Debug, Clone)]
pub struct Login {
    /// Letters and digits.
    pub user: String,
    /// Any text.
    pub password: SecretString,
}

/// ClickHouse could not be started.
#[derive(Debug, Error)]
pub enum ClickHouseError {
    /// It could not be installed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Our own program, which loads the library, could not be built.
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    /// Its folder could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its settings could not be written, or no port is free.
    #[error("cannot prepare ClickHouse: {0}")]
    Prepare(#[from] io::Error),
    /// Its process failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// A running ClickHouse. It ends when this is dropped.
#[derive(Debug)]
pub struct ClickHouse {
    kind: ClickHouseKind,
    port: u16,
    login: Option<Login>,
    server: Server,
    lifeline: Lifeline,
}

/// What a kind of ClickHouse needs to prepare its first start.
struct Plan<'a> {
    port: u16,
    room: &'a Path,
    log: PathBuf,
    lifeline: &'a Lifeline,
    login: Option<&'a Login>,
}

impl ClickHouse {
    /// Installs ClickHouse if need be, and starts it on the HTTP port `port` if that is free, else on another. Without a
    /// `login`, the user `default` needs no password. When this returns, it has answered `SELECT 1`.
    ///
    /// # Errors
    /// When it cannot be installed or started; the error quotes its log.
    pub async fn start(
        kind: ClickHouseKind,
        port: Option<u16>,
        login: Option<Login>,
        site: Site<'_>,
    ) -> Result<Self, ClickHouseError> {
        Self::launch(kind, port, login, &[], site).await
    }

    /// As [`start`](Self::start) with a `login`, and with further users: the texts of files for `users.d`. Such a server keeps
    /// a log of queries, `system.query_log`.
    ///
    /// # Errors
    /// When it cannot be installed or started; the error quotes its log.
    pub async fn with_users(
        kind: ClickHouseKind,
        login: Login,
        users: &[&str],
        site: Site<'_>,
    ) -> Result<Self, ClickHouseError> {
        Self::launch(kind, None, Some(login), users, site).await
    }

    async fn launch(
        kind: ClickHouseKind,
        port: Option<u16>,
        login: Option<Login>,
        users: &[&str],
        site: Site<'_>,
    ) -> Result<Self, ClickHouseError> {
        let port = ports::pick(port)?;
        let room = site.run.room("clickhouse")?;
        for (number, text) in users.iter().enumerate() {
            fs::create_dir_all(room.join("users.d"))?;
            fs::write(room.join("users.d").join(format!("{number}.xml")), text)?;
        }
        let lifeline = Lifeline::create(room.join("lifeline"))?;
        let log = site.run.log(&room);
        let plan = Plan {
            port,
            room: &room,
            log,
            lifeline: &lifeline,
            login: login.as_ref(),
        };
        let launch = match &kind {
            ClickHouseKind::Program(path) => program::prepare(path, &plan)?,
            ClickHouseKind::Library => library::prepare(&plan, site).await?,
        };
        let part = kind.to_string();
        site.progress.report(Step::Starting { part: &part });
        let began = Instant::now();
        let clickhouse = Self {
            kind,
            port,
            login,
            server: Server::start(launch)?,
            lifeline,
        };
        clickhouse.ready().await?;
        site.progress.report(Step::Ready {
            part: &part,
            after: began.elapsed(),
        });
        Ok(clickhouse)
    }

    /// `http://127.0.0.1:PORT`. The same after a restart.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Which ClickHouse it is.
    pub fn kind(&self) -> &ClickHouseKind {
        &self.kind
    }

    /// Its process, to pause it or to read its log. Another one after a restart.
    pub fn child(&self) -> Arc<Child> {
        self.server.child()
    }

    /// Kills it (SIGKILL), as if the machine had failed, and waits until it is gone.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Starts it again, on the same port and data; kills it first if it still runs.
    ///
    /// # Errors
    /// When it does not get ready; the error quotes its log.
    pub async fn restart(&self) -> Result<(), ClickHouseError> {
        self.server.kill();
        self.lifeline.renew()?;
        self.server.start_again()?;
        self.ready().await
    }

    /// Lets it write out what it holds and end; says how it ended.
    pub async fn stop(&self) -> ExitStatus {
        self.lifeline.cut();
        if self.kind == ClickHouseKind::Library {
            self.server.child().exited(GRACE).await;
        }
        self.server.stop(GRACE).await
    }

    async fn ready(&self) -> Result<(), ClickHouseError> {
        let url = self.url();
        let probe = || answers(&url, self.login.as_ref());
        Ok(self.server.child().ready(START, probe).await?)
    }
}

/// Whether the server at `url` answers `SELECT 1`: also for servers that are not ours.
///
/// # Errors
/// When it does not; says why.
pub async fn answers(url: &str, login: Option<&Login>) -> Result<(), String> {
    let mut client = clickhouse::Client::default().with_url(url);
    if let Some(Login { user, password }) = login {
        client = client.with_user(user).with_password(password.expose_secret());
    }
    match client.query("SELECT 1").fetch_one::<u8>().await {
        Ok(1) => Ok(()),
        Ok(other) => Err(format!("it answers SELECT 1 with {other}")),
        Err(error) => Err(error.to_string()),
    }
}

/// A named pipe that the library's process reads from: it serves until the other end, which we hold, is closed.
#[derive(Debug)]
struct Lifeline {
    path: PathBuf,
    end: Mutex<Option<File>>,
}

impl Lifeline {
    fn create(path: PathBuf) -> io::Result<Self> {
        let lifeline = Self {
            path,
            end: Mutex::new(None),
        };
        lifeline.renew()?;
        Ok(lifeline)
    }

    /// Holds an end of a new pipe. One that was read from before might still have bytes in it, or a reader.
    fn renew(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        nix::unistd::mkfifo(&self.path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // For both directions: a pipe opened to write alone waits for a reader.
        let end = File::options().read(true).write(true).open(&self.path)?;
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        Ok(())
    }

    fn cut(&self) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The log of queries, for servers with users: it says who has asked what.
const QUERY_LOG: &str = "  <query_log>
    <database>system</database>
    <table>query_log</table>
    <flush_interval_milliseconds>500</flush_interval_milliseconds>
  </query_log>
";

/// A users file: one user who may do all, from this machine only, with a password or without; and further entries.
fn users(login: Option<&Login>, others: &str) -> String {
    let (name, password) = match login {
        None => ("default", "<password></password>".to_owned()),
        Some(Login { user, password }) => {
            // The file holds no password that could be used elsewhere.
            let digest = Sha256::digest(password.expose_secret());
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            (
                user.as_str(),
                format!("<password_sha256_hex>{hex}</password_sha256_hex>"),
            )
        }
    };
    format!(
        "<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <{name}>
      {password}
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <access_management>1</access_management>
    </{name}>
{others}  </users>
</clickhouse>
"
    )
}
