//! From rows to the table: encoded once, inserted once, then published. One batch after the other, while the next is prepared.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashSet;
use tapedeck_schemas::DeadLetter;
use tracing::warn;

use super::once::Landed;
use super::{phase, token_prefix};
use crate::budget::Reserved;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::publish::Publisher;
use crate::rows::{Columns, Order, Origin, Row};
use crate::sink::{Block, Packing, ServerClock, Sink};
use crate::standing::Standing;
use crate::stop::{Stop, persist};
use crate::telemetry::BatchTrace;

/// What inserts, publishes and commits, of one partition.
pub(super) struct Storing {
    pub(super) origin: Origin,
    pub(super) sink: Sink,
    pub(super) publisher: Publisher,
    pub(super) metrics: Arc<Metrics>,
    pub(super) lease: Duration,
    pub(super) clock: ServerClock,
    /// Whether the partition is ours; `None` where nobody else can have it.
    pub(super) standing: Option<Standing>,
    /// Whose frames are erased before they are inserted.
    pub(super) orders: Orders,
}

/// A batch that can be inserted.
pub(super) struct Prepared {
    pub(super) start: i64,
    pub(super) end: i64,
    /// In the order in which their messages were whole.
    pub(super) rows: Vec<Row>,
    /// All of them, encoded, where none is in the table already: made while the batch before is stored.
    pub(super) block: Option<Block>,
    /// Offsets of those that are in the table already.
    pub(super) there: HashSet<i64>,
    pub(super) letters: Vec<DeadLetter>,
    /// The offset to commit: the end, or the first frame of a message that is not whole yet.
    pub(super) commit: i64,
    /// Timestamp of the last record, milliseconds since 1970.
    pub(super) newest: Option<i64>,
    pub(super) reserved: Reserved,
    /// When its preparation began.
    pub(super) began: Instant,
    /// Its span, where it has one.
    pub(super) trace: Option<BatchTrace>,
}

impl Prepared {
    /// Rows of frames that came with an earlier batch, and waited.
    pub(super) fn late(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.offset < self.start)
    }
}

impl Storing {
    /// Inserts, publishes and commits a batch.
    pub(super) async fn complete(&mut self, batch: Prepared) -> Result<(), Stop> {
        let (start, end, newest) = (batch.start, batch.end, batch.newest);
        let offset = self.store(batch).await?;
        self.commit(offset).await?;
        phase(&self.origin, "committed", start, end);
        if let Some(newest) = newest {
            self.metrics.loaded_up_to(self.origin.partition, end, newest);
        }
        Ok(())
    }

    /// Inserts and publishes, and returns the offset to commit.
    pub(super) async fn store(&mut self, mut batch: Prepared) -> Result<i64, Stop> {
        let (start, end) = (batch.start, batch.end);
        let is_there = |row: &&mut Row| batch.there.contains(&row.offset);
        let (there, mut missing): (Vec<&mut Row>, Vec<&mut Row>) = batch.rows.iter_mut().partition(is_there);
        let offsets = || there.iter().map(|row| row.offset);
        let there = offsets().min().zip(offsets().max());
        if !missing.is_empty() {
            phase(&self.origin, "inserting", start, end);
            // Without rows that were there, and without frames that waited for the end of their message, the set follows
            // from the offsets.
            let is_plain = there.is_none() && missing.iter().all(|row| row.offset >= start);
            let began = Instant::now();
            let block = batch.block.take().filter(|_| there.is_none());
            self.insert_all(&mut missing, block, start, end, is_plain).await?;
            self.metrics.insert_time.observe(began.elapsed().as_secs_f64());
        }
        if let Some((first, last)) = there {
            persist("aggregating again", || {
                self.sink.aggregate_again(&self.origin, first..=last)
            })
            .await?;
        }
        phase(&self.origin, "inserted", start, end);
        phase(&self.origin, "publishing", start, end);
        let began = Instant::now();
        self.erase_named(batch.rows.iter_mut());
        self.publish(&batch.rows, &batch.letters).await?;
        self.metrics.publish_time.observe(began.elapsed().as_secs_f64());
        phase(&self.origin, "published", start, end);
        self.metrics.batch_time.observe(batch.began.elapsed().as_secs_f64());
        // Rows that were let go with their writer are no batch of the log's.
        if start < end {
            self.metrics.batches.inc();
        }
        if let Some(trace) = batch.trace {
            trace.loaded();
        }
        drop(batch.reserved);
        Ok(batch.commit)
    }

    /// Erases of rows what has been ordered to be erased since they were made; whether that was anything. The orders are those
    /// that were read last.
    pub(super) fn erase_named<'a>(&self, rows: impl Iterator<Item = &'a mut Row>) -> bool {
        let mut erased = false;
        for row in rows {
            if self.orders.erase(row.frame.frame(), row.place.session) {
                row.frame.erase();
                erased = true;
            }
        }
        erased
    }

    /// Inserts rows in one block; in smaller ones where ClickHouse does not come to so many within a lease.
    async fn insert_all(
        &mut self,
        rows: &mut [&mut Row],
        mut block: Option<Block>,
        start: i64,
        end: i64,
        mut is_plain: bool,
    ) -> Result<(), Stop> {
        let mut rest = vec![rows];
        while let Some(part) = rest.pop() {
            let token = self.token(part, start, end, is_plain);
            match self.insert(&token, part, block.take()).await? {
                Landed::Once => {
                    self.metrics.rows.inc_by(part.len() as u64);
                }
                Landed::TooLate => {
                    warn!(
                        partition = self.origin.partition,
                        rows = part.len(),
                        "ClickHouse does not take so many rows within a lease; trying with half of them. Fewer `[batch] \
                         rows` or a longer `lease` in every consumer of the group would spare that"
                    );
                    let (first, second) = part.split_at_mut(part.len() / 2);
                    rest.extend([second, first]);
                    is_plain = false;
                }
            }
        }
        Ok(())
    }

    /// The batch's token, or one of these rows' own. A token must never name two sets of rows.
    fn token(&self, rows: &[&mut Row], start: i64, end: i64, is_plain: bool) -> String {
        let token = format!("{}{start}-{end}", token_prefix(&self.origin));
        if is_plain {
            return token;
        }
        let first = rows.iter().map(|row| row.offset).min().unwrap_or(start);
        format!("{token}/{}-from-{first}", rows.len())
    }
}

/// Encodes rows as one block, in the table's order.
pub(super) fn encode<'a>(
    origin: &Origin,
    packing: Packing,
    rows: impl Iterator<Item = &'a Row>,
) -> Result<Block, Stop> {
    // Long enough to keep other partitions' tasks waiting.
    let encode = || {
        let mut sorted: Vec<(Order<'_>, &Row)> = rows.map(|row| (Order::of(row), row)).collect();
        sorted.sort_unstable_by_key(|(order, _)| *order);
        let mut columns = Columns::with_capacity(sorted.len());
        sorted.iter().for_each(|(_, row)| row.encode(origin, &mut columns));
        Block::new(&columns, packing)
    };
    tokio::task::block_in_place(encode).map_err(|error| Stop::Sink("packing rows", error))
}
