//! The recorder: seals frames into segments, publishes them, and says when they are durable.
//!
//! # The life of a frame, as the recorder sees it
//!
//! 1. The request path makes a [`Draft`] and hands it to [`Recorder::record`]. If nothing can be recorded now, that is
//!    said at once, and the frame never was.
//! 2. Under the lock of its session key's segment the frame gets its numbers and is sealed, encoded and handed to
//!    librdkafka, or queued for it behind others. Nobody waits there, so the order of calls, of the chain and of the topic
//!    are one. The first frame of a session key opens the segment; five idle minutes seal it.
//! 3. The broker's delivery report resolves the [`Pending`]: with a [`Durable`], the only proof that something may happen
//!    or be shown, or with [`NotRecorded`].
//!
//! # When a publish fails
//!
//! Whether an unacknowledged frame is in the log nobody knows. Its segment takes no more frames. The next frame under
//! the key, or else the look for idle segments, opens a new one, whose opener names the old segment, its head, and every
//! frame of it that is not acknowledged at that moment (and those that the old opener named, if that is not
//! acknowledged either: entries of `lost` are identified by their `writer_seq`). The control topic is told of each
//! segment's end, so a segment whose opener was lost with it is still accounted for. Until a look at the topics finds
//! Kafka well again, frames are refused before they are sealed.
//!
//! A failed publish and a fatal producer error also replace the producer: what an idempotent producer sends after a
//! failure depends on state that the broker may have lost. The old one's messages are purged, which fails them. The
//! writer stays: numbers, chains and key live outside librdkafka. A segment with frames in the old producer takes no
//! more, for the new one could overtake it; the others go on.
//!
//! # What nobody waits for
//!
//! A request that cannot be recorded does not happen, and whoever waits for it is told. An end or a refusal describes what
//! has happened, so it is never refused: [`Recorder::record_unwaited`] keeps it until the broker has it. A draft is sealed
//! when Kafka is ready. A sealed frame whose publish failed is handed over again *as it is*, with its old segment, `seq` and
//! hash: it may be in the log, and readers drop a frame that they have seen, by segment and `seq`. So an exchange never has
//! two ends because of an outage. Its segment's successor may name it as lost all the same, which says only that nobody knew
//! at that moment.

mod backlog;
mod bell;
mod draft;
mod draining;
mod durable;
mod hand_over;
mod in_flight;
mod lanes;
mod ledger;
mod metrics;
mod not_recorded;
mod publish;
mod readiness;
mod segment;
mod settings;
mod slots;
mod spooling;
mod statements;
mod strangers;
mod topics;
mod upkeep;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use prometheus_client::registry::Registry;
use tapedeck_schemas::Frame;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

pub use draft::Draft;
pub use durable::{Durable, Pending};
pub use not_recorded::{NotReady, NotRecorded, TopicRole};
pub use settings::{
    Framings, MESSAGE_TIMEOUT, OWN_OPTIONS, Options, RecorderSettings, SpooledTargets, StartError, Topics,
};

use durable::Delivery;
use in_flight::InFlight;
use lanes::Haste;
use metrics::Metrics;
use publish::KafkaPublisher;
use readiness::Readiness;
use spooling::Spooling;
use strangers::StrangerLimit;
use upkeep::{Goodbye, Upkeep};
use writer::{Refused, Writer};

use crate::spool::Spool;

/// Records frames. Cheap to clone: all clones are one writer, which ends with [`Recorder::shutdown`].
#[derive(Clone)]
pub struct Recorder {
    writer: Arc<Writer>,
    strangers: Arc<StrangerLimit>,
    goodbyes: mpsc::Sender<Goodbye>,
}

/// How many brokers must hold a frame before its acknowledgement counts: a target's `allow_single_copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// The topics must have `min.insync.replicas` of 2 or more.
    AtLeastTwo,
    /// A single copy will do.
    One,
}

/// What has to be true of a frame before what it describes may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Kafka has it, in so many copies.
    Kafka(Copies),
    /// The same; while Kafka is away, the spool has synced it. Only for frames of [`RecorderSettings::spool`]'s targets.
    Spooled(Copies),
    /// Nothing. What Kafka does not take at once, or loses, is counted, and named in the session's segments.
    BestEffort,
}

impl From<Copies> for Demand {
    fn from(copies: Copies) -> Self {
        Self::Kafka(copies)
    }
}

impl Recorder {
    /// Starts a writer and the task that keeps it. Does not wait for Kafka: see [`Recorder::ready`].
    ///
    /// Must be called within a Tokio runtime; metrics are registered in `registry`.
    ///
    /// # Errors
    /// Options that librdkafka refuses, or that carry the promise.
    pub fn start(settings: RecorderSettings, registry: &mut Registry) -> Result<Self, StartError> {
        let metrics = Metrics::register(registry);
        let readiness = Arc::new(Readiness::new(metrics.clone()));
        let publisher = KafkaPublisher::start(&settings, Arc::clone(&readiness))?;
        let spooling = open_spool(&settings, &metrics)?;
        let in_flight = Arc::new(InFlight::new(metrics, readiness, spooling));
        let writer = Writer::new(Box::new(publisher), in_flight).with_framings(settings.framings);
        let writer = Arc::new(writer);
        let (goodbyes, received) = mpsc::channel(1);
        let client = publish::client_config(&settings)?;
        tokio::spawn(Upkeep::new(Arc::clone(&writer), settings, client).run(received));
        Ok(Self {
            writer,
            strangers: Arc::new(StrangerLimit::new(Instant::now())),
            goodbyes,
        })
    }

    /// This boot's id, as in every frame.
    #[must_use]
    pub fn writer_id(&self) -> Uuid {
        self.writer.id
    }

    /// From now on frames of this target may be spooled, where there is a spool. Only for a name that no frame of this
    /// writer has: the order of frames under a session key is that of one way.
    pub fn spool_frames_of(&self, target: &str) {
        self.writer.in_flight.cover(target);
    }

    /// A draft of `frame`, which the caller fills but for what the recorder owns: writer, segment, sequence numbers,
    /// time and monotonic time, counters, `segment`, payload and its size, salts, commitments, hashes. A `payload`
    /// has at most [`tapedeck_schemas::MAX_PART`] bytes.
    pub fn draft(&self, frame: Frame, payload: Option<Bytes>) -> Draft {
        Draft::new(frame, payload, self.writer.in_flight.metrics.clone())
    }

    /// Seals the frame and hands it to Kafka, without waiting: the order of calls under one session key is the order
    /// in the segment and in Kafka.
    ///
    /// # Errors
    /// What is demanded is not possible now. Never with [`Demand::BestEffort`].
    pub fn record(&self, draft: Draft, demand: impl Into<Demand>) -> Result<Pending, NotRecorded> {
        let (mut frame, payload) = draft.take();
        self.record_lent(&mut frame, payload, demand.into())
    }

    /// As [`Recorder::record`], of a frame that its caller keeps, for those that follow and have most of it in common:
    /// a copy for each would be a dozen allocations. What the recorder owns of it is another afterwards, and its
    /// payload is none.
    ///
    /// # Errors
    /// As [`Recorder::record`].
    pub(crate) fn record_lent(
        &self,
        frame: &mut Frame,
        payload: Option<Bytes>,
        demand: Demand,
    ) -> Result<Pending, NotRecorded> {
        let (size, exchange_id) = (payload.as_ref().map_or(0, Bytes::len), frame.exchange_id);
        match demand {
            Demand::Kafka(_) | Demand::Spooled(_) => match self.write(frame, payload, demand) {
                Ok(delivery) => Ok(Pending::new(delivery)),
                Err(refused) => Err(refused.why),
            },
            Demand::BestEffort => {
                let in_flight = &self.writer.in_flight;
                if in_flight.backlog.waits() && in_flight.readiness.check(Copies::One).is_ok() {
                    // The gap before it goes first.
                    let _ = self.writer.hand_over_next(frame.session_key);
                }
                if let Err(Refused { why, has_number: false }) = self.write(frame, payload, demand) {
                    self.writer.miss(frame, size, why);
                }
                Ok(Pending::not_awaited(exchange_id))
            }
        }
    }

    /// As [`Recorder::record`], for what nobody waits for: ends, refusals. While Kafka is away the frame is kept, within
    /// bounds, and so is one whose publish fails; both are on record, once, when Kafka is back.
    pub fn record_unwaited(&self, draft: Draft) {
        let (frame, payload) = draft.take();
        // More copies would be better, but one is better than none.
        let in_flight = &self.writer.in_flight;
        let ready = in_flight.readiness.check(Copies::One).is_ok() || in_flight.spool_of(&frame.target).is_some();
        self.writer.record_unwaited(frame, payload, ready);
    }

    /// Records a refusal without a principal. Over the limit (per process; number of open stranger segments) or where
    /// Kafka does not take it at once, it is counted instead, and the next manifest states the count.
    pub fn refuse_stranger(&self, draft: Draft) {
        let (mut frame, payload) = draft.take();
        let slots = &self.writer.slots;
        let has_room = slots.contains(&frame.session_key) || slots.strangers() < strangers::MAX_SEGMENTS;
        let written = has_room
            && self.writer.in_flight.readiness.check(Copies::One).is_ok()
            && self.strangers.admits(Instant::now())
            && self.writer.record(&mut frame, payload, true, Haste::Now).is_ok();
        if !written {
            self.writer.in_flight.metrics.refusal_not_written();
        }
    }

    /// Whether a frame could be recorded now: Kafka was reached lately and has acknowledged this writer's first
    /// statement, both topics exist, every partition has a leader and the replicas that it demands, no partition was
    /// added, and an acknowledgement means `copies`.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self, demand: impl Into<Demand>) -> Result<(), NotReady> {
        let in_flight = &self.writer.in_flight;
        match demand.into() {
            Demand::Kafka(copies) => in_flight.readiness.check(copies),
            Demand::BestEffort => in_flight.readiness.check(Copies::One),
            Demand::Spooled(copies) => match in_flight.readiness.check(copies) {
                // Whatever else is wrong is no absence, and time would not mend it.
                Err(NotReady::Starting | NotReady::Away | NotReady::Unavailable(_)) if in_flight.has_spool_room() => {
                    Ok(())
                }
                found => found,
            },
        }
    }

    /// Waits until [`Recorder::ready`], however long that takes.
    ///
    /// # Errors
    /// Only [`NotReady::ShuttingDown`].
    pub async fn until_ready(&self, copies: Copies) -> Result<(), NotReady> {
        let readiness = &self.writer.in_flight.readiness;
        readiness.until(copies, |found| found.is_ok()).await
    }

    /// What [`Recorder::ready`] says once Kafka was looked at for the first time, a few seconds after the start.
    ///
    /// # Errors
    /// Why frames cannot be recorded yet.
    pub async fn first_look(&self, copies: Copies) -> Result<(), NotReady> {
        let readiness = &self.writer.in_flight.readiness;
        readiness.until(copies, |found| found != Err(NotReady::Starting)).await
    }

    /// Hands over what was kept while Kafka was away, seals every segment, states the last heads and says goodbye. Frames are refused from now on.
    ///
    /// Returns soon after `deadline` at the latest.
    ///
    /// # Errors
    /// Not all of it was acknowledged by then.
    pub async fn shutdown(&self, deadline: Instant) -> Result<(), Unfinished> {
        self.writer.in_flight.readiness.close();
        let (done, ended) = oneshot::channel();
        let unfinished = || Unfinished {
            segments: self.writer.slots.count(),
            unwaited: self.writer.in_flight.backlog.count(),
        };
        match self.goodbyes.send(Goodbye { deadline, done }).await {
            Ok(()) => ended.await.unwrap_or_else(|_| Err(unfinished())),
            // Goodbye was said before.
            Err(_) if unfinished().is_nothing() => Ok(()),
            Err(_) => Err(unfinished()),
        }
    }

    fn write(&self, frame: &mut Frame, payload: Option<Bytes>, demand: Demand) -> Result<Arc<Delivery>, Refused> {
        let in_flight = &self.writer.in_flight;
        let haste = match demand {
            Demand::BestEffort => Haste::Soon,
            Demand::Kafka(_) | Demand::Spooled(_) => Haste::Now,
        };
        let recorded = match self.ready(demand) {
            Ok(()) => self.writer.record(frame, payload, false, haste),
            Err(why) => Err(NotRecorded::from(why).into()),
        };
        recorded.inspect_err(|refused| {
            // A publish that failed was counted with its report.
            if !matches!(refused.why, NotRecorded::Undelivered(_)) {
                in_flight.metrics.not_recorded(refused.why);
            }
        })
    }
}

/// Opens the spool, if there is to be one, and says what was torn.
fn open_spool(settings: &RecorderSettings, metrics: &Metrics) -> Result<Option<Spooling>, StartError> {
    let Some((settings, targets)) = &settings.spool else {
        return Ok(None);
    };
    let (spool, cuts) = Spool::open(settings)?;
    for cut in cuts {
        metrics.spool_cut(cut.bytes);
        if cut.is_last {
            tracing::warn!(
                file = cut.number,
                bytes = cut.bytes,
                "the spool's end was torn, and is cut"
            );
        } else {
            tracing::error!(
                file = cut.number,
                bytes = cut.bytes,
                "the disk lost records that the spool had synced"
            );
        }
    }
    Ok(Some(Spooling::new(spool, targets.clone(), metrics.clone())))
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("writer_id", &self.writer.id)
            .finish_non_exhaustive()
    }
}

/// The writer stopped without goodbye: readers will find segments without a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the recorder did not finish before the deadline: {segments} segments are not sealed durably, and {unwaited} frames that nobody waited for are not on record"
)]
pub struct Unfinished {
    /// Segments that are not sealed, as far as the broker has acknowledged; zero where only the goodbye is missing.
    pub segments: usize,
    /// Ends and refusals that the broker has not acknowledged: these exchanges stay open on record.
    pub unwaited: usize,
}

impl Unfinished {
    fn is_nothing(self) -> bool {
        self.segments == 0 && self.unwaited == 0
    }
}
