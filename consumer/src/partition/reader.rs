//! Gathering the records of a partition into batches, one ahead of the loader.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until};

use super::{Partition, lock};
use crate::batch::Batch;
use crate::budget::{Reserved, cost};
use crate::record::Record;
use crate::silence::Watch;
use crate::source::{Ready, Source};
use crate::stop::Stop;
use crate::witness::Witness;

/// How often the ends of the log are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Records that are decoded at a stretch before others get their turn.
const STRETCH: usize = 128;

/// What the loader does next.
pub(super) struct Gathered {
    /// Without records where nothing has come for some time: somebody gone may have to be settled.
    pub(super) batch: Batch,
    /// Dead letters that somebody wants read again, as far as the log has them.
    pub(super) wanted: Vec<(i64, Option<Record>)>,
}

/// Reads a partition.
pub(super) struct Reader {
    partition: Arc<Partition>,
    source: Source,
    witness: Witness,
    /// The next offset to read.
    position: i64,
    /// Shared with the loader, who says whose frames are loaded.
    watch: Arc<Mutex<Watch>>,
    looks: Interval,
    /// A record that the batch before had no memory for.
    held: Option<Record>,
    wanted: Vec<i64>,
}

/// A batch that is being gathered.
struct Growing {
    start: i64,
    records: Vec<Record>,
    /// Of keys and values.
    bytes: u64,
    reserved: Reserved,
    /// When it is old enough; `None` while it is empty.
    full: Option<Instant>,
}

/// Whether a batch goes on.
#[derive(PartialEq, Eq)]
enum Next {
    More,
    Full,
}

impl Reader {
    pub(super) fn new(
        partition: Arc<Partition>,
        source: Source,
        witness: Witness,
        position: i64,
        watch: Arc<Mutex<Watch>>,
    ) -> Self {
        let mut looks = interval(LOOK.min(partition.listener.span() / 4));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        Self {
            partition,
            source,
            witness,
            position,
            watch,
            looks,
            held: None,
            wanted: Vec::new(),
        }
    }

    /// Gathers batch after batch, each once there is a place for it, until the partition is revoked or nobody loads them.
    pub(super) async fn run(mut self, batches: mpsc::Sender<Gathered>) -> Result<(), Stop> {
        let revoked = self.partition.revoked.clone();
        loop {
            let place = tokio::select! {
                biased;
                () = revoked.cancelled() => return Ok(()),
                place = self.place(&batches) => place?,
            };
            let Some(place) = place else { return Ok(()) };
            let batch = tokio::select! {
                biased;
                () = revoked.cancelled() => return Ok(()),
                batch = self.gather() => batch?,
            };
            if let Some(last) = batch.records.last() {
                // After the batch was read: had the log been exchanged before, or while it was, this sees the new one.
                self.witness.testify(&self.partition).await?;
                self.witness.last = Some((last.offset, last.hash(&self.partition.origin)));
            }
            let mut wanted = Vec::new();
            for offset in std::mem::take(&mut self.wanted) {
                wanted.push((offset, self.witness.look_up(offset).await?));
            }
            place.send(Gathered { batch, wanted });
        }
    }

    /// Waits for a place for the next batch. `None`: nobody loads them any more.
    async fn place<'a>(
        &mut self,
        batches: &'a mpsc::Sender<Gathered>,
    ) -> Result<Option<mpsc::Permit<'a, Gathered>>, Stop> {
        let place = self.looking(batches.reserve(), self.position).await?;
        Ok(place.ok())
    }

    /// Waits for something, and looks around while it does, however long that takes; also where it is there at once:
    /// batches that fill without a pause leave no other time for a look.
    async fn looking<T>(&mut self, wait: impl Future<Output = T>, start: i64) -> Result<T, Stop> {
        let mut wait = pin!(wait);
        loop {
            tokio::select! {
                biased;
                _ = self.looks.tick() => self.look(start).await?,
                done = &mut wait => return Ok(done),
            }
        }
    }

    /// Gathers records until the batch is full or old enough, or has no more memory; without records where a look is due.
    async fn gather(&mut self) -> Result<Batch, Stop> {
        let mut batch = Growing {
            start: self.position,
            records: Vec::new(),
            bytes: 0,
            reserved: self.partition.tools.budget.nothing(),
            full: None,
        };
        if let Some(record) = self.held.take() {
            self.add(&mut batch, record).await?;
        }
        while self.take_what_is_there(&mut batch).await? == Next::More {
            // With nothing gathered there is no hurry; the branch is then disabled and its time never comes.
            let deadline = batch.full.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                () = sleep_until(deadline), if batch.full.is_some() => break,
                _ = self.looks.tick() => {
                    self.look(batch.start).await?;
                    if batch.records.is_empty() {
                        break;
                    }
                }
                next = self.source.next() => {
                    let next = match next? {
                        Some(record) => self.add(&mut batch, record).await?,
                        None => self.find_way(&mut batch).await?,
                    };
                    if next == Next::Full {
                        break;
                    }
                }
            }
        }
        Ok(Batch {
            start: batch.start,
            end: self.position,
            records: batch.records,
            reserved: batch.reserved,
        })
    }

    /// Takes records without waiting for any: asking clock and timers for each would cost as much as decoding it.
    async fn take_what_is_there(&mut self, batch: &mut Growing) -> Result<Next, Stop> {
        loop {
            for _ in 0..STRETCH {
                match self.source.try_next() {
                    Ready::Record(record) => {
                        if self.add(batch, record).await? == Next::Full {
                            return Ok(Next::Full);
                        }
                    }
                    Ready::Astray => return self.find_way(batch).await,
                    Ready::Nothing => return Ok(Next::More),
                }
            }
            if batch.full.is_some_and(|full| Instant::now() >= full) {
                return Ok(Next::Full);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Adds the next record, or holds it back for the next batch where there is no more memory. The first of a batch waits
    /// for its turn.
    async fn add(&mut self, batch: &mut Growing, record: Record) -> Result<Next, Stop> {
        let cost = cost(record.size);
        if batch.records.is_empty() {
            // Cancelled only where nothing of this partition is read any more.
            self.looking(batch.reserved.wait(cost), batch.start).await?;
            batch.full = Some(Instant::now() + self.partition.limits.every);
        } else if !batch.reserved.take(cost) {
            self.held = Some(record);
            return Ok(Next::Full);
        }
        self.position = record.offset + 1;
        batch.bytes += record.size as u64;
        batch.records.push(record);
        let limits = self.partition.limits;
        Ok(match batch.records.len() < limits.rows && batch.bytes < limits.bytes {
            true => Next::More,
            false => Next::Full,
        })
    }

    /// The position is not in the log any more, or the log is not there.
    async fn find_way(&mut self, batch: &mut Growing) -> Result<Next, Stop> {
        let (first, end) = self.source.ends_at_last().await?;
        if end < self.position {
            return Err(self.partition.shorter(end, self.position));
        }
        if first > self.position && !batch.records.is_empty() {
            // What was gathered is loaded first; the same comes again with the next batch.
            self.source.go_to(self.position).map_err(Stop::Kafka)?;
            return Ok(Next::Full);
        }
        let position = self.partition.after_retention(self.position, first).await?;
        if position > self.position {
            // Nothing has been gathered: the batch begins there.
            (self.position, batch.start) = (position, position);
        } else {
            sleep(Duration::from_millis(200)).await;
        }
        self.source.go_to(self.position).map_err(Stop::Kafka)?;
        Ok(Next::More)
    }

    /// Looks where the log ends, and which dead letters are to be read again: those below `start`, where the next batch
    /// begins.
    async fn look(&mut self, start: i64) -> Result<(), Stop> {
        self.look_at_end().await?;
        // Who cannot ask now asks at the next look.
        let Partition { tools, origin, .. } = &*self.partition;
        self.wanted = tools.sink.wanted_again(origin, start).await.unwrap_or_default();
        Ok(())
    }

    /// A log that ends before what was read from it is another log. Whoever was gone before it was found to end where it
    /// does has written nothing beyond.
    async fn look_at_end(&self) -> Result<(), Stop> {
        let partition = &self.partition;
        let gone = lock(&self.watch).gone(|writer| partition.listener.word(writer));
        match self.source.ends().await {
            Ok((_, end)) if end < self.position => Err(partition.shorter(end, self.position)),
            Ok((_, end)) => {
                partition.tools.metrics.log_end(partition.origin.partition, end);
                lock(&self.watch).until(end, gone);
                Ok(())
            }
            // The brokers are away: nothing can be said, and librdkafka keeps trying.
            Err(_) => Ok(()),
        }
    }
}
