//! What the recorder counts. Names begin with `tapedeck_recorder_`; labels never hold a user's or a target's data.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tapedeck_schemas::Kind;

use super::NotRecorded;
use crate::metrics::Registering;

/// Handles to the recorder's metrics. Cheap to clone: all clones count together.
#[derive(Clone, Debug)]
pub(super) struct Metrics(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    /// One handle a kind, in the enum's order: no lookup per frame.
    frames: Box<[Counter]>,
    not_recorded: Family<Reason, Counter>,
    drafts_dropped: Family<FrameKind, Counter>,
    refusals_not_written: Counter,
    producers_replaced: Counter,
    durable_wait: Histogram,
    queue_messages: Gauge,
    queue_bytes: Gauge,
    unwaited_lost: Family<FrameKind, Counter>,
    spooled: Counter,
    spool_bytes: Gauge,
    spool_cut: Counter,
    backlog_frames: Gauge,
    backlog_bytes: Gauge,
    segments: Gauge,
    ready: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FrameKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl Metrics {
    /// Registers all of them.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let mut new = Registering::under(registry, "tapedeck_recorder");
        let frames: Family<FrameKind, Counter> = new.metric("frames", "Frames that the broker acknowledged, by kind");
        // 0.1 ms, near one bare acknowledgement, to 13 s, beyond the default message timeout.
        let waits = std::iter::successors(Some(0.0001), |bound| Some(bound * 2.0)).take(18);
        Self(Arc::new(Counted {
            frames: Kind::ALL
                .iter()
                .map(|kind| frames.get_or_create_owned(&FrameKind { kind: kind.as_str() }))
                .collect(),
            not_recorded: new.metric(
                "frames_not_recorded",
                "Frames refused, or not acknowledged, by reason",
            ),
            drafts_dropped: new.metric(
                "drafts_dropped",
                "Frames that the proxy made and neither recorded nor discarded, by kind: always a fault of the proxy",
            ),
            refusals_not_written: new.metric(
                "refusals_not_written",
                "Refusals without a principal that were counted instead of written",
            ),
            producers_replaced: new.metric(
                "producers_replaced",
                "Kafka producers replaced because the broker would have taken no more from them",
            ),
            durable_wait: new.in_unit(
                "durable_wait",
                Unit::Seconds,
                "Time from handing a frame to Kafka to its acknowledgement",
                Histogram::new(waits),
            ),
            queue_messages: new.metric("queue_messages", "Messages that await a delivery report"),
            queue_bytes: new.in_unit(
                "queue",
                Unit::Bytes,
                "Bytes that await a delivery report",
                Gauge::default(),
            ),
            unwaited_lost: new.metric(
                "unwaited_lost",
                "Frames that nobody waits for (ends of exchanges, refusals) and that will not be on record: the backlog \
                 was full, or Kafka refused the very message; by kind. A gap frame, or the next segment's opener, says so \
                 too",
            ),
            spooled: new.metric(
                "frames_spooled",
                "Frames that went to the spool because Kafka was away",
            ),
            spool_bytes: new.in_unit(
                "spool",
                Unit::Bytes,
                "What is in the spool, and not in Kafka yet",
                Gauge::default(),
            ),
            spool_cut: new.metric(
                "spool_cut_bytes",
                "Bytes at the ends of spool files that were no whole record at the start; kept beside them",
            ),
            backlog_frames: new.metric(
                "backlog_frames",
                "Frames that nobody waits for and that are not acknowledged yet; they are kept while Kafka is away",
            ),
            backlog_bytes: new.in_unit(
                "backlog",
                Unit::Bytes,
                "About what these frames take in memory",
                Gauge::default(),
            ),
            segments: new.metric("segments_open", "Segments in memory"),
            ready: new.metric(
                "ready",
                "1 where a frame could be recorded now, whatever number of copies its target demands",
            ),
        }))
    }

    pub(super) fn recorded(&self, kind: Kind, waited: Duration) {
        // `Kind` is declared without discriminants, so its value is its place in `Kind::ALL`.
        self.0.frames[kind as usize].inc();
        self.0.durable_wait.observe(waited.as_secs_f64());
    }

    pub(super) fn not_recorded(&self, why: NotRecorded) {
        let reason = why.reason();
        self.0.not_recorded.get_or_create(&Reason { reason }).inc();
    }

    pub(super) fn draft_dropped(&self, kind: Kind) {
        self.0
            .drafts_dropped
            .get_or_create(&FrameKind { kind: kind.as_str() })
            .inc();
    }

    pub(super) fn refusal_not_written(&self) {
        self.0.refusals_not_written.inc();
    }

    /// Since the writer started.
    pub(super) fn refusals_not_written(&self) -> i64 {
        i64::try_from(self.0.refusals_not_written.get()).unwrap_or(i64::MAX)
    }

    pub(super) fn producer_replaced(&self) {
        self.0.producers_replaced.inc();
    }

    pub(super) fn queue(&self, messages: usize, bytes: usize) {
        self.0.queue_messages.set(messages as i64);
        self.0.queue_bytes.set(bytes as i64);
    }

    pub(super) fn unwaited_lost(&self, kind: Kind) {
        self.0
            .unwaited_lost
            .get_or_create(&FrameKind { kind: kind.as_str() })
            .inc();
    }

    pub(super) fn spooled(&self, bytes: u64) {
        self.0.spooled.inc();
        self.spool(bytes);
    }

    pub(super) fn spool(&self, bytes: u64) {
        self.0.spool_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn spool_cut(&self, bytes: u64) {
        self.0.spool_cut.inc_by(bytes);
    }

    pub(super) fn backlog(&self, frames: usize, bytes: usize) {
        self.0.backlog_frames.set(frames as i64);
        self.0.backlog_bytes.set(bytes as i64);
    }

    pub(super) fn segment_opened(&self) {
        self.0.segments.inc();
    }

    pub(super) fn segment_ended(&self) {
        self.0.segments.dec();
    }

    pub(super) fn ready(&self, ready: bool) {
        self.0.ready.set(i64::from(ready));
    }
}
