//! What was handed to Kafka and awaits its report.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;
use tapedeck_schemas::Kind;

use super::backlog::Backlog;
use super::ledger::Ledger;
use super::metrics::Metrics;
use super::readiness::Readiness;
use super::spooling::Spooling;
use super::{NotRecorded, TopicRole};

/// Most messages that may await a report. librdkafka's own bounds are above these: a frame is refused here, before
/// it is sealed, rather than there, where it would break its segment.
pub(super) const MAX_MESSAGES: usize = 50_000;
/// Most bytes that may await a report.
pub(super) const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The load on Kafka, and who is told of each report.
#[derive(Debug)]
pub(super) struct InFlight {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    /// Segments whose durable head moved since the last manifest.
    moved: Mutex<Vec<Arc<Ledger>>>,
    /// What nobody waits for, acknowledged or not.
    pub(super) backlog: Backlog,
    /// Where a target is spooled.
    pub(super) spooling: Option<Spooling>,
    pub(super) metrics: Metrics,
    pub(super) readiness: Arc<Readiness>,
}

impl InFlight {
    pub(super) fn new(metrics: Metrics, readiness: Arc<Readiness>, spooling: Option<Spooling>) -> Self {
        Self {
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            moved: Mutex::default(),
            backlog: Backlog::new(metrics.clone()),
            spooling,
            metrics,
            readiness,
        }
    }

    /// From now on frames of this target may go to the spool, if there is one.
    pub(super) fn cover(&self, target: &str) {
        if let Some(spooling) = &self.spooling {
            spooling.cover(target);
        }
    }

    /// The spool, if frames of this target may go there.
    pub(super) fn spool_of(&self, target: &str) -> Option<&Spooling> {
        self.spooling.as_ref().filter(|spooling| spooling.covers(target))
    }

    pub(super) fn has_spool_room(&self) -> bool {
        self.spooling
            .as_ref()
            .is_some_and(|spooling| spooling.admit(false, 0).is_ok())
    }

    /// Whether there is room for a frame with this payload. A soft bound: concurrent callers may pass it by a frame each.
    pub(super) fn admit(&self, payload: usize) -> Result<(), NotRecorded> {
        let messages = self.messages.load(Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed);
        if messages >= MAX_MESSAGES || bytes + payload > MAX_BYTES {
            return Err(NotRecorded::QueueFull);
        }
        Ok(())
    }

    /// A message is about to be handed over.
    pub(super) fn enqueued(&self, bytes: usize) {
        let messages = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.metrics.queue(messages, bytes);
    }

    /// Its report has come, or it was not taken.
    pub(super) fn reported(&self, bytes: usize) {
        let messages = self.messages.fetch_sub(1, Ordering::Relaxed) - 1;
        let bytes = self.bytes.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        self.metrics.queue(messages, bytes);
    }

    /// The broker has a frame.
    pub(super) fn confirmed(&self, ledger: &Arc<Ledger>, moved: bool, kind: Kind, waited: Duration) {
        if moved {
            self.moved
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(Arc::clone(ledger));
        }
        self.metrics.recorded(kind, waited);
    }

    /// The broker does not have a message, or nobody knows.
    pub(super) fn failed(&self, topic: TopicRole, code: RDKafkaErrorCode) {
        match code {
            RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
                self.readiness.forbidden(topic);
                self.readiness.spoiled();
            }
            // Says something of this message, or of this client, and nothing of Kafka.
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::QueueFull
            | RDKafkaErrorCode::PurgeQueue
            | RDKafkaErrorCode::PurgeInflight => {}
            // Out of time, refused for good, or given up by librdkafka. What an idempotent producer would send after that
            // depends on state that the broker may have lost, so it sends no more.
            _ => self.readiness.spoiled(),
        }
    }

    /// The segments whose durable head moved since the last call.
    pub(super) fn take_moved(&self) -> Vec<Arc<Ledger>> {
        std::mem::take(&mut *self.moved.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
