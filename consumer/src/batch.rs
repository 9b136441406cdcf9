//! The life of a batch, in [`Loader::load`]; and in [`Loader::begin`], where one is prepared while the one before is stored.

mod farewell;
mod making;
mod once;
mod past;
mod retry;
mod seen;
mod store;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use foldhash::HashSet;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;
use uuid::Uuid;

use crate::budget::{Budget, Reserved};
use crate::duplicates::Segments;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::parts::Parts;
use crate::publish::Publisher;
use crate::record::Record;
use crate::redaction;
use crate::retention::Retention;
use crate::rows::{Origin, Row, Verdict};
use crate::rules::{Live, Rules};
use crate::sessions::{Place, Sessions};
use crate::sink::{Loaded, ServerClock, Sink};
use crate::standing::Standing;
use crate::stop::Stop;
use crate::telemetry::Traces;
use store::{Prepared, Storing, encode};

/// Consecutive records of one partition.
#[derive(Debug)]
pub struct Batch {
    /// Offset of the first.
    pub start: i64,
    /// Offset after the last.
    pub end: i64,
    /// The records, by offset.
    pub records: Vec<Record>,
    /// What they take of the budget.
    pub reserved: Reserved,
}

/// What outlives a batch, of one partition.
pub struct Loader {
    /// Where the records come from.
    pub origin: Origin,
    /// Where rows are.
    pub sink: Sink,
    /// The rules, as they are now.
    pub rules: Rules,
    /// The rules of this batch.
    live: Live,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// Spans.
    traces: Traces,
    /// Microseconds without a frame that end a session.
    pub idle: i64,
    /// How long rows are kept.
    pub retention: Retention,
    budget: Budget,
    state: State,
    /// The batch that was prepared last.
    batch: u64,
    /// Segments with frames in it.
    under_way: HashSet<Uuid>,
    store: Store,
}

/// Where rows go, and whether a batch is on its way there.
enum Store {
    Free(Box<Storing>),
    Busy(AbortOnDropHandle<Result<Box<Storing>, Stop>>),
    /// Storing a batch has failed for good, or was given up.
    Gone,
}

/// What is known of the records so far. All of it can be read back.
struct State {
    /// Rows that were in the table when this owner began, at and after its first offset.
    loaded: Loaded,
    segments: Segments,
    sessions: Sessions,
    parts: Parts<Known>,
    clean: redaction::Known,
    /// Whose frames are erased as they are loaded.
    orders: Orders,
}

/// What is known of a frame that waits for the rest of its message.
#[derive(Debug)]
struct Known {
    kafka_time: i64,
    verdict: Verdict,
    place: Place,
    answers: Option<Uuid>,
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// The parts that a loader is made of.
#[derive(Clone)]
pub struct Tools {
    /// Where rows go.
    pub sink: Sink,
    /// Where events go.
    pub publisher: Publisher,
    /// The rules, as they are now.
    pub rules: Rules,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// Spans.
    pub traces: Traces,
    /// How long ClickHouse may take to come to an insert's rows.
    pub lease: Duration,
    /// Without a frame for so long, a session ends.
    pub idle: Duration,
    /// How long rows are kept.
    pub retention: Retention,
    /// What all partitions may hold.
    pub budget: Budget,
}

impl std::fmt::Debug for Tools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tools")
            .field("sink", &self.sink)
            .finish_non_exhaustive()
    }
}

impl Loader {
    /// A loader that begins where nothing but `loaded` is in the table, as far as it goes.
    #[must_use]
    pub fn new(origin: Origin, tools: Tools, clock: ServerClock, loaded: Loaded) -> Self {
        let idle = i64::try_from(tools.idle.as_micros()).unwrap_or(i64::MAX);
        let storing = Storing {
            origin: origin.clone(),
            sink: tools.sink.clone(),
            publisher: tools.publisher,
            metrics: Arc::clone(&tools.metrics),
            lease: tools.lease,
            clock,
            standing: None,
            orders: Orders::default(),
        };
        Self {
            origin,
            sink: tools.sink,
            live: tools.rules.current(),
            rules: tools.rules,
            metrics: tools.metrics,
            traces: tools.traces,
            idle,
            retention: tools.retention,
            state: State {
                loaded,
                segments: Segments::default(),
                sessions: Sessions::new(idle),
                parts: Parts::within(tools.budget.room()),
                clean: redaction::Known::default(),
                orders: Orders::default(),
            },
            budget: tools.budget,
            batch: 0,
            under_way: HashSet::default(),
            store: Store::Free(Box::new(storing)),
        }
    }

    /// Every lease is counted from the group's word.
    #[must_use]
    pub fn with_standing(mut self, standing: Standing) -> Self {
        if let Store::Free(storing) = &mut self.store {
            storing.standing = Some(standing);
        }
        self
    }

    /// Loads a batch, and returns the offset to commit: its end, or the first frame of a message that is not whole yet.
    ///
    /// The offset is returned only when every row is in the table and everything published is acknowledged. A crash
    /// before it is committed repeats the batch: rows that are there are not inserted again, events are published again
    /// under the same ids.
    ///
    /// # Errors
    /// Only what no retry mends. ClickHouse and Kafka away is no error: this waits.
    pub async fn load(&mut self, batch: Batch) -> Result<i64, Stop> {
        phase(&self.origin, "decoded", batch.start, batch.end);
        let prepared = self.prepare(batch).await?;
        self.store_now(prepared).await
    }

    /// Prepares a batch, and begins to store and to commit it once the one before is.
    ///
    /// # Errors
    /// As [`load`](Self::load), also about the batch before.
    pub async fn begin(&mut self, batch: Batch) -> Result<(), Stop> {
        let (start, end) = (batch.start, batch.end);
        // Phases are told one batch after the other.
        let is_next = !self.is_storing();
        if is_next {
            phase(&self.origin, "decoded", start, end);
        }
        let prepared = self.prepare(batch).await?;
        self.settled().await?;
        if !is_next {
            phase(&self.origin, "decoded", start, end);
        }
        self.forget(self.batch - 1, prepared.late());
        let Store::Free(mut storing) = std::mem::replace(&mut self.store, Store::Gone) else {
            return Ok(());
        };
        self.store = Store::Busy(AbortOnDropHandle::new(tokio::spawn(async move {
            storing.complete(prepared).await?;
            Ok(storing)
        })));
        if self.remembers_too_much() {
            self.settled().await?;
            self.forget(self.batch, &[]);
        }
        Ok(())
    }

    /// Whether a batch is being stored.
    #[must_use]
    pub fn is_storing(&self) -> bool {
        matches!(self.store, Store::Busy(_))
    }

    /// Waits until every batch that was begun is stored and committed. Cancelling loses nothing.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn settled(&mut self) -> Result<(), Stop> {
        let Store::Busy(handle) = &mut self.store else {
            return Ok(());
        };
        let ended = handle.await;
        self.store = Store::Gone;
        match ended {
            Ok(storing) => self.store = Store::Free(storing?),
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
        Ok(())
    }

    /// Everything up to storing: decoded, without duplicates, redacted, in its sessions, encoded.
    async fn prepare(&mut self, mut batch: Batch) -> Result<Prepared, Stop> {
        let (start, end, began) = (batch.start, batch.end, Instant::now());
        let mut trace = self.traces.batch(&self.origin, batch.records.len());
        let newest = batch.records.last().map(|last| last.kafka_time);
        let mut reserved = std::mem::replace(&mut batch.reserved, self.budget.nothing());
        self.metrics.batch_records.observe(batch.records.len() as f64);
        let bytes: usize = batch.records.iter().map(|record| record.size).sum();
        self.metrics.batch_bytes.observe(bytes as f64);
        self.batch = self.state.sessions.begin();
        self.renew_rules();
        self.look_up_loaded(end).await?;
        self.keep_stubs(&mut batch.records);
        self.compare_with_loaded(&batch.records)?;
        self.restore(&batch).await?;
        let fresh = self.drop_duplicates(batch).await?;
        let calls = self.look_up_calls(&fresh, start).await?;
        self.renew_orders().await?;
        // Redacting large bodies takes long enough to keep other partitions' tasks waiting.
        let redacting = Instant::now();
        let (rows, letters) = tokio::task::block_in_place(|| self.take_in(fresh, calls));
        self.metrics.redaction_time.observe(redacting.elapsed().as_secs_f64());
        self.state.parts.keep_of(&mut reserved);
        trace.takes(&rows);
        let (there, commit) = self.places(&rows, end);
        let block = match there.is_empty() && !rows.is_empty() {
            true => Some(encode(&self.origin, self.sink.packing(), rows.iter())?),
            false => None,
        };
        Ok(Prepared {
            start,
            end,
            rows,
            block,
            there,
            letters,
            commit,
            newest,
            reserved,
            began,
            trace: Some(trace),
        })
    }

    /// Which rows are in the table already, and what may be committed once the others are, everything before `end` being
    /// in them or waiting.
    fn places(&mut self, rows: &[Row], end: i64) -> (HashSet<i64>, i64) {
        let loaded = &mut self.state.loaded;
        let there = match loaded.is_empty() {
            true => HashSet::default(),
            false => rows
                .iter()
                .map(|row| row.offset)
                .filter(|offset| loaded.contains(*offset))
                .collect(),
        };
        let commit = self.state.parts.first_offset().unwrap_or(end).min(end);
        loaded.forget(commit);
        (there, commit)
    }

    /// Stores a batch while nothing else is done.
    async fn store_now(&mut self, prepared: Prepared) -> Result<i64, Stop> {
        let offset = self.storing().await?.store(prepared).await?;
        self.forget(self.batch, &[]);
        Ok(offset)
    }

    /// Commits an offset that [`load`](Self::load) returned.
    ///
    /// # Errors
    /// Only what no retry mends.
    pub async fn commit(&mut self, offset: i64) -> Result<(), Stop> {
        self.storing().await?.commit(offset).await
    }

    /// What stores, once the batch before is stored.
    async fn storing(&mut self) -> Result<&mut Storing, Stop> {
        self.settled().await?;
        match &mut self.store {
            Store::Free(storing) => Ok(storing),
            // A loader whose batch could not be stored is not asked again.
            Store::Busy(_) | Store::Gone => std::future::pending().await,
        }
    }

    /// A batch has the rules of its beginning.
    fn renew_rules(&mut self) {
        let live = self.rules.current();
        if !Arc::ptr_eq(&live.redactor, &self.live.redactor) {
            // What other rules left alone these may not.
            self.state.clean = redaction::Known::default();
        }
        self.live = live;
    }
}

impl Loader {
    /// Counts the sessions that are open now.
    pub fn count_sessions(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        let open = self.state.sessions.open_at(now);
        self.metrics.sessions_open(self.origin.partition, open);
    }
}

/// Says in which phase of its life a batch is; tests that kill this process read it.
fn phase(origin: &Origin, phase: &str, start: i64, end: i64) {
    debug!(%phase, partition = origin.partition, start, end, "batch");
}

/// What the token of every insert of one partition begins with.
#[must_use]
pub fn token_prefix(origin: &Origin) -> String {
    format!("{}/{}/{}/", origin.source, origin.topic, origin.partition)
}
