//! Whether a frame could be recorded now.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use tokio::sync::Notify;

use super::metrics::Metrics;
use super::topics::{Inspected, TopicState};
use super::{Copies, NotReady, TopicRole};

/// What upkeep has found out about Kafka, and what delivery reports and librdkafka say in between.
#[derive(Debug)]
pub(super) struct Readiness {
    state: RwLock<State>,
    /// Partitions when first seen. Invariant: never changed once set, for the order of frames under a key depends on it.
    partitions: Mutex<Option<Inspected<usize>>>,
    closing: AtomicBool,
    fatal: AtomicBool,
    /// Something happened that upkeep should look at now.
    pub(super) alarm: Notify,
    metrics: Metrics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Not(NotReady),
    /// The topic, if any, that acknowledges with a single copy.
    Ready {
        single_copy: Option<TopicRole>,
    },
}

impl Readiness {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            state: RwLock::new(State::Not(NotReady::Starting)),
            partitions: Mutex::new(None),
            closing: AtomicBool::new(false),
            fatal: AtomicBool::new(false),
            alarm: Notify::new(),
            metrics,
        }
    }

    /// Whether a frame that needs this many copies could be recorded.
    pub(super) fn check(&self, copies: Copies) -> Result<(), NotReady> {
        if self.closing.load(Ordering::Acquire) {
            return Err(NotReady::ShuttingDown);
        }
        match (self.state(), copies) {
            (State::Not(why), _) => Err(why),
            (
                State::Ready {
                    single_copy: Some(topic),
                },
                Copies::AtLeastTwo,
            ) => Err(NotReady::SingleCopy(topic)),
            (State::Ready { .. }, _) => Ok(()),
        }
    }

    /// What a look at the topics found: `Ok` makes the recorder ready.
    pub(super) fn inspected(&self, found: Result<Inspected<TopicState>, NotReady>) {
        let state = match found.and_then(|topics| self.judge(topics)) {
            Ok(single_copy) => State::Ready { single_copy },
            Err(why) => State::Not(why),
        };
        self.set(state);
    }

    fn judge(&self, topics: Inspected<TopicState>) -> Result<Option<TopicRole>, NotReady> {
        let mut first_seen = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        let first_seen = first_seen.get_or_insert_with(|| topics.map(|topic| topic.partitions));
        for role in [TopicRole::Frames, TopicRole::Control] {
            let (were, are) = (*first_seen.of(role), topics.of(role).partitions);
            if were != are {
                return Err(NotReady::PartitionsChanged { topic: role, were, are });
            }
            if !topics.of(role).available {
                return Err(NotReady::Unavailable(role));
            }
        }
        Ok([TopicRole::Frames, TopicRole::Control]
            .into_iter()
            .find(|role| !topics.of(*role).two_copies))
    }

    /// Kafka did not acknowledge a message in time.
    pub(super) fn away(&self) {
        // What was never ready keeps its reason.
        if matches!(self.state(), State::Ready { .. }) {
            self.set(State::Not(NotReady::Away));
        }
        self.alarm.notify_one();
    }

    /// librdkafka has given up on its producer: frames are refused until upkeep has replaced it.
    pub(super) fn fatal(&self) {
        self.fatal.store(true, Ordering::Release);
        self.away();
    }

    /// Whether the producer is to be replaced; asked once per fatal error.
    pub(super) fn take_fatal(&self) -> bool {
        self.fatal.swap(false, Ordering::AcqRel)
    }

    /// Refuses frames from now on.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.metrics.ready(false);
    }

    fn state(&self) -> State {
        *self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, new: State) {
        let old = std::mem::replace(&mut *self.state.write().unwrap_or_else(PoisonError::into_inner), new);
        if old == new {
            return;
        }
        self.metrics.ready(matches!(new, State::Ready { .. }));
        match new {
            State::Not(why) => tracing::warn!(%why, "the recorder is not ready"),
            State::Ready { single_copy: None } => tracing::info!("the recorder is ready"),
            State::Ready {
                single_copy: Some(topic),
            } => tracing::info!(%topic, "the recorder is ready, only for targets that allow a single copy"),
        }
    }
}
