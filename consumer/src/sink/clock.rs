use std::time::{Duration, Instant};

use super::error::timed;
use super::{Sink, SinkError};

/// ClickHouse's clock as seen from here: leases are by that clock alone, so that consumers need not agree on the time.
#[derive(Clone, Copy, Debug)]
pub struct ServerClock {
    /// Server time at or shortly before `at`, microseconds since 1970.
    micros: i64,
    at: Instant,
    /// Whose it is. Replicas have clocks of their own.
    endpoint: usize,
}

/// Until when an endpoint may come to an insert's rows, by that endpoint's own clock.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    pub(super) until: i64,
    pub(super) endpoint: usize,
    over: Instant,
}

impl Lease {
    /// Whether a clock is of another endpoint than the one that the lease is for.
    #[must_use]
    pub fn is_elsewhere(&self, clock: &ServerClock) -> bool {
        self.endpoint != clock.endpoint
    }

    /// How long it goes on, by the clock that it was made by, and by a later look at it.
    #[must_use]
    pub fn left(&self, later: &ServerClock) -> Duration {
        let left = self.over.saturating_duration_since(Instant::now());
        if later.endpoint != self.endpoint {
            return left;
        }
        let micros = self.until.saturating_sub(later.now());
        left.max(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    }
}

impl ServerClock {
    /// Asks the server at the current endpoint.
    ///
    /// # Errors
    /// As any query.
    pub async fn ask(sink: &Sink) -> Result<Self, SinkError> {
        let endpoint = sink.endpoints.current();
        let client = sink.endpoints.all()[endpoint].client();
        let query = client
            .query("SELECT toUnixTimestamp64Micro(now64(6))")
            .fetch_one::<i64>();
        let asked = timed(query, sink.endpoints.request_timeout()).await;
        let micros = sink.judged(asked, endpoint).await?;
        // Taken after the answer: what is computed from it is never ahead of the server.
        Ok(Self {
            micros,
            at: Instant::now(),
            endpoint,
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

    /// A lease that begins at a moment.
    #[must_use]
    pub fn lease(&self, from: Instant, length: Duration) -> Lease {
        Lease {
            until: self.at(from + length),
            endpoint: self.endpoint,
            over: from + length,
        }
    }

    /// Whether to ask again: clocks drift, and servers are set; another endpoint's is another.
    #[must_use]
    pub fn is_old(&self, sink: &Sink) -> bool {
        self.endpoint != sink.endpoints.current() || self.at.elapsed() > Duration::from_secs(60)
    }
}
