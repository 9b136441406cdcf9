//! The recorder: seals frames into segments, publishes them, and says when they are durable.

mod durable;
mod not_recorded;
mod settings;

use std::time::Instant;

use bytes::Bytes;
use prometheus_client::registry::Registry;
use tapedeck_schemas::Frame;

pub use durable::{Durable, Pending};
pub use not_recorded::{NotReady, NotRecorded, TopicRole};
pub use settings::{MESSAGE_TIMEOUT, OWN_OPTIONS, Options, RecorderSettings, StartError, Topics};

/// Records frames. Cheap to clone: all clones are one writer.
#[derive(Clone, Debug)]
pub struct Recorder {}

/// How many brokers must hold a frame before its acknowledgement counts: a target's `allow_single_copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// The topic must have `min.insync.replicas` of 2 or more.
    AtLeastTwo,
    /// A single copy will do.
    One,
}

/// A frame to be recorded. One that is dropped without [`Recorder::record`] (or its siblings) or [`Draft::discard`]
/// is counted, by kind: no frame disappears in silence.
#[derive(Debug)]
#[must_use = "a draft is not on record"]
pub struct Draft {
    frame: Frame,
}

impl Draft {
    /// The frame, to be changed before it is recorded.
    pub fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }

    /// Drops it on purpose: it does not count as lost.
    pub fn discard(self) {}
}

impl Recorder {
    /// Starts a writer and the task that keeps it. Does not wait for Kafka: see [`Recorder::ready`].
    ///
    /// Must be called within a Tokio runtime; metrics are registered in `registry`.
    ///
    /// # Errors
    /// Options that librdkafka refuses, or that carry the promise.
    pub fn start(_settings: RecorderSettings, _registry: &mut Registry) -> Result<Self, StartError> {
        Ok(Self {})
    }

    /// A draft of `frame`, which the caller fills but for what the recorder owns: writer, segment, sequence numbers,
    /// time and monotonic time, counters, `segment`, payload and its size, salts, commitments, hashes. A `payload`
    /// has at most [`tapedeck_schemas::MAX_PART`] bytes.
    pub fn draft(&self, frame: Frame, _payload: Option<Bytes>) -> Draft {
        Draft { frame }
    }

    /// Seals the frame and hands it to Kafka, without waiting: the order of calls under one session key is the order
    /// in the segment and in Kafka.
    ///
    /// # Errors
    /// Nothing can be recorded now, or the topic has fewer than `copies` demands.
    pub fn record(&self, _draft: Draft, copies: Copies) -> Result<Pending, NotRecorded> {
        self.ready(copies)?;
        Err(NotRecorded::QueueFull)
    }

    /// As [`Recorder::record`], for what nobody waits for: ends, refusals. A failure is counted.
    pub fn record_unwaited(&self, _draft: Draft) {}

    /// Records a refusal without a principal. Over the limit (per process; number of open stranger segments) or where
    /// Kafka does not take it at once, it is counted instead, and the next manifest states the count.
    pub fn refuse_stranger(&self, _draft: Draft) {}

    /// Whether a frame could be recorded now: Kafka was reached lately and has acknowledged this writer's first
    /// statement, both topics exist, every partition has a leader and the replicas that it demands, no partition was
    /// added, and an acknowledgement means `copies`.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self, _copies: Copies) -> Result<(), NotReady> {
        Err(NotReady::Starting)
    }

    /// Seals every segment, states the last heads and says goodbye. Frames are refused from now on.
    ///
    /// Returns at `deadline` at the latest.
    ///
    /// # Errors
    /// Not all of it was acknowledged by then.
    pub async fn shutdown(&self, _deadline: Instant) -> Result<(), Unfinished> {
        Ok(())
    }
}

/// The writer stopped without goodbye: readers will find segments without a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{segments} segments were not sealed durably before the deadline")]
pub struct Unfinished {
    /// Segments that are not sealed, as far as the broker has acknowledged.
    pub segments: usize,
}
