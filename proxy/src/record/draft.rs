//! A frame that is about to be recorded.

use bytes::Bytes;
use tapedeck_schemas::Frame;

use super::metrics::Metrics;

/// A frame to be recorded. One that is dropped without [`Recorder::record`](super::Recorder::record) (or its siblings)
/// or [`Draft::discard`] is counted, by kind: no frame disappears in silence.
#[must_use = "a draft is not on record"]
pub struct Draft {
    frame: Frame,
    payload: Option<Bytes>,
    metrics: Metrics,
    accounted: bool,
}

impl Draft {
    pub(super) fn new(frame: Frame, payload: Option<Bytes>, metrics: Metrics) -> Self {
        Self {
            frame,
            payload,
            metrics,
            accounted: false,
        }
    }

    /// The frame, to be changed before it is recorded.
    pub fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }

    /// Drops it on purpose: it does not count as lost.
    pub fn discard(mut self) {
        self.accounted = true;
    }

    /// For the recorder, which accounts for it from here.
    pub(super) fn take(mut self) -> (Frame, Option<Bytes>) {
        self.accounted = true;
        (std::mem::take(&mut self.frame), self.payload.take())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.accounted {
            self.metrics.draft_dropped(self.frame.kind);
        }
    }
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft")
            .field("kind", &self.frame.kind)
            .field("exchange_id", &self.frame.exchange_id)
            .finish_non_exhaustive()
    }
}
