//! One session key's segment, from opener to seal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tapedeck_schemas::{Chain, Frame, Kind, PreviousSegment, SegmentEvent, SegmentSealed, SessionKey};
use uuid::Uuid;

use super::NotRecorded;
use super::durable::Delivery;
use super::ledger::Ledger;

/// Most unconfirmed frames under one session key: an opener has to be able to name them all.
pub(super) const MAX_UNCONFIRMED: usize = 16_384;

/// A session key's place. Frames of one key pass through its lock one by one, which makes their order in the chain
/// that in Kafka; other keys do not wait.
pub(super) struct Slot {
    pub(super) key: SessionKey,
    tenant: Box<str>,
    target: Box<str>,
    /// Of a caller without a principal.
    pub(super) stranger: bool,
    /// Its frames may go to the spool.
    pub(super) spooled: bool,
    /// Milliseconds since the writer started; beside the lock, so that a look for idle segments takes none.
    last_used: AtomicU64,
    pub(super) state: Mutex<State>,
}

/// Where a slot is in its life.
pub(super) enum State {
    /// No segment yet.
    Vacant,
    /// Takes frames, unless its ledger is broken.
    Open(Segment),
    /// Its last frame is sealed and handed over; the delivery is that frame's.
    Sealed(Segment, Arc<Delivery>, &'static str),
    /// No longer in the map. Whoever still holds it looks the key up again.
    Evicted,
}

/// A run of frames.
pub(super) struct Segment {
    pub(super) chain: Chain,
    pub(super) ledger: Arc<Ledger>,
    /// The producer that its frames were handed to.
    pub(super) generation: u64,
}

impl Slot {
    pub(super) fn new(frame: &Frame, stranger: bool, spooled: bool, now: u64) -> Self {
        Self {
            key: frame.session_key,
            tenant: frame.tenant.as_str().into(),
            target: frame.target.as_str().into(),
            stranger,
            spooled,
            last_used: AtomicU64::new(now),
            state: Mutex::new(State::Vacant),
        }
    }

    pub(super) fn touch(&self, now: u64) {
        self.last_used.store(now, Ordering::Relaxed);
    }

    /// No frame at or after `cutoff`.
    pub(super) fn unused_since(&self, cutoff: u64) -> bool {
        self.last_used.load(Ordering::Relaxed) < cutoff
    }

    /// An event of the recorder itself in this slot's segment.
    pub(super) fn event(&self, kind: Kind, segment_id: Uuid, event: SegmentEvent) -> Frame {
        Frame {
            exchange_id: segment_id,
            session_key: self.key,
            kind,
            tenant: self.tenant.clone().into(),
            target: self.target.clone().into(),
            segment: Some(event),
            ..Frame::default()
        }
    }
}

impl State {
    /// Whether frames may be added, given the producer in use. A segment whose frames are still with an earlier
    /// producer takes no more: the new one could overtake it. None: what an earlier producer has is in the spool.
    pub(super) fn takes_frames(&self, generation: Option<u64>) -> bool {
        match self {
            Self::Open(segment) => {
                let overtakes = generation.is_some_and(|generation| segment.generation != generation);
                !segment.ledger.is_broken() && (!overtakes || segment.ledger.is_settled())
            }
            _ => false,
        }
    }

    /// What the opener of the next segment says, and what the control topic is told of the one that ends here.
    pub(super) fn ending(&self, key: SessionKey) -> (SegmentEvent, Option<SegmentSealed>) {
        let (segment, reason) = match self {
            Self::Vacant | Self::Evicted => {
                return (
                    SegmentEvent {
                        reason: "first".to_owned(),
                        previous: None,
                    },
                    None,
                );
            }
            Self::Open(segment) => (segment, "publish_failed"),
            Self::Sealed(segment, _, _) if segment.ledger.is_broken() => (segment, "publish_failed"),
            Self::Sealed(segment, _, reason) => (segment, *reason),
        };
        let lost = segment.ledger.unaccounted();
        let event = SegmentEvent {
            // A segment that was sealed needs no successor: the next is the first of its sitting.
            reason: if reason == "publish_failed" { reason } else { "first" }.to_owned(),
            previous: (reason == "publish_failed" || !lost.is_empty()).then(|| PreviousSegment {
                segment_id: segment.chain.segment_id(),
                seq: segment.chain.count_of_frames() - 1,
                head: segment.chain.head(),
                lost,
            }),
        };
        (event, Some(segment.statement(key, reason)))
    }

    /// Refuses where a successor's opener could not name all that is unconfirmed.
    pub(super) fn admit(&self) -> Result<(), NotRecorded> {
        let unaccounted = match self {
            Self::Open(segment) | Self::Sealed(segment, _, _) => segment.ledger.unaccounted_count(),
            Self::Vacant | Self::Evicted => 0,
        };
        if unaccounted >= MAX_UNCONFIRMED {
            return Err(NotRecorded::TooManyUnconfirmed);
        }
        Ok(())
    }
}

impl Segment {
    /// What the control topic is told of its end.
    pub(super) fn statement(&self, key: SessionKey, reason: &str) -> SegmentSealed {
        SegmentSealed {
            segment_id: self.chain.segment_id(),
            session_key: key,
            count: self.chain.count_of_frames(),
            head: self.chain.head(),
            reason: reason.to_owned(),
        }
    }
}
