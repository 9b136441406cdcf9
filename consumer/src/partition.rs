//! The life of a partition while it is ours: take over, then batch after batch.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::batch::{Batch, Loader, Tools, token_prefix};
use crate::config::Limits;
use crate::group::Member;
use crate::record::Record;
use crate::rows::Origin;
use crate::schemas::Schemas;
use crate::silence::{Listener, Watch};
use crate::sink::ServerClock;
use crate::source::Source;
use crate::standing::Standing;
use crate::stop::{Stop, persist};
use crate::witness::Witness;

/// How often the ends of the log are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// A partition that is ours.
#[derive(Debug)]
pub struct Partition {
    /// Which.
    pub origin: Origin,
    /// The group.
    pub member: Arc<Member>,
    /// What is heard of the writers.
    pub listener: Arc<Listener>,
    /// How to reach Kafka.
    pub kafka: ClientConfig,
    /// The group's name.
    pub group: String,
    /// What is known of a schema registry.
    pub schemas: Schemas,
    /// When a batch is full.
    pub limits: Limits,
    /// How long a batch may take to end after the partition was revoked.
    pub grace: Duration,
    /// What a loader is made of.
    pub tools: Tools,
    /// The partition is not ours any more.
    pub revoked: CancellationToken,
}

/// Where to begin, and what is known there.
struct Beginning {
    source: Source,
    witness: Witness,
    loader: Loader,
    position: i64,
    lookout: Lookout,
}

/// What is looked at from time to time, whatever batches do meanwhile.
struct Lookout {
    looks: Interval,
    watch: Watch,
    /// Dead letters that somebody wants read again.
    wanted: Vec<i64>,
}

impl Partition {
    /// Loads batch after batch until the partition is revoked.
    ///
    /// # Errors
    /// Why nothing of this partition can be loaded any more.
    pub async fn run(self) -> Result<(), Stop> {
        let revoked = self.revoked.clone();
        let beginning = tokio::select! {
            () = revoked.cancelled() => return Ok(()),
            beginning = self.take_over() => beginning?,
        };
        let grace = self.grace;
        // A batch that does not end in time is abandoned: what was inserted is found by the next owner.
        tokio::select! {
            result = self.load_batches(beginning) => result,
            () = async { revoked.cancelled().await; sleep(grace).await } => {
                warn!(partition = self.origin.partition, "revoked: abandoned a batch");
                Ok(())
            }
        }
    }

    /// Makes sure that no earlier owner's insert can land any more, and finds out what has landed.
    async fn take_over(&self) -> Result<Beginning, Stop> {
        let (sink, origin) = (&self.tools.sink, &self.origin);
        persist("reaching it", || sink.reach()).await?;
        let clock = persist("asking for the time", || ServerClock::ask(sink)).await?;
        // Every lease that was ever handed out for this partition has run out after this by ClickHouse's own clock:
        // elapsed time here counts against it, and the clock read above is not ahead of it.
        sleep(self.tools.lease).await;
        let prefix = token_prefix(origin);
        persist("ending inserts", || sink.end_inserts(&prefix)).await?;
        let source = Source::new(
            self.kafka.clone(),
            &self.group,
            &origin.topic,
            origin.partition,
            self.limits.bytes,
        )
        .map_err(Stop::Kafka)?
        .with_schemas(self.schemas.clone());
        let (first, end) = source.ends_at_last().await?;
        let committed = self.member.committed(origin.partition).await?;
        let wanted = match committed {
            Some(offset) => offset,
            None => persist("reading back", || sink.contiguous_end(origin))
                .await?
                .unwrap_or(first),
        };
        if end < wanted {
            return Err(self.shorter(end, wanted));
        }
        let last = persist("reading back", || sink.last_before(origin, wanted)).await?;
        let mut witness = Witness::new(self, last)?;
        witness.testify(self).await?;
        let position = self.after_retention(wanted, first).await?;
        // From here on there is a committed offset: a batch that is inserted and not yet published when we die begins
        // after it, and is published by the next owner. Without one the next owner would go on after the table's end.
        let mut standing = Standing::new(Arc::clone(&self.member), origin.partition, position);
        if committed.is_none() {
            standing.commit(position).await?;
        }
        let loaded = persist("reading back", || sink.loaded(origin, position)).await?;
        info!(
            partition = origin.partition,
            position,
            loaded = loaded.len(),
            "taken over"
        );
        let writers = persist("reading back", || sink.unsettled_writers(origin)).await?;
        source.go_to(position).map_err(Stop::Kafka)?;
        Ok(Beginning {
            loader: Loader::new(origin.clone(), self.tools.clone(), clock, loaded).with_standing(standing),
            source,
            witness,
            position,
            lookout: self.lookout(Watch::new(writers)),
        })
    }

    /// Notes what retention removed before it was read, and gives back where to go on.
    async fn after_retention(&self, position: i64, first: i64) -> Result<i64, Stop> {
        if position >= first {
            return Ok(position);
        }
        let (sink, origin) = (&self.tools.sink, &self.origin);
        warn!(
            partition = origin.partition,
            first = position,
            last = first - 1,
            "records were removed by retention before they could be loaded: they are LOST"
        );
        self.tools
            .metrics
            .lost_to_retention
            .inc_by((first - position).unsigned_abs());
        persist("noting a gap", || {
            sink.note_gap(origin, position..=first - 1, "retention")
        })
        .await?;
        Ok(first)
    }

    fn lookout(&self, watch: Watch) -> Lookout {
        let every = LOOK.min(self.listener.span() / 4);
        let mut looks = interval(every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        Lookout {
            looks,
            watch,
            wanted: Vec::new(),
        }
    }

    async fn load_batches(&self, beginning: Beginning) -> Result<(), Stop> {
        let Beginning {
            source,
            mut witness,
            mut loader,
            mut position,
            mut lookout,
        } = beginning;
        while let Some(batch) = self.collect(&source, &mut position, &mut lookout).await? {
            if let Some(last) = batch.records.last() {
                // After the batch was read: had the log been exchanged before, or while it was, this sees the new one.
                witness.testify(self).await?;
                witness.last = Some((last.offset, last.hash(&self.origin)));
                let frames = batch.records.iter().filter_map(|record| record.content.as_ref().ok());
                frames.for_each(|frame| lookout.watch.saw(frame.writer_id));
                let (start, end, newest) = (batch.start, batch.end, last.kafka_time);
                let offset = loader.load(batch).await?;
                loader.commit(offset).await?;
                loader.phase("committed", start, end);
                self.tools.metrics.loaded_up_to(self.origin.partition, end, newest);
            }
            let gone = lookout.watch.take(position, |writer| self.listener.word(writer));
            if !gone.is_empty() {
                let offset = loader.settle(&gone, position).await?;
                loader.commit(offset).await?;
            }
            for offset in std::mem::take(&mut lookout.wanted) {
                let record = witness.look_up(offset).await?;
                loader.retry(offset, record).await?;
            }
        }
        Ok(())
    }

    /// Gathers records until the batch is full or old enough, or empty and somebody gone is to be settled; `None` once the
    /// partition is revoked.
    async fn collect(&self, source: &Source, position: &mut i64, lookout: &mut Lookout) -> Result<Option<Batch>, Stop> {
        let start = *position;
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0;
        let mut full = None;
        while records.len() < self.limits.rows && bytes < self.limits.bytes {
            // With nothing gathered there is no hurry; the branch is then disabled and its time never comes.
            let deadline = full.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                () = self.revoked.cancelled() => return Ok(None),
                () = sleep_until(deadline), if full.is_some() => break,
                _ = lookout.looks.tick() => {
                    self.look_at_end(source, *position, &mut lookout.watch).await?;
                    // Who cannot ask now asks at the next look.
                    let wanted = self.tools.sink.wanted_again(&self.origin, start).await;
                    lookout.wanted = wanted.unwrap_or_default();
                    if records.is_empty() && (lookout.watch.is_due(*position) || !lookout.wanted.is_empty()) {
                        break;
                    }
                }
                next = source.next() => match next? {
                    Some(record) => {
                        full.get_or_insert_with(|| Instant::now() + self.limits.every);
                        *position = record.offset + 1;
                        bytes += record.size as u64;
                        records.push(record);
                    }
                    None => {
                        let (first, end) = source.ends_at_last().await?;
                        if end < *position {
                            return Err(self.shorter(end, *position));
                        }
                        if first > *position && !records.is_empty() {
                            // What was gathered is loaded first; the same comes again with the next batch.
                            source.go_to(*position).map_err(Stop::Kafka)?;
                            break;
                        }
                        *position = self.after_retention(*position, first).await?;
                        if records.is_empty() && *position > start {
                            source.go_to(*position).map_err(Stop::Kafka)?;
                            return Box::pin(self.collect(source, position, lookout)).await;
                        }
                        sleep(Duration::from_millis(200)).await;
                        source.go_to(*position).map_err(Stop::Kafka)?;
                    }
                },
            }
        }
        Ok(Some(Batch {
            start,
            end: *position,
            records,
        }))
    }

    /// A log that ends before what was read from it is another log. Whoever was gone before it was found to end where it
    /// does has written nothing beyond.
    async fn look_at_end(&self, source: &Source, position: i64, watch: &mut Watch) -> Result<(), Stop> {
        let gone = watch.gone(|writer| self.listener.word(writer));
        match source.ends().await {
            Ok((_, end)) if end < position => Err(self.shorter(end, position)),
            Ok((_, end)) => {
                self.tools.metrics.log_end(self.origin.partition, end, position);
                watch.until(end, gone);
                Ok(())
            }
            // The brokers are away: nothing can be said, and librdkafka keeps trying.
            Err(_) => Ok(()),
        }
    }

    pub(crate) fn shorter(&self, end: i64, position: i64) -> Stop {
        Stop::Shorter {
            topic: self.origin.topic.clone(),
            partition: self.origin.partition,
            end,
            position,
        }
    }
}
