//! A server that can be killed and started again, on the same port and data.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Child, Launch, ProcessError};

/// A [`Launch`], and the child that it last started.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    child: Mutex<Arc<Child>>,
}

impl Server {
    /// Starts the first child, which need not be ready when this returns: see [`Child::ready`].
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn start(launch: Launch) -> Result<Self, ProcessError> {
        let child = Arc::new(launch.start()?);
        Ok(Self {
            launch,
            child: Mutex::new(child),
        })
    }

    /// The child that was last started, running or not.
    pub fn child(&self) -> Arc<Child> {
        Arc::clone(&self.child.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Kills the child that runs, if one does, and starts another.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn start_again(&self) -> Result<(), ProcessError> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.kill_hard();
        *child = Arc::new(self.launch.start()?);
        Ok(())
    }

    /// SIGKILL, as if the machine had failed, and waits until it is gone.
    pub fn kill(&self) {
        self.child().kill_hard();
    }

    /// Asks it to end (SIGTERM), and kills it if it has not `within` that time; says how it ended.
    pub async fn stop(&self, within: Duration) -> ExitStatus {
        self.child().stop(within).await
    }
}
