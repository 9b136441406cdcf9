//! Child processes that never outlive us.
//!
//! Each child leads a process group of its own and logs to a file. It ends when its [`Child`] is dropped, and the kernel
//! kills it when we are killed, however that happens (see [`spawner`]). Linux only.

mod server;
mod spawner;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

pub use server::Server;

/// How much of a log an error quotes, in bytes.
const TAIL: u64 = 4096;

/// How often a child is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A child process could not be used.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("cannot start {name} ({}): {source}", program.display())]
    Start {
        /// What it was to be.
        name: String,
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its log file could not be written.
    #[error("cannot open the log {} of {name}: {source}", log.display())]
    Log {
        /// Which process.
        name: String,
        /// Its log.
        log: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It ended when it should not have, or failed at a task it was to complete.
    #[error("{name} ended with {status}; the end of {}:\n{tail}", log.display())]
    Ended {
        /// Which process.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// It runs, but did not get ready, or did not complete its task, in time.
    #[error("{name} is not ready after {within:?} ({reason}); the end of {}:\n{tail}", log.display())]
    NotReady {
        /// Which process.
        name: String,
        /// How long it had.
        within: Duration,
        /// What the last probe said.
        reason: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A signal could not be sent.
    #[error("cannot signal {name}: {source}")]
    Signal {
        /// Which process.
        name: String,
        /// Why not.
        source: io::Error,
    },
}

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
            Ok((log.try_clone()?, log))
        };
        open().map_err(|source| ProcessError::Log {
            name: self.name.clone(),
            log: self.log.clone(),
            source,
        })
    }
}

/// A running child, its group killed when dropped.
#[derive(Debug)]
pub struct Child {
    name: String,
    log: PathBuf,
    /// The process, and the group it leads. Invariant: names that process until `status` is set, since a process keeps
    /// its id until it is reaped, and only [`Child::reap`] does that.
    pid: Pid,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    process: std::process::Child,
    status: Option<ExitStatus>,
}

impl Child {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its log, for error messages. Empty where the log cannot be read.
    pub fn log_tail(&self) -> String {
        tail(&self.log).unwrap_or_default()
    }

    /// Whether it has not ended yet. A paused process runs.
    pub fn is_running(&self) -> bool {
        self.ended_with(&self.state()).is_none()
    }

    /// SIGKILL to its whole group, then waits until it is gone. Once it has ended, this does nothing.
    pub fn kill_hard(&self) {
        self.reap(&mut self.state());
    }

    /// SIGTERM to the process itself, which may end cleanly within `grace`; then [`Child::kill_hard`]. Says how it ended.
    pub async fn stop(&self, grace: Duration) -> ExitStatus {
        // A process that is gone cannot be signalled, and need not.
        let _ = self.signal(Signal::SIGTERM);
        let _ = self.exited(grace).await;
        self.reap(&mut self.state())
    }

    /// Halts its whole group (SIGSTOP): connections stay open, and nothing answers.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&self) -> Result<(), ProcessError> {
        self.signal_group(Signal::SIGSTOP)
    }

    /// Lets a halted group go on (SIGCONT).
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&self) -> Result<(), ProcessError> {
        self.signal_group(Signal::SIGCONT)
    }

    /// Waits for it to end, at most `within`. `None` if it still runs.
    pub async fn exited(&self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.ended_with(&self.state()) {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until `probe` succeeds. The probe asks the process something that only a ready one answers; its error says
    /// what is still missing. A process that ends is not waited for.
    ///
    /// # Errors
    /// When it ends, or is not ready `within` that time. Both quote the end of the log.
    pub async fn ready<P, F>(&self, within: Duration, mut probe: P) -> Result<(), ProcessError>
    where
        P: FnMut() -> F,
        F: Future<Output = Result<(), String>>,
    {
        let deadline = Instant::now() + within;
        let mut reason = "it does not answer".to_owned();
        loop {
            // The exit first: where a port was taken, the probe would be answered by a stranger.
            if let Some(status) = self.exited(Duration::ZERO).await {
                return Err(self.ended(status));
            }
            match timeout_at(deadline, probe()).await {
                Ok(Ok(())) if self.is_running() => return Ok(()),
                Ok(Ok(())) => {}
                Ok(Err(missing)) => reason = missing,
                Err(_) => return Err(self.not_ready(within, reason)),
            }
            if Instant::now() >= deadline {
                return Err(self.not_ready(within, reason));
            }
            sleep(LOOK).await;
        }
    }

    fn ended(&self, status: ExitStatus) -> ProcessError {
        ProcessError::Ended {
            name: self.name.clone(),
            status,
            log: self.log.clone(),
            tail: self.log_tail(),
        }
    }

    fn not_ready(&self, within: Duration, reason: String) -> ProcessError {
        let (name, log, tail) = (self.name.clone(), self.log.clone(), self.log_tail());
        ProcessError::NotReady {
            name,
            within,
            reason,
            log,
            tail,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock with the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it ended, leaving it unreaped, so that its id stays its own. `None` if it runs.
    fn ended_with(&self, state: &State) -> Option<ExitStatus> {
        if state.status.is_some() {
            return state.status;
        }
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.pid), flags) {
            // The encodings of wait(2).
            Ok(WaitStatus::Exited(_, code)) => Some(ExitStatus::from_raw((code & 0xff) << 8)),
            Ok(WaitStatus::Signaled(_, signal, core)) => {
                Some(ExitStatus::from_raw(signal as i32 | if core { 0x80 } else { 0 }))
            }
            _ => None,
        }
    }

    fn reap(&self, state: &mut State) -> ExitStatus {
        if let Some(status) = state.status {
            return status;
        }
        // The leader is not reaped yet, so the group's id is still its own. It may hold processes that the leader left.
        let _ = killpg(self.pid, Signal::SIGKILL);
        // wait(2) fails only where there is no such child, and then it was killed, as asked.
        let status = state
            .process
            .wait()
            .unwrap_or(ExitStatus::from_raw(Signal::SIGKILL as i32));
        state.status = Some(status);
        status
    }

    fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        self.send(|pid| nix::sys::signal::kill(pid, signal))
    }

    fn signal_group(&self, signal: Signal) -> Result<(), ProcessError> {
        self.send(|pid| killpg(pid, signal))
    }

    fn send(&self, send: impl FnOnce(Pid) -> nix::Result<()>) -> Result<(), ProcessError> {
        // Held while sending: no one reaps it meanwhile.
        let state = self.state();
        let sent = match self.ended_with(&state) {
            None => send(self.pid).map_err(io::Error::from),
            Some(status) => Err(io::Error::other(format!("it ended with {status}"))),
        };
        sent.map_err(|source| ProcessError::Signal {
            name: self.name.clone(),
            source,
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill_hard();
    }
}

fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

#[cfg(test)]
mod tests;
