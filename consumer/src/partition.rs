//! The life of a partition while it is ours: take over, then batch after batch.

mod reader;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::batch::{Loader, Tools, token_prefix};
use crate::config::Limits;
use crate::group::Member;
use crate::rows::Origin;
use crate::schemas::Schemas;
use crate::silence::{Listener, Watch};
use crate::sink::ServerClock;
use crate::source::Source;
use crate::standing::Standing;
use crate::stop::{Stop, persist};
use crate::witness::Witness;
use reader::{Gathered, Reader};

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
    watch: Watch,
}

impl Partition {
    /// Loads batch after batch until the partition is revoked.
    ///
    /// # Errors
    /// Why nothing of this partition can be loaded any more.
    pub async fn run(self) -> Result<(), Stop> {
        let (revoked, number) = (self.revoked.clone(), self.origin.partition);
        let (grace, metrics) = (self.grace, Arc::clone(&self.tools.metrics));
        let beginning = tokio::select! {
            () = revoked.cancelled() => return Ok(()),
            beginning = self.take_over() => beginning?,
        };
        // A batch that does not end in time is abandoned: what was inserted is found by the next owner.
        let result = tokio::select! {
            result = Arc::new(self).load_batches(beginning) => result,
            () = async { revoked.cancelled().await; sleep(grace).await } => {
                warn!(partition = number, "revoked: abandoned a batch");
                Ok(())
            }
        };
        metrics.let_go(number);
        result
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
        let ahead = self.tools.budget.ahead(self.member.partitions().await?);
        let source = Source::new(self.kafka.clone(), &self.group, &origin.topic, origin.partition, ahead)
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
        self.tools.metrics.taken_over(origin.partition, position);
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
            watch: Watch::new(writers),
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

    async fn load_batches(self: Arc<Self>, beginning: Beginning) -> Result<(), Stop> {
        let Beginning {
            source,
            witness,
            mut loader,
            position,
            watch,
        } = beginning;
        let watch = Arc::new(Mutex::new(watch));
        // The next batch is gathered and decoded while this one is loaded, and no more than that.
        let (sender, mut gathered) = mpsc::channel(1);
        let reader = Reader::new(Arc::clone(&self), source, witness, position, Arc::clone(&watch));
        let reading = AbortOnDropHandle::new(tokio::spawn(reader.run(sender)));
        loop {
            let next = tokio::select! {
                next = gathered.recv() => next,
                stored = loader.settled(), if loader.is_storing() => {
                    stored?;
                    continue;
                }
            };
            let Some(Gathered { batch, wanted }) = next.filter(|_| !self.revoked.is_cancelled()) else {
                break;
            };
            let end = batch.end;
            if !batch.records.is_empty() {
                {
                    let mut watch = lock(&watch);
                    let frames = batch.records.iter().filter_map(|record| record.content.as_deref().ok());
                    frames.for_each(|frame| watch.saw(frame.writer_id));
                }
                loader.begin(batch).await?;
            }
            loader.count_sessions();
            if lock(&watch).is_due(end) {
                // Everything before it has to be in the table.
                loader.settled().await?;
                let gone = lock(&watch).take(end, |writer| self.listener.word(writer));
                if !gone.is_empty() {
                    let offset = loader.settle(&gone, end).await?;
                    loader.commit(offset).await?;
                }
            }
            for (offset, record) in wanted {
                loader.retry(offset, record).await?;
            }
        }
        loader.settled().await?;
        if self.revoked.is_cancelled() {
            return Ok(());
        }
        // Why nothing more comes.
        match reading.await {
            Ok(result) => result,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Ok(()),
            },
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

fn lock(watch: &Mutex<Watch>) -> MutexGuard<'_, Watch> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}
