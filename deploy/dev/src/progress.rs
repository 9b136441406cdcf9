//! What the library is doing, told to whoever asked: it never prints by itself.

use std::time::Duration;

/// One thing that happened while parts were installed and started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<'a> {
    /// A part is downloaded or built for the first time; `what` says what that takes.
    Installing {
        /// The part's name.
        part: &'a str,
        /// What is done, for people: `"92 files from Maven Central"`.
        what: &'a str,
    },
    /// Another process installs the same part; we wait for it.
    Waiting {
        /// The part's name.
        part: &'a str,
    },
    /// A part's process is being started.
    Starting {
        /// The part's name.
        part: &'a str,
    },
    /// A part answers.
    Ready {
        /// The part's name.
        part: &'a str,
        /// How long the start took.
        after: Duration,
    },
    /// A choice that was made, and why.
    Note {
        /// The part's name.
        part: &'a str,
        /// The reason, for people.
        text: &'a str,
    },
}

/// Receives [`Step`]s as they happen. Called from any thread; must not block for long.
pub trait Progress: Send + Sync {
    /// One step happened.
    fn report(&self, step: Step<'_>);
}

/// Hears nothing: for tests, whose failures carry all that is needed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn report(&self, _: Step<'_>) {}
}
