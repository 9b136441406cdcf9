//! The steps of a batch that reach outside: tried until they have succeeded, and once in their effect.

use std::time::{Duration, Instant};

use tapedeck_schemas::{AuditEvent, DeadLetter};
use tracing::warn;

use super::Storing;
use super::store::encode;
use crate::publish::{Told, audit_events};
use crate::redaction::Fate;
use crate::rows::{Row, Verdict};
use crate::sink::{Block, Fault, Insert, Lease, Loaded, ServerClock};
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

impl Storing {
    /// Inserts rows once, under a token, however often it has to be tried. What is ordered to be erased meanwhile is erased
    /// in them: they are the same rows, and the token still names them. `ready` is these rows, where they are encoded already.
    pub(super) async fn insert(
        &mut self,
        token: &str,
        rows: &mut [&mut Row],
        ready: Option<Block>,
    ) -> Result<Landed, Stop> {
        let mut pause = PAUSE.0;
        // How often all of it came too late; and whether nobody knows what an attempt has left behind: then only the same
        // rows under the same token can make it whole.
        let (mut late, mut is_unsure) = (0, false);
        let mut block = match ready {
            Some(block) => block,
            None => self.encode(rows)?,
        };
        loop {
            let (lease, has_erased) = self.lease_of(rows).await?;
            if has_erased {
                block = self.encode(rows)?;
            }
            let insert = Insert { token, block: &block };
            let error = match self.sink.insert(&insert, lease).await {
                Ok(()) => {
                    persist("following an insert", || self.sink.follow(&lease)).await?;
                    return Ok(Landed::Once);
                }
                Err(error) => error,
            };
            match error.fault() {
                Fault::Stop => return Err(Stop::Sink("inserting", error)),
                Fault::LeaseExpired => late += 1,
                // Without a connection nothing was sent, and nothing is left behind.
                Fault::Retry | Fault::Elsewhere => is_unsure |= error.code().is_some() || error.is_unsure(),
            }
            if late >= 2 && !is_unsure && rows.len() > 1 {
                return Ok(Landed::TooLate);
            }
            self.metrics.insert_retries.inc();
            warn!(partition = self.origin.partition, token, %error, "an insert failed; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
            self.clock = persist("asking for the time", || ServerClock::ask(&self.sink)).await?;
            // Whatever an endpoint said of it: it is not tried at another one before it has been looked for.
            let has_moved = error.code().is_some() && lease.is_elsewhere(&self.clock);
            if (error.is_unsure() || has_moved) && self.has_landed(token, &lease, rows).await? {
                return Ok(Landed::Once);
            }
        }
    }

    fn encode(&self, rows: &[&mut Row]) -> Result<Block, Stop> {
        encode(&self.origin, self.sink.packing(), rows.iter().map(|row| &**row))
    }

    /// Until when, by the server's clock, rows may come: a lease after a moment at which the partition was ours and nothing
    /// was ordered about the rows that is not done. Says whether rows were erased for that.
    ///
    /// Whoever orders an erasure waits for [`RENEWAL`](crate::orders::RENEWAL) and a lease before rows are looked for: by
    /// then whatever was sent without knowing of it has landed, or never will.
    async fn lease_of(&mut self, rows: &mut [&mut Row]) -> Result<(Lease, bool), Stop> {
        let mut has_erased = false;
        loop {
            let owned = match &mut self.standing {
                Some(standing) => standing.proven(self.lease / 4).await?,
                None => Instant::now(),
            };
            let (asking, asks) = (Instant::now(), self.orders.are_old() || self.clock.is_old(&self.sink));
            if self.orders.are_old() {
                self.orders = persist("reading erasures", || self.sink.orders()).await?;
            }
            has_erased |= self.erase_named(rows.iter_mut().map(|row| &mut **row));
            let from = self.orders.good_until().map_or(owned, |until| owned.min(until));
            if self.clock.is_old(&self.sink) {
                self.clock = persist("asking for the time", || ServerClock::ask(&self.sink)).await?;
            }
            // ClickHouse may have been away, and what is left of the lease must do for the insert: half of it, since
            // the proof may be a quarter old. What Kafka takes for one is not counted: a slow broker would keep us here.
            if !asks || asking.elapsed() <= self.lease / 4 {
                return Ok((self.clock.lease(from, self.lease), has_erased));
            }
        }
    }

    /// After an insert whose fate is unknown: once its lease has run out and nothing of it runs, whether its rows are there.
    async fn has_landed(&self, token: &str, lease: &Lease, rows: &[&mut Row]) -> Result<bool, Stop> {
        tokio::time::sleep(lease.left(&self.clock)).await;
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

    /// Makes sure that the partition is ours, or was a moment ago.
    pub(super) async fn prove(&mut self) -> Result<(), Stop> {
        if let Some(standing) = &mut self.standing {
            standing.proven(self.lease / 4).await?;
        }
        Ok(())
    }

    /// Commits an offset below which everything is stored.
    pub(super) async fn commit(&mut self, offset: i64) -> Result<(), Stop> {
        match &mut self.standing {
            Some(standing) => standing.commit(offset).await,
            None => Ok(()),
        }
    }

    /// Publishes what the batch means to others and waits for every acknowledgement.
    pub(super) async fn publish(&self, rows: &[Row], letters: &[DeadLetter]) -> Result<(), Stop> {
        // An event is larger than its row: they are made one after the other, and again where that is needed.
        let events = || {
            rows.iter()
                // Nothing is told of what was erased.
                .filter(|row| row.verdict != Verdict::Undecodable && row.frame.fate() != Fate::Erased)
                .flat_map(|row| {
                    audit_events(Told {
                        frame: row.frame.frame(),
                        place: &row.place,
                        truncated: row.truncated,
                    })
                })
        };
        self.deliver(events, letters).await
    }

    /// Waits for every acknowledgement, however often it has to be tried.
    pub(super) async fn deliver<E: Iterator<Item = AuditEvent>>(
        &self,
        events: impl Fn() -> E,
        letters: &[DeadLetter],
    ) -> Result<(), Stop> {
        let mut pause = PAUSE.0;
        loop {
            let published = async {
                self.publisher.audit(events()).await?;
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
