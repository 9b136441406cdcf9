//! The life of a batch, in [`Loader::load`].

mod farewell;
mod making;
mod once;
mod retry;
mod seen;
mod store;

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashSet};
use tapedeck_schemas::{DeadLetter, SessionKey};
use tracing::{debug, warn};
use uuid::Uuid;

use crate::calls::Calls;
use crate::duplicates::Segments;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::parts::{Parts, Waiting};
use crate::publish::Publisher;
use crate::record::Record;
use crate::redaction;
use crate::retention::Retention;
use crate::rows::{Origin, Row, Verdict};
use crate::rules::{Live, Rules};
use crate::sessions::{Event, Place, Sessions};
use crate::sink::{Loaded, ServerClock, Sink};
use crate::standing::Standing;
use crate::stop::{Stop, persist};
use crate::telemetry::Traces;
use seen::Seen;

/// Session keys with their sessions and exchanges, and segments, that one partition keeps in memory.
const MEMORY: usize = 50_000;

/// Consecutive records of one partition.
#[derive(Debug)]
pub struct Batch {
    /// Offset of the first.
    pub start: i64,
    /// Offset after the last.
    pub end: i64,
    /// The records, by offset.
    pub records: Vec<Record>,
}

/// What outlives a batch, of one partition.
pub struct Loader {
    /// Where the records come from.
    pub origin: Origin,
    /// Where rows go.
    pub sink: Sink,
    /// Where events go.
    pub publisher: Publisher,
    /// The rules, as they are now.
    pub rules: Rules,
    /// The rules of this batch.
    live: Live,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// Spans.
    traces: Traces,
    /// How long ClickHouse may take to come to an insert's rows.
    pub lease: Duration,
    /// Microseconds without a frame that end a session.
    pub idle: i64,
    /// How long rows are kept.
    pub retention: Retention,
    /// Whether the partition is ours; `None` where nobody else can have it.
    standing: Option<Standing>,
    state: State,
}

/// What is known of the records so far. All of it can be read back.
struct State {
    clock: ServerClock,
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
        Self {
            origin,
            sink: tools.sink,
            publisher: tools.publisher,
            live: tools.rules.current(),
            rules: tools.rules,
            metrics: tools.metrics,
            traces: tools.traces,
            lease: tools.lease,
            idle,
            retention: tools.retention,
            standing: None,
            state: State {
                clock,
                loaded,
                segments: Segments::default(),
                sessions: Sessions::new(idle),
                parts: Parts::default(),
                clean: redaction::Known::default(),
                orders: Orders::default(),
            },
        }
    }

    /// Every lease is counted from the group's word.
    #[must_use]
    pub fn with_standing(mut self, standing: Standing) -> Self {
        self.standing = Some(standing);
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
    pub async fn load(&mut self, mut batch: Batch) -> Result<i64, Stop> {
        let (start, end) = (batch.start, batch.end);
        let began = Instant::now();
        let mut trace = self.traces.batch(&self.origin, batch.records.len());
        self.metrics.batch_records.observe(batch.records.len() as f64);
        self.phase("decoded", start, end);
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
        trace.takes(&rows);
        let offset = self.store(rows, &letters, start, end).await?;
        trace.loaded();
        self.metrics.batches.inc();
        self.metrics.batch_time.observe(began.elapsed().as_secs_f64());
        Ok(offset)
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

    /// Says in which phase of its life a batch is; tests that kill this process read it.
    pub fn phase(&self, phase: &str, start: i64, end: i64) {
        debug!(%phase, partition = self.origin.partition, start, end, "batch");
    }

    /// A record that an earlier version could not decode is taken for undecodable again: its stub is in the table, and what
    /// follows was counted without it.
    fn keep_stubs(&self, records: &mut [Record]) {
        for record in records {
            let stored = self.state.loaded.hash(record.offset);
            if stored.is_some_and(|hash| hash == record.stub_hash(&self.origin)) {
                record.forget_content();
            }
        }
    }

    /// Offsets are no identity: a topic that was recreated begins at 0 again.
    fn compare_with_loaded(&self, records: &[Record]) -> Result<(), Stop> {
        let differs = |record: &&Record| {
            let stored = self.state.loaded.hash(record.offset);
            stored.is_some_and(|hash| hash != record.hash(&self.origin))
        };
        match records.iter().find(differs) {
            Some(record) => Err(Stop::recreated(&self.origin, record.offset)),
            None => Ok(()),
        }
    }

    /// Reads back what memory lacks of the segments, sessions and exchanges that the batch goes on with.
    async fn restore(&mut self, batch: &Batch) -> Result<(), Stop> {
        let frames = || batch.records.iter().filter_map(|record| record.content.as_ref().ok());
        let segments: HashSet<Uuid> = frames()
            .map(|frame| frame.segment_id)
            .filter(|segment| !self.state.segments.knows(*segment))
            .collect();
        let missing = self.state.sessions.missing(frames());
        if segments.is_empty() && missing.is_empty() {
            return Ok(());
        }
        let past = persist("reading back", || {
            self.sink
                .past(&self.origin, batch.start, &segments, &missing, self.idle)
        })
        .await?;
        for (segment, ranges) in past.segments {
            self.state.segments.restore(segment, ranges);
        }
        self.state.sessions.restore(&missing, past.sessions, past.exchanges);
        Ok(())
    }

    /// Leaves out frames that were seen before, and tells forks from them by their hash.
    async fn drop_duplicates(&mut self, batch: Batch) -> Result<Vec<(Record, Verdict)>, Stop> {
        let suspects: HashSet<(Uuid, i64)> = batch
            .records
            .iter()
            .filter_map(|record| record.content.as_ref().ok())
            .map(|frame| (frame.segment_id, frame.seq))
            .filter(|(segment, seq)| self.state.segments.contains(*segment, *seq))
            .collect();
        let hashes = || self.sink.hashes(&self.origin, batch.start, &suspects);
        let mut seen = Seen {
            first: HashMap::with_capacity_and_hasher(batch.records.len(), Default::default()),
            more: persist("looking up duplicates", hashes).await?,
        };
        for waiting in self.state.parts.frames() {
            let frame = waiting.frame.frame();
            seen.is_new((frame.segment_id, frame.seq), frame.frame_hash);
        }
        let mut fresh = Vec::with_capacity(batch.records.len());
        for record in batch.records {
            let Ok(frame) = &record.content else {
                fresh.push((record, Verdict::Undecodable));
                continue;
            };
            if frame.verify_hash().is_err() {
                // Its sequence number may be a lie as well: it takes no other frame's place.
                self.metrics.tampered.inc();
                fresh.push((record, Verdict::Tampered));
                continue;
            }
            let is_first = self.state.segments.insert(frame.segment_id, frame.seq);
            if !seen.is_new((frame.segment_id, frame.seq), frame.frame_hash) {
                self.metrics.duplicates.inc();
                continue;
            }
            let verdict = if is_first { Verdict::Intact } else { Verdict::Fork };
            if verdict == Verdict::Fork {
                self.metrics.forks.inc();
                warn!(
                    partition = self.origin.partition,
                    offset = record.offset,
                    "a fork: two frames with one number"
                );
            }
            fresh.push((record, verdict));
        }
        Ok(fresh)
    }

    /// Masks, places and puts together. Gives back the rows of all messages that are whole or given up, and the dead
    /// letters. The sessions are those of the frames' own order, whenever their rows are complete.
    fn take_in(&mut self, records: Vec<(Record, Verdict)>, mut calls: Calls) -> (Vec<Row>, Vec<DeadLetter>) {
        let (mut rows, mut letters) = (Vec::with_capacity(records.len()), Vec::new());
        for (record, verdict) in records {
            match record.content {
                Err(undecodable) => {
                    self.metrics.undecodable.inc();
                    letters.push(undecodable.letter(&self.origin, record.offset, record.kafka_time));
                    rows.push(self.stub(&undecodable, record.offset, record.kafka_time));
                }
                Ok(frame) => {
                    let frame = redaction::mask(frame, &self.live.redactor, &mut self.state.clean);
                    let event = Event::of(record.offset, frame.frame());
                    let place = self.state.sessions.place(&event);
                    let with = Known {
                        kafka_time: record.kafka_time,
                        verdict,
                        answers: calls.take(&event, place.session),
                        place,
                    };
                    let offset = record.offset;
                    for message in self
                        .state
                        .parts
                        .take(Waiting { offset, frame, with }, &self.live.redactor)
                    {
                        self.finish(message, &mut rows);
                    }
                }
            }
        }
        for message in self.state.parts.expire() {
            self.finish(message, &mut rows);
        }
        (rows, letters)
    }

    /// Every row before the next batch is in the table, or waits for its message: of all but the latter memory may go.
    fn forget(&mut self, end: i64) {
        self.state.loaded.forget(end);
        let waiting = || self.state.parts.frames().map(|waiting| waiting.frame.frame());
        let keys: HashSet<SessionKey> = waiting().map(|frame| frame.session_key).collect();
        let segments: HashSet<Uuid> = waiting().map(|frame| frame.segment_id).collect();
        self.state.sessions.forget(MEMORY, |key| keys.contains(key));
        self.state.segments.forget(MEMORY, |segment| segments.contains(segment));
        self.metrics
            .session_keys
            .set(self.state.sessions.keys_in_memory() as i64);
    }
}

/// What the token of every insert of one partition begins with.
#[must_use]
pub fn token_prefix(origin: &Origin) -> String {
    format!("{}/{}/{}/", origin.source, origin.topic, origin.partition)
}
