//! What went wrong, where the exit code says so.

use uuid::Uuid;

/// The exit code of a wrong command line or configuration: `EX_USAGE` of `sysexits.h`.
pub(super) const BAD_USAGE: u8 = 64;

/// A failure with an exit code of its own; anything else is 1.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// What was asked for is not there, or not for this user.
    #[error("{0}")]
    NotFound(String),
    /// Answers are not those of the recording.
    #[error("{0}")]
    Differs(String),
    /// Nobody is signed in, or somebody who may not.
    #[error("{0}")]
    NotAllowed(String),
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// Ctrl-C.
    #[error("{0}")]
    Interrupted(String),
}

impl Failure {
    pub(super) fn no_session(session: Uuid) -> Self {
        Self::NotFound(format!("no session {session}: `tapedeck sessions` lists them"))
    }

    /// As `tapedeck --help` has it.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::NotFound(_) => 2,
            Self::Differs(_) => 3,
            Self::NotAllowed(_) => 4,
            Self::Usage(_) => BAD_USAGE,
            Self::Interrupted(_) => 130,
        }
    }
}
