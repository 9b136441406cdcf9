//! Child processes that never outlive us.
//!
//! Each child leads a process group of its own and logs to a file. It ends when its [`Child`] is dropped, and the kernel
//! kills it when we are killed, however that happens (see [`spawner`]). Linux only.

mod launch;
mod server;
mod spawner;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

pub use launch::Launch;
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

    pub(crate) fn ended(&self, status: ExitStatus) -> ProcessError {
        ProcessError::Ended {
            name: self.name.clone(),
            status,
            log: self.log.clone(),
            tail: self.log_tail(),
        }
    }

    pub(crate) fn not_ready(&self, within: Duration, reason: String) -> ProcessError {
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
