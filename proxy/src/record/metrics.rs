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

/// Handles to the recorder's metrics. Cheap to clone: all clones count together.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    frames: Arc<[Counter]>,
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
        let registry = registry.sub_registry_with_prefix("tapedeck_recorder");
        let frames = Family::<FrameKind, Counter>::default();
        let metrics = Self {
            // One handle a kind, in the enum's order: no lookup per frame.
            frames: Kind::ALL
                .iter()
                .map(|kind| frames.get_or_create(&FrameKind { kind: kind.as_str() }).clone())
                .collect(),
            not_recorded: Family::default(),
            drafts_dropped: Family::default(),
            refusals_not_written: Counter::default(),
            producers_replaced: Counter::default(),
            // 0.1 ms, near one bare acknowledgement, to 13 s, beyond the default message timeout.
            durable_wait: Histogram::new(std::iter::successors(Some(0.0001), |bound| Some(bound * 2.0)).take(18)),
            queue_messages: Gauge::default(),
            queue_bytes: Gauge::default(),
            unwaited_lost: Family::default(),
            spooled: Counter::default(),
            spool_bytes: Gauge::default(),
            spool_cut: Counter::default(),
            backlog_frames: Gauge::default(),
            backlog_bytes: Gauge::default(),
            segments: Gauge::default(),
            ready: Gauge::default(),
        };
        registry.register("frames", "Frames that the broker acknowledged, by kind", frames);
        registry.register(
            "frames_not_recorded",
            "Frames refused, or not acknowledged, by reason",
            metrics.not_recorded.clone(),
        );
        registry.register(
            "drafts_dropped",
            "Frames that the proxy made and neither recorded nor discarded, by kind: always a fault of the proxy",
            metrics.drafts_dropped.clone(),
        );
        registry.register(
            "refusals_not_written",
            "Refusals without a principal that were counted instead of written",
            metrics.refusals_not_written.clone(),
        );
        registry.register(
            "producers_replaced",
            "Kafka producers replaced because the broker would have taken no more from them",
            metrics.producers_replaced.clone(),
        );
        registry.register_with_unit(
            "durable_wait",
            "Time from handing a frame to Kafka to its acknowledgement",
            Unit::Seconds,
            metrics.durable_wait.clone(),
        );
        registry.register(
            "queue_messages",
            "Messages that await a delivery report",
            metrics.queue_messages.clone(),
        );
        registry.register_with_unit(
            "queue",
            "Bytes that await a delivery report",
            Unit::Bytes,
            metrics.queue_bytes.clone(),
        );
        registry.register(
            "unwaited_lost",
            "Frames that nobody waits for (ends of exchanges, refusals) and that will not be on record: the backlog was \
             full, or Kafka refused the very message; by kind. A gap frame, or the next segment's opener, says so too",
            metrics.unwaited_lost.clone(),
        );
        registry.register(
            "frames_spooled",
            "Frames that went to the spool because Kafka was away",
            metrics.spooled.clone(),
        );
        registry.register_with_unit(
            "spool",
            "What is in the spool, and not in Kafka yet",
            Unit::Bytes,
            metrics.spool_bytes.clone(),
        );
        registry.register(
            "spool_cut_bytes",
            "Bytes at the ends of spool files that were no whole record at the start; kept beside them",
            metrics.spool_cut.clone(),
        );
        registry.register(
            "backlog_frames",
            "Frames that nobody waits for and that are not acknowledged yet; they are kept while Kafka is away",
            metrics.backlog_frames.clone(),
        );
        registry.register_with_unit(
            "backlog",
            "About what these frames take in memory",
            Unit::Bytes,
            metrics.backlog_bytes.clone(),
        );
        registry.register("segments_open", "Segments in memory", metrics.segments.clone());
        registry.register(
            "ready",
            "1 where a frame could be recorded now, whatever number of copies its target demands",
            metrics.ready.clone(),
        );
        metrics
    }

    pub(super) fn recorded(&self, kind: Kind, waited: Duration) {
        // `Kind` is declared without discriminants, so its value is its place in `Kind::ALL`.
        self.frames[kind as usize].inc();
        self.durable_wait.observe(waited.as_secs_f64());
    }

    pub(super) fn not_recorded(&self, why: NotRecorded) {
        let reason = why.reason();
        self.not_recorded.get_or_create(&Reason { reason }).inc();
    }

    pub(super) fn draft_dropped(&self, kind: Kind) {
        self.drafts_dropped
            .get_or_create(&FrameKind { kind: kind.as_str() })
            .inc();
    }

    pub(super) fn refusal_not_written(&self) {
        self.refusals_not_written.inc();
    }

    /// Since the writer started.
    pub(super) fn refusals_not_written(&self) -> i64 {
        i64::try_from(self.refusals_not_written.get()).unwrap_or(i64::MAX)
    }

    pub(super) fn producer_replaced(&self) {
        self.producers_replaced.inc();
    }

    pub(super) fn queue(&self, messages: usize, bytes: usize) {
        self.queue_messages.set(messages as i64);
        self.queue_bytes.set(bytes as i64);
    }

    pub(super) fn unwaited_lost(&self, kind: Kind) {
        self.unwaited_lost
            .get_or_create(&FrameKind { kind: kind.as_str() })
            .inc();
    }

    pub(super) fn spooled(&self, bytes: u64) {
        self.spooled.inc();
        self.spool(bytes);
    }

    pub(super) fn spool(&self, bytes: u64) {
        self.spool_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn spool_cut(&self, bytes: u64) {
        self.spool_cut.inc_by(bytes);
    }

    pub(super) fn backlog(&self, frames: usize, bytes: usize) {
        self.backlog_frames.set(frames as i64);
        self.backlog_bytes.set(bytes as i64);
    }

    pub(super) fn segment_opened(&self) {
        self.segments.inc();
    }

    pub(super) fn segment_ended(&self) {
        self.segments.dec();
    }

    pub(super) fn ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }
}
