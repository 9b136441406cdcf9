//! Whether a frame could be recorded now.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::metrics::Metrics;
use super::topics::{Inspected, TopicState};
use super::{Copies, NotReady, TopicRole};

/// How long Kafka's word counts that a topic may not be written.
const FORBIDDEN: Duration = Duration::from_secs(30);

/// What upkeep has found out about Kafka, and what delivery reports and librdkafka say in between.
#[derive(Debug)]
pub(super) struct Readiness {
    state: watch::Sender<State>,
    /// Partitions when first seen. Invariant: never changed once set, for the order of frames under a key depends on it.
    partitions: OnceLock<Inspected<usize>>,
    closing: AtomicBool,
    /// The producer is of no more use.
    spoiled: AtomicBool,
    /// What Kafka said last to the producer instead of serving it, since the last good look.
    turned_away: Mutex<Option<NotReady>>,
    /// The topic that Kafka did not let us write, and when.
    forbidden: Mutex<Option<(TopicRole, Instant)>>,
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
            state: watch::Sender::new(State::Not(NotReady::Starting)),
            partitions: OnceLock::new(),
            closing: AtomicBool::new(false),
            spoiled: AtomicBool::new(false),
            turned_away: Mutex::default(),
            forbidden: Mutex::default(),
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

    /// Whether Kafka takes frames, of anybody: also while the recorder shuts down.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state(), State::Ready { .. })
    }

    /// Waits until [`Readiness::check`] says something that is `wanted`, or that the recorder shuts down.
    pub(super) async fn until(
        &self,
        copies: Copies,
        wanted: impl Fn(Result<(), NotReady>) -> bool,
    ) -> Result<(), NotReady> {
        let mut changes = self.state.subscribe();
        loop {
            changes.mark_unchanged();
            let found = self.check(copies);
            if found == Err(NotReady::ShuttingDown) || wanted(found) {
                return found;
            }
            // The sender lives in `self`.
            changes.changed().await.map_err(|_| NotReady::ShuttingDown)?;
        }
    }

    /// What a look at the topics found: `Ok` makes the recorder ready.
    pub(super) fn inspected(&self, found: Result<Inspected<TopicState>, NotReady>) {
        let mut turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match found {
            Ok(topics) => {
                *turned_away = None;
                Ok(topics)
            }
            // The look has a connection of its own, which says less.
            Err(NotReady::Away) => Err(turned_away.unwrap_or(NotReady::Away)),
            Err(why) => Err(why),
        };
        drop(turned_away);
        let state = match found.and_then(|topics| self.judge(topics)) {
            Ok(single_copy) => State::Ready { single_copy },
            Err(why) => State::Not(why),
        };
        let spoiled = || self.spoiled.load(Ordering::SeqCst);
        if spoiled() && matches!(state, State::Ready { .. }) {
            // A publish failed during the look: the producer comes first, then another look.
            self.set(State::Not(NotReady::Away));
            return;
        }
        self.set(state);
        // One that fails from here on finds the state set; one that failed since the line above is found here.
        if spoiled() {
            self.set_away();
        }
    }

    /// The number of a topic's partitions. Before the first look, when no frame is recorded, 1.
    pub(super) fn partitions(&self, role: TopicRole) -> usize {
        self.partitions.get().map_or(1, |topics| *topics.of(role))
    }

    fn judge(&self, topics: Inspected<TopicState>) -> Result<Option<TopicRole>, NotReady> {
        // That a topic can be looked at does not say that it can be written.
        if let Some(topic) = self.forbidden_topic() {
            return Err(NotReady::Forbidden(topic));
        }
        let first_seen = self.partitions.get_or_init(|| topics.map(|topic| topic.partitions));
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

    /// Kafka did not acknowledge a message: frames are refused until upkeep has replaced the producer and found Kafka
    /// well again.
    pub(super) fn spoiled(&self) {
        self.spoiled.store(true, Ordering::SeqCst);
        self.set_away();
        self.alarm.notify_one();
    }

    /// Kafka was reached and did not serve the producer, for that reason; or was not reached. `said` is librdkafka's
    /// word on it, which names addresses and no secret.
    pub(super) fn turned_away(&self, why: Option<NotReady>, said: &str) {
        let mut turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *turned_away, why);
        if let Some(why) = why
            && before != Some(why)
        {
            tracing::warn!(%why, said, "Kafka turns this proxy away");
        }
    }

    /// Kafka does not let us write a topic. That counts for a while: only another attempt would tell whether it still
    /// holds, and each attempt costs the producer.
    pub(super) fn forbidden(&self, topic: TopicRole) {
        *self.forbidden.lock().unwrap_or_else(PoisonError::into_inner) = Some((topic, Instant::now()));
        self.set(State::Not(NotReady::Forbidden(topic)));
    }

    /// Whether [`Readiness::forbidden`] was said lately.
    pub(super) fn is_forbidden(&self) -> bool {
        self.forbidden_topic().is_some()
    }

    fn forbidden_topic(&self) -> Option<TopicRole> {
        let forbidden = *self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        forbidden
            .filter(|(_, since)| since.elapsed() < FORBIDDEN)
            .map(|(topic, _)| topic)
    }

    /// Whether the producer is of no more use, and has not been replaced yet.
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled.load(Ordering::Relaxed)
    }

    /// Whether the producer is to be replaced; asked once per finding.
    pub(super) fn take_spoiled(&self) -> bool {
        self.spoiled.swap(false, Ordering::SeqCst)
    }

    /// Refuses frames from now on.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.metrics.ready(false);
        self.state.send_modify(|_| {});
    }

    /// What was never ready keeps its reason.
    fn set_away(&self) {
        if matches!(self.state(), State::Ready { .. }) {
            self.set(State::Not(NotReady::Away));
        }
    }

    fn state(&self) -> State {
        *self.state.borrow()
    }

    fn set(&self, new: State) {
        let old = self.state.send_replace(new);
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

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    const GOOD: TopicState = TopicState {
        partitions: 3,
        available: true,
        two_copies: true,
    };

    fn after(found: &[Result<Inspected<TopicState>, NotReady>]) -> Readiness {
        let readiness = Readiness::new(Metrics::register(&mut Registry::default()));
        for one in found {
            readiness.inspected(*one);
        }
        readiness
    }

    fn frames(frames: TopicState) -> Result<Inspected<TopicState>, NotReady> {
        Ok(Inspected { frames, control: GOOD })
    }

    #[test]
    fn nothing_is_recorded_before_the_first_look() {
        assert_eq!(after(&[]).check(Copies::One), Err(NotReady::Starting));
        assert_eq!(after(&[frames(GOOD)]).check(Copies::AtLeastTwo), Ok(()));
    }

    #[test]
    fn a_single_copy_is_enough_only_where_it_is_allowed() {
        let readiness = after(&[frames(TopicState {
            two_copies: false,
            ..GOOD
        })]);
        assert_eq!(readiness.check(Copies::One), Ok(()));
        let refused = Err(NotReady::SingleCopy(TopicRole::Frames));
        assert_eq!(readiness.check(Copies::AtLeastTwo), refused);
    }

    #[test]
    fn a_partition_that_cannot_take_a_frame_refuses_all() {
        let readiness = after(&[frames(TopicState {
            available: false,
            ..GOOD
        })]);
        assert_eq!(
            readiness.check(Copies::One),
            Err(NotReady::Unavailable(TopicRole::Frames))
        );
    }

    #[test]
    fn another_number_of_partitions_refuses_all() {
        let more = frames(TopicState { partitions: 4, ..GOOD });
        let changed = Err(NotReady::PartitionsChanged {
            topic: TopicRole::Frames,
            were: 3,
            are: 4,
        });
        assert_eq!(after(&[frames(GOOD), more]).check(Copies::One), changed);
        assert_eq!(
            after(&[frames(GOOD), Err(NotReady::Away), more]).check(Copies::One),
            changed
        );
        let back = after(&[frames(GOOD), more, frames(GOOD)]);
        assert_eq!(back.check(Copies::One), Ok(()), "it was a moment's illusion");
    }

    #[test]
    fn a_missed_acknowledgement_refuses_frames_until_the_producer_is_replaced_and_a_look_is_good() {
        let readiness = after(&[frames(GOOD)]);
        readiness.spoiled();
        assert_eq!(readiness.check(Copies::One), Err(NotReady::Away));
        // A look that was under way meanwhile says nothing about the producer.
        readiness.inspected(frames(GOOD));
        assert_eq!(readiness.check(Copies::One), Err(NotReady::Away));
        assert!(readiness.take_spoiled());
        readiness.inspected(frames(GOOD));
        assert_eq!(readiness.check(Copies::One), Ok(()));
    }

    #[test]
    fn a_missed_acknowledgement_does_not_hide_why_it_was_not_ready() {
        let readiness = after(&[Err(NotReady::NoTopic(TopicRole::Frames))]);
        readiness.spoiled();
        assert_eq!(readiness.check(Copies::One), Err(NotReady::NoTopic(TopicRole::Frames)));
    }

    #[test]
    fn a_topic_that_may_not_be_written_is_not_ready_however_well_it_looks() {
        let readiness = after(&[frames(GOOD)]);
        readiness.forbidden(TopicRole::Frames);
        readiness.spoiled();
        readiness.inspected(frames(GOOD));
        assert_eq!(
            readiness.check(Copies::One),
            Err(NotReady::Forbidden(TopicRole::Frames))
        );
        assert!(readiness.is_forbidden());
    }

    #[test]
    fn what_kafka_said_is_the_reason_until_it_is_well_or_away() {
        let readiness = after(&[]);
        let found = |look| {
            readiness.inspected(look);
            readiness.check(Copies::One)
        };
        readiness.turned_away(Some(NotReady::Credentials), "SASL authentication failed");
        assert_eq!(found(Err(NotReady::Away)), Err(NotReady::Credentials));
        readiness.turned_away(None, "connection refused");
        assert_eq!(found(Err(NotReady::Away)), Err(NotReady::Away));
        readiness.turned_away(Some(NotReady::Tls), "handshake failed");
        assert_eq!(found(frames(GOOD)), Ok(()));
        assert_eq!(found(Err(NotReady::Away)), Err(NotReady::Away));
    }

    #[test]
    fn a_spoiled_producer_is_taken_up_once() {
        let readiness = after(&[frames(GOOD)]);
        readiness.spoiled();
        assert_eq!(readiness.check(Copies::One), Err(NotReady::Away));
        assert!(readiness.take_spoiled());
        assert!(!readiness.take_spoiled());
    }
}
