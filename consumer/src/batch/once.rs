//! The steps of a batch that reach outside: tried until they have succeeded, and once in their effect.

use std::time::{Duration, Instant};

use tapedeck_schemas::{AuditEvent, DeadLetter};
use tracing::warn;

use super::Loader;
use crate::publish::{Told, audit_events};
use crate::redaction::Fate;
use crate::rows::{Row, Verdict};
use crate::sink::{Block, Fault, Insert, Loaded, ServerClock};
use crate::stop::{Stop, persist};

/// Pause before what failed is tried again: doubled from the first up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What became of an insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Landed {
    /// Its rows are in the table, once.
    Once,
    /// None of them is: ClickHouse came to them after their lease, time and again.
    TooLate,
}

impl Loader {
    /// Inserts a block once, however often it has to be tried.
    pub(super) async fn insert(&mut self, token: &str, block: &Block, rows: &[&Row]) -> Result<Landed, Stop> {
        let mut pause = PAUSE.0;
        // How often all of it came too late; and whether nobody knows what an attempt has left behind: then only the same
        // rows under the same token can make it whole.
        let (mut late, mut is_unsure) = (0, false);
        loop {
            let lease = self.lease_until().await?;
            let error = match self.sink.insert(&Insert { token, block }, lease).await {
                Ok(()) => return Ok(Landed::Once),
                Err(error) => error,
            };
            match error.fault() {
                Fault::Stop => return Err(Stop::Sink("inserting", error)),
                Fault::LeaseExpired => late += 1,
                Fault::Retry => is_unsure = true,
            }
            if late >= 2 && !is_unsure && rows.len() > 1 {
                return Ok(Landed::TooLate);
            }
            self.metrics.insert_retries.inc();
            warn!(partition = self.origin.partition, token, %error, "an insert failed; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
            self.state.clock = persist("asking for the time", || ServerClock::ask(&self.sink)).await?;
            if error.code().is_none() && self.has_landed(token, lease, rows).await? {
                return Ok(Landed::Once);
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
    async fn has_landed(&self, token: &str, lease: i64, rows: &[&Row]) -> Result<bool, Stop> {
        let left = lease.saturating_sub(self.state.clock.now());
        tokio::time::sleep(Duration::from_micros(u64::try_from(left).unwrap_or(0))).await;
        persist("ending an insert", || self.sink.end_inserts(token)).await?;
        let offsets = || rows.iter().map(|row| row.offset);
        let (Some(first), Some(last)) = (offsets().min(), offsets().max()) else {
            return Ok(true);
        };
        let mut there = Loaded::unknown_from(first);
        while let Some(from) = there.unknown_below(last + 1) {
            there.extend(persist("reading back", || self.sink.loaded(&self.origin, from)).await?);
        }
        if !offsets().all(|offset| there.contains(offset)) {
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
            // Nothing is told of what was erased.
            .filter(|row| row.verdict != Verdict::Undecodable && row.frame.fate() != Fate::Erased)
            .flat_map(|row| {
                audit_events(Told {
                    frame: row.frame.frame(),
                    place: &row.place,
                    truncated: row.truncated,
                })
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
