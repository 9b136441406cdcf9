//! The steps of a batch that reach outside: tried until they have succeeded, and once in their effect.

use std::time::{Duration, Instant};

use tapedeck_schemas::{AuditEvent, DeadLetter};
use tracing::warn;

use super::Loader;
use crate::publish::{Masked, audit_event};
use crate::rows::{Row, Verdict};
use crate::sink::{Block, Fault, Insert, ServerClock};
use crate::stop::{Stop, persist};

/// Pause before what failed is tried again: doubled from the first up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl Loader {
    /// Inserts a block once, however often it has to be tried.
    pub(super) async fn insert(&mut self, token: &str, block: &Block, rows: &[Row]) -> Result<(), Stop> {
        let mut pause = PAUSE.0;
        loop {
            let lease = self.lease_until().await?;
            let error = match self.sink.insert(&Insert { token, block }, lease).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match error.fault() {
                Fault::Stop => return Err(Stop::Sink("inserting", error)),
                Fault::LeaseExpired | Fault::Retry => {}
            }
            self.metrics.insert_retries.inc();
            warn!(partition = self.origin.partition, token, %error, "an insert failed; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
            self.state.clock = persist("asking for the time", || ServerClock::ask(&self.sink)).await?;
            if error.code().is_none() && self.has_landed(token, lease, rows).await? {
                return Ok(());
            }
        }
    }

    /// Until when, by the server's clock, rows may come: a lease after a moment at which the partition was ours.
    async fn lease_until(&mut self) -> Result<i64, Stop> {
        if self.state.clock.is_old() {
            self.state.clock = persist("asking for the time", || ServerClock::ask(&self.sink)).await?;
        }
        let from = match &mut self.standing {
            Some(standing) => standing.proven(self.lease / 4).await?,
            None => Instant::now(),
        };
        let lease = i64::try_from(self.lease.as_micros()).unwrap_or(i64::MAX / 2);
        Ok(self.state.clock.at(from).saturating_add(lease))
    }

    /// After an insert whose fate is unknown: once its lease has run out and nothing of it runs, whether its rows are there.
    async fn has_landed(&self, token: &str, lease: i64, rows: &[Row]) -> Result<bool, Stop> {
        let left = lease.saturating_sub(self.state.clock.now());
        tokio::time::sleep(Duration::from_micros(u64::try_from(left).unwrap_or(0))).await;
        persist("ending an insert", || self.sink.end_inserts(token)).await?;
        let missing = || {
            rows.iter()
                .map(|row| row.offset)
                .filter(|offset| !self.state.loaded.contains_key(offset))
        };
        let (Some(first), Some(last)) = (missing().min(), missing().max()) else {
            return Ok(true);
        };
        let there = persist("reading back", || self.sink.loaded(&self.origin, first)).await?;
        if !missing().all(|offset| there.contains_key(&offset)) {
            return Ok(false);
        }
        persist("aggregating again", || {
            self.sink.aggregate_again(&self.origin, first..=last)
        })
        .await?;
        Ok(true)
    }

    /// Commits an offset that [`load`](Self::load) returned.
    ///
    /// # Errors
    /// Only what no retry mends.
    pub async fn commit(&mut self, offset: i64) -> Result<(), Stop> {
        match &mut self.standing {
            Some(standing) => standing.commit(offset).await,
            None => Ok(()),
        }
    }

    /// Publishes what the batch means to others and waits for every acknowledgement.
    pub(super) async fn publish(&self, rows: &[Row], letters: &[DeadLetter]) -> Result<(), Stop> {
        let events: Vec<AuditEvent> = rows
            .iter()
            .filter(|row| row.verdict != Verdict::Undecodable)
            .filter_map(|row| {
                let frame = row.frame.frame();
                let rpc = frame.rpc.as_ref();
                let masked = Masked {
                    name: rpc.and_then(|rpc| rpc.name.as_deref()),
                    user_agent: frame.client.user_agent.as_deref(),
                    claimed_name: frame.client.claimed_name.as_deref(),
                    claimed_version: frame.client.claimed_version.as_deref(),
                };
                audit_event(frame, masked, row.place.session)
            })
            .collect();
        self.deliver(&events, letters).await
    }

    /// Waits for every acknowledgement, however often it has to be tried.
    pub(super) async fn deliver(&self, events: &[AuditEvent], letters: &[DeadLetter]) -> Result<(), Stop> {
        let mut pause = PAUSE.0;
        loop {
            let published = async {
                self.publisher.audit(events).await?;
                self.publisher.dead_letters(letters).await
            };
            match published.await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_permanent() => return Err(Stop::Publish(error)),
                Err(error) => warn!(partition = self.origin.partition, %error, "publishing failed; trying again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }
}
