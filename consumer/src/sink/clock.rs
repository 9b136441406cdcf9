use std::time::{Duration, Instant};

use super::{Sink, SinkError};

/// ClickHouse's clock as seen from here: leases are by that clock alone, so that consumers need not agree on the time.
#[derive(Clone, Copy, Debug)]
pub struct ServerClock {
    /// Server time at or shortly before `at`, microseconds since 1970.
    micros: i64,
    at: Instant,
}

impl ServerClock {
    /// Asks the server.
    ///
    /// # Errors
    /// As any query.
    pub async fn ask(sink: &Sink) -> Result<Self, SinkError> {
        let query = sink.client().query("SELECT toUnixTimestamp64Micro(now64(6))");
        let micros = super::error::timed(query.fetch_one::<i64>()).await?;
        // Taken after the answer: what is computed from it is never ahead of the server.
        Ok(Self {
            micros,
            at: Instant::now(),
        })
    }

    /// The server's time now, microseconds since 1970; late by at most the round trip of the question.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.at(Instant::now())
    }

    /// The server's time at a moment, or shortly before it.
    #[must_use]
    pub fn at(&self, moment: Instant) -> i64 {
        let span = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX / 2);
        let (since, until) = (
            moment.saturating_duration_since(self.at),
            self.at.saturating_duration_since(moment),
        );
        self.micros.saturating_add(span(since)).saturating_sub(span(until))
    }

    /// Clocks drift, and servers are set: ask again after a while.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.at.elapsed() > Duration::from_secs(60)
    }
}
