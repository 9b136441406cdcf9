//! What the broker has said about one segment.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tapedeck_schemas::{Digest, Head, LostFrame, SessionKey};
use uuid::Uuid;

/// The delivery reports of one segment. Shared by the segment and by its frames in flight, which outlive it.
///
/// Its lock is held for a few instructions only, so that whoever serves reports never waits for a frame
/// that is being hashed.
#[derive(Debug)]
pub(super) struct Ledger {
    segment_id: Uuid,
    session_key: SessionKey,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Sealed and not acknowledged, by rising `seq`: in flight, or failed.
    unconfirmed: VecDeque<LostFrame>,
    /// What the opener names, until the opener is acknowledged: before that nobody else has been told.
    inherited: Vec<LostFrame>,
    /// A publish failed: no frame may follow.
    broken: bool,
    durable: Option<(i64, Digest)>,
    /// Already in the list of segments for the next manifest.
    listed: bool,
}

impl Ledger {
    /// Of a segment whose opener names `inherited`.
    pub(super) fn new(segment_id: Uuid, session_key: SessionKey, inherited: Vec<LostFrame>) -> Self {
        Self {
            segment_id,
            session_key,
            state: Mutex::new(State {
                unconfirmed: VecDeque::new(),
                inherited,
                broken: false,
                durable: None,
                listed: false,
            }),
        }
    }

    /// Before it is handed over, so that no report can come first.
    pub(super) fn sealed(&self, frame: LostFrame) {
        self.state().unconfirmed.push_back(frame);
    }

    /// The broker has it. True where the segment is to be listed for the next manifest.
    pub(super) fn confirmed(&self, seq: i64, hash: Digest) -> bool {
        let mut state = self.state();
        // Reports come in order, but for frames that failed and stay.
        if let Some(at) = state.unconfirmed.iter().position(|frame| frame.seq == seq) {
            state.unconfirmed.remove(at);
        }
        if seq == 0 {
            state.inherited = Vec::new();
        }
        if state.durable.is_none_or(|(highest, _)| highest < seq) {
            state.durable = Some((seq, hash));
            return !std::mem::replace(&mut state.listed, true);
        }
        false
    }

    /// A publish failed; the frame stays unconfirmed for ever.
    pub(super) fn failed(&self) {
        self.state().broken = true;
    }

    /// Whether a publish failed.
    pub(super) fn is_broken(&self) -> bool {
        self.state().broken
    }

    /// Whether every frame is acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        self.state().unconfirmed.is_empty()
    }

    /// How many frames a successor would have to name.
    pub(super) fn unaccounted_count(&self) -> usize {
        let state = self.state();
        state.inherited.len() + state.unconfirmed.len()
    }

    /// The frames that a successor has to name: those not acknowledged, and those that this segment's own opener names,
    /// as long as that is not acknowledged itself.
    pub(super) fn unaccounted(&self) -> Vec<LostFrame> {
        let state = self.state();
        state.inherited.iter().chain(&state.unconfirmed).copied().collect()
    }

    /// The durable head for a manifest; a later one lists the segment again.
    pub(super) fn report(&self) -> Option<Head> {
        let mut state = self.state();
        state.listed = false;
        state.durable.map(|(seq, head)| Head {
            segment_id: self.segment_id,
            session_key: self.session_key,
            seq,
            head,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
