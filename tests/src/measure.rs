//! Figures, taken on real parts. `cargo measure` is the way to them; what is wrong is an error, what is slow is not.
//!
//! Load generator and target are processes of their own and do next to nothing beside HTTP, so that what is measured is
//! what stands between them. Contenders take turns within each round; what is reported is the median over the rounds.

mod accuracy;
pub mod acknowledge;
mod answers;
mod calls;
mod consumer;
pub mod listeners;
pub mod load;
mod loading;
mod parts;
mod proxy;
mod questions;
mod redaction;
mod report;
mod streams;
mod summary;
pub mod target;
mod usage;

use std::time::Duration;

pub use accuracy::{Wanted, accuracy};
pub use redaction::redact;
pub use report::{Report, Row};
pub use streams::streams;
pub use summary::Summary;

use parts::Parts;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Rounds of calls.
    pub rounds: usize,
    /// How long each contender calls in a round.
    pub within: Duration,
    /// Times that the topic is loaded.
    pub loads: usize,
    /// Calls in the topic that is loaded: two frames each.
    pub calls: usize,
    /// Frames behind which a consumer starts to see how long it takes to catch up.
    pub backlog: usize,
    /// Sessions of the archive that questions are asked of: about 20 frames each.
    pub sessions: u64,
    /// Questions of each kind.
    pub questions: usize,
    /// For how long people look around.
    pub visit: Duration,
    /// Days that are exported.
    pub export_days: u32,
    /// Streams that are open while nothing happens in them.
    pub streams: usize,
    /// Whether the large answer is one of 1 GiB.
    pub large: bool,
    /// For how long memory is watched.
    pub soak: Option<Duration>,
}

impl Extent {
    /// To see whether it works.
    pub const SHORT: Self = Self {
        rounds: 1,
        within: Duration::from_secs(2),
        loads: 1,
        calls: 50_000,
        backlog: 100_000,
        sessions: 30_000,
        questions: 20,
        visit: Duration::from_secs(20),
        export_days: 30,
        streams: 500,
        large: false,
        soak: None,
    };
    /// Some minutes.
    pub const USUAL: Self = Self {
        rounds: 3,
        within: Duration::from_secs(5),
        loads: 3,
        calls: 150_000,
        backlog: 1_000_000,
        sessions: 300_000,
        questions: 50,
        visit: Duration::from_secs(60),
        export_days: 10,
        streams: 2_000,
        large: true,
        soak: None,
    };
    /// For figures to quote.
    pub const LONG: Self = Self {
        rounds: 5,
        within: Duration::from_secs(10),
        loads: 3,
        calls: 500_000,
        backlog: 1_000_000,
        sessions: 1_500_000,
        questions: 200,
        visit: Duration::from_secs(120),
        export_days: 5,
        streams: 8_000,
        large: true,
        soak: Some(Duration::from_secs(600)),
    };
}

/// What the proxy adds to a call, and how fast frames come from the topic into ClickHouse.
///
/// # Errors
/// When a part does not start, a call fails, or frames are missing.
pub async fn main(extent: Extent) -> anyhow::Result<Report> {
    let parts = Parts::start().await?;
    let mut report = Report::default();
    calls::measure(&parts, extent, &mut report).await?;
    loading::measure(&parts, extent, &mut report).await?;
    Ok(report)
}

/// What the proxy costs beside others that record nothing: processor time, latency, delay of events, memory.
///
/// # Errors
/// As [`main`].
pub async fn proxy(extent: Extent) -> anyhow::Result<Report> {
    let parts = Parts::start().await?;
    let mut report = Report::default();
    proxy::measure(&parts, extent, &mut report).await?;
    Ok(report)
}

/// How fast frames come from the topic into ClickHouse, and what that costs, beside ClickHouse's own Kafka engine.
///
/// # Errors
/// As [`main`].
pub async fn consumer(extent: Extent) -> anyhow::Result<Report> {
    let parts = Parts::start().await?;
    let mut report = Report::default();
    consumer::measure(&parts, extent, &mut report).await?;
    Ok(report)
}

/// How long the console's questions take over a large archive.
///
/// # Errors
/// When a part does not start, the archive cannot be made, or a question is answered otherwise than it should be.
pub async fn query(extent: Extent) -> anyhow::Result<Report> {
    let mut report = Report::default();
    questions::query(extent, &mut report).await?;
    Ok(report)
}

/// How long people wait for the console over a large archive.
///
/// # Errors
/// As [`query`].
pub async fn console(extent: Extent) -> anyhow::Result<Report> {
    let mut report = Report::default();
    questions::console(extent, &mut report).await?;
    Ok(report)
}
