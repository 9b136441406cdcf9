//! Frames that nobody waits for, until the broker has them: ends of exchanges, and refusals of known callers.
//!
//! A frame enters at the back of its session key's queue and leaves when it is acknowledged. While Kafka is away it waits
//! here as a draft, without a number. One that was handed over and failed waits as the bytes that it was sealed into, and
//! is handed over again as these: it may be in the log already, and the same frame twice is one frame to every reader
//! (same segment, `seq` and hash), where a second frame would be a second end.
//!
//! What does not fit is counted, by kind in a metric and by session key in a gap frame that takes its place. So are the
//! frames of targets whose record is best effort.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rdkafka::types::RDKafkaErrorCode;
use tapedeck_schemas::{Frame, Gap, Kind, SessionKey};
use uuid::Uuid;

use super::NotRecorded;
use super::durable::Place;
use super::metrics::Metrics;

/// Most frames that may be kept.
pub(super) const MAX_FRAMES: usize = 16_384;
/// Most bytes that may be kept.
pub(super) const MAX_BYTES: usize = 32 * 1024 * 1024;
/// What a frame counts besides its payload: about what it takes in memory.
pub(super) const FRAME_BYTES: usize = 1_024;
/// Why a gap frame of this module says that frames are missing.
const FULL: &str = "backlog_full";

/// The queues. One lock, held for a few instructions and taken last.
#[derive(Debug)]
pub(super) struct Backlog {
    queues: Mutex<Queues>,
    /// Whether `waiting` is above zero, for a look without the lock.
    waits: AtomicBool,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Queues {
    /// Each in the order of the calls. Invariant: no queue is empty.
    keys: HashMap<SessionKey, VecDeque<Entry>>,
    frames: usize,
    bytes: usize,
    /// Frames that are not in flight.
    waiting: usize,
    last_ticket: u64,
}

#[derive(Debug)]
struct Entry {
    ticket: u64,
    frame: Frame,
    /// None once it is sealed: the bytes have it.
    payload: Option<Bytes>,
    size: usize,
    sealed: Option<Arc<SealedFrame>>,
    in_flight: bool,
    /// Somebody may be sealing it: a gap counts no more.
    looked_at: bool,
}

/// A frame with its place in a segment, as the record that is or was handed to Kafka.
#[derive(Debug)]
pub(super) struct SealedFrame {
    pub(super) value: Vec<u8>,
    pub(super) exchange_id: Uuid,
    pub(super) place: Place,
}

/// Which frame of the backlog a delivery is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    key: SessionKey,
    number: u64,
}

/// The first of a queue that is not in flight.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) ticket: Ticket,
    /// With the time at which it was recorded.
    pub(super) frame: Frame,
    pub(super) payload: Option<Bytes>,
    /// Set where it was handed over before.
    pub(super) sealed: Option<Arc<SealedFrame>>,
}

impl Backlog {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            queues: Mutex::default(),
            waits: AtomicBool::new(false),
            metrics,
        }
    }

    /// Takes a frame in, or counts it.
    pub(super) fn push(&self, frame: Frame, payload: Option<Bytes>) {
        let payload_size = payload.as_ref().map_or(0, Bytes::len);
        let size = FRAME_BYTES + payload_size;
        let mut queues = self.queues();
        if queues.frames < MAX_FRAMES && queues.bytes + size <= MAX_BYTES {
            queues.push(frame, payload, size);
        } else {
            self.metrics.unwaited_lost(frame.kind);
            queues.miss(&frame, payload_size, FULL);
        }
        self.measure(&queues);
    }

    /// Counts a frame that was not recorded for `reason`, in a gap frame under its key.
    pub(super) fn miss(&self, frame: &Frame, payload: usize, reason: &'static str) {
        let mut queues = self.queues();
        queues.miss(frame, payload, reason);
        self.measure(&queues);
    }

    /// Whether a frame under any key is not in flight.
    pub(super) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// The first frame under `key` that is not in flight.
    pub(super) fn next(&self, key: SessionKey) -> Option<Next> {
        let mut queues = self.queues();
        let queue = queues.keys.get_mut(&key)?;
        let entry = queue.iter_mut().find(|entry| !entry.in_flight)?;
        entry.looked_at = true;
        Some(Next {
            ticket: Ticket {
                key,
                number: entry.ticket,
            },
            frame: entry.frame.clone(),
            payload: entry.payload.clone(),
            sealed: entry.sealed.clone(),
        })
    }

    /// Keys of frames that are not in flight.
    pub(super) fn keys_waiting(&self) -> Vec<SessionKey> {
        let queues = self.queues();
        if queues.waiting == 0 {
            return Vec::new();
        }
        let waits = |queue: &VecDeque<Entry>| queue.iter().any(|entry| !entry.in_flight);
        let waiting = queues.keys.iter().filter(|(_, queue)| waits(queue));
        waiting.map(|(key, _)| *key).collect()
    }

    /// It is about to be handed over, as these bytes. The caller holds the lock of the key's slot, and has held it since
    /// it asked for the [`next`](Self::next).
    pub(super) fn handing_over(&self, ticket: Ticket, sealed: &Arc<SealedFrame>) {
        let mut queues = self.queues();
        if let Some(entry) = queues.entry(ticket) {
            entry.in_flight = true;
            entry.payload = None;
            entry.sealed = Some(Arc::clone(sealed));
            queues.waiting -= 1;
        }
        self.measure(&queues);
    }

    /// Its report: it is on record, or waits again, unless the broker will never take it.
    pub(super) fn reported(&self, ticket: Ticket, outcome: Result<(), NotRecorded>) {
        let mut queues = self.queues();
        match outcome {
            Err(why) if !matches!(why, NotRecorded::Undelivered(code) if is_final(code)) => {
                if let Some(entry) = queues.entry(ticket) {
                    entry.in_flight = false;
                    queues.waiting += 1;
                }
            }
            _ => {
                let gone = queues.remove(ticket);
                // Its segment's successor names it.
                if let (Err(_), Some(entry)) = (outcome, gone) {
                    self.metrics.unwaited_lost(entry.frame.kind);
                }
            }
        }
        self.measure(&queues);
    }

    /// Frames that are not acknowledged.
    pub(super) fn count(&self) -> usize {
        self.queues().frames
    }

    fn measure(&self, queues: &Queues) {
        self.metrics.backlog(queues.frames, queues.bytes);
        self.waits.store(queues.waiting > 0, Ordering::Relaxed);
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        // Nothing under this lock can panic half way through a change.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn push(&mut self, frame: Frame, payload: Option<Bytes>, size: usize) {
        self.last_ticket += 1;
        self.frames += 1;
        self.bytes += size;
        self.waiting += 1;
        self.keys.entry(frame.session_key).or_default().push_back(Entry {
            ticket: self.last_ticket,
            frame,
            payload,
            size,
            sealed: None,
            in_flight: false,
            looked_at: false,
        });
    }

    /// Counts a frame in the gap at the end of its key's queue.
    fn miss(&mut self, frame: &Frame, bytes: usize, reason: &'static str) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let last = self.keys.get_mut(&frame.session_key).and_then(VecDeque::back_mut);
        if let Some(last) = last.filter(|last| !last.looked_at)
            && let Some(gap) = &mut last.frame.gap
            && gap.reason == reason
        {
            gap.frames += 1;
            gap.bytes = gap.bytes.saturating_add(bytes);
            return;
        }
        // Even gaps have a bound. Beyond it there is the metric.
        if self.frames >= 2 * MAX_FRAMES {
            return;
        }
        let gap = Frame {
            kind: Kind::Gap,
            time: frame.time,
            monotonic_ns: frame.monotonic_ns,
            session_key: frame.session_key,
            tenant: frame.tenant.clone(),
            target: frame.target.clone(),
            gap: Some(Gap {
                reason: reason.to_owned(),
                frames: 1,
                bytes,
            }),
            ..Frame::default()
        };
        self.push(gap, None, FRAME_BYTES);
    }

    fn entry(&mut self, ticket: Ticket) -> Option<&mut Entry> {
        let queue = self.keys.get_mut(&ticket.key)?;
        queue.iter_mut().find(|entry| entry.ticket == ticket.number)
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Entry> {
        let queue = self.keys.get_mut(&ticket.key)?;
        let at = queue.iter().position(|entry| entry.ticket == ticket.number)?;
        let entry = queue.remove(at)?;
        if queue.is_empty() {
            self.keys.remove(&ticket.key);
        }
        self.frames -= 1;
        self.bytes -= entry.size;
        Some(entry)
    }
}

/// Whether Kafka refuses this very message, and would again.
pub(super) fn is_final(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidArgument
    )
}
