//! How a process is started.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::unistd::Pid;

use super::{Child, ProcessError, State, spawner};

/// How to start a process; can be started any number of times. Its input is empty, its output goes to the log.
#[derive(Clone)]
pub struct Launch {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    /// A value to set, or `None` to remove.
    environment: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
    log: PathBuf,
    /// Where standard output goes, if not to the log.
    output: Option<PathBuf>,
}

/// Leaves out arguments and environment: they may carry credentials.
impl fmt::Debug for Launch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Launch")
            .field("name", &self.name)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

impl Launch {
    /// Runs `program`, known to people as `name`, with its output appended to the file `log`.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            log: log.into(),
            output: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable; the rest of the environment is ours.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((key.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Removes an environment variable.
    #[must_use]
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.environment.push((key.as_ref().to_owned(), None));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sends standard output to the file `path`, which is emptied first, and only standard error to the log.
    #[must_use]
    pub fn output(mut self, path: impl Into<PathBuf>) -> Self {
        self.output = Some(path.into());
        self
    }

    /// Starts the process. It need not be ready when this returns: see [`Child::ready`].
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be run.
    pub fn start(&self) -> Result<Child, ProcessError> {
        let failed = |source| ProcessError::Start {
            name: self.name.clone(),
            program: self.program.clone(),
            source,
        };
        let (stdout, stderr) = self.open_log()?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        for (key, value) in &self.environment {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let process = spawner::spawn(command).map_err(failed)?;
        let pid = i32::try_from(process.id()).map_err(|error| failed(io::Error::other(error)))?;
        let state = Mutex::new(State { process, status: None });
        Ok(Child {
            name: self.name.clone(),
            log: self.log.clone(),
            pid: Pid::from_raw(pid),
            state,
        })
    }

    /// Runs the process to its end: for installers and builds.
    ///
    /// # Errors
    /// As [`Launch::start`], and when it fails or takes longer than `within`.
    pub async fn complete(&self, within: Duration) -> Result<(), ProcessError> {
        let child = self.start()?;
        match child.exited(within).await {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(child.ended(status)),
            None => Err(child.not_ready(within, "it still runs".to_owned())),
        }
    }

    fn open_log(&self) -> Result<(File, File), ProcessError> {
        let open = || {
            let log = File::options().create(true).append(true).open(&self.log)?;
            let output = match &self.output {
                Some(path) => File::create(path)?,
                None => log.try_clone()?,
            };
            Ok((output, log))
        };
        open().map_err(|source| ProcessError::Log {
            name: self.name.clone(),
            log: self.log.clone(),
            source,
        })
    }
}
