//! Faults under load, and the judge of what is left: the real parts, real kills, and clients that remember what they saw.
//!
//! Each fault is a function that takes a [`Stage`](stage::Stage), does its worst so many times under calls, and returns its
//! [`Story`] once the [judge](judge::judge) has found every call that a client saw answered in ClickHouse, once. Tests tell
//! it with few times, `cargo measure faults` with many.

mod all;
pub mod broker;
pub mod clickhouse;
pub mod consumer;
mod group;
pub mod judge;
pub mod load;
pub mod loader;
mod positions;
pub mod stage;
pub mod trace;

use std::io::Write as _;

pub use all::all;

/// What was done to whom, how often, and over how many calls. Whoever has one knows that nothing was lost, and nothing
/// is there twice.
#[derive(Debug)]
pub struct Story {
    /// What was done to whom.
    pub title: String,
    /// How often, in which way.
    pub times: Vec<(&'static str, usize)>,
    /// Calls made meanwhile.
    pub calls: usize,
}

impl Story {
    /// Tells it on standard output, past the test harness, which hides what tests that pass print.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn tell(&self) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{}, with {} calls made meanwhile", self.title, self.calls)?;
        for (way, times) in &self.times {
            writeln!(out, "  {way:<26}{times:>3} times")?;
        }
        Ok(())
    }
}
