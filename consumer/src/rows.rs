//! The rows of `frames`: values in the order of [`COLUMNS`], collected to blocks in ClickHouse's Native format.

mod columns;
mod native;
mod order;
mod present;

use std::sync::Arc;

use tapedeck_schemas::{Digest, Kind, RpcKind};
use uuid::Uuid;

use crate::redaction::{CleanFrame, Fate};
use crate::sessions::Place;
pub use columns::{COLUMNS, names, structure};
pub use native::{Columns, Taker};
pub use order::Order;
pub use present::{Field, erased_present};

/// What loading found out about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fits its hash.
    Intact,
    /// It does not.
    Tampered,
    /// It fits its hash, and another frame has its place in the segment.
    Fork,
    /// It is no frame.
    Undecodable,
}

impl Verdict {
    /// The name in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Tampered => "tampered",
            Self::Fork => "fork",
            Self::Undecodable => "undecodable",
        }
    }
}

/// Where rows come from: the same for all of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Configured id of the cluster and topic.
    pub source: String,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
}

/// The year 2100, in milliseconds since 1970.
const LATEST_START: i64 = 4_102_444_800_000;

/// One row before it is encoded.
#[derive(Debug)]
pub struct Row {
    /// Kafka offset.
    pub offset: i64,
    /// The record's timestamp, milliseconds since 1970.
    pub kafka_time: i64,
    /// The redacted frame.
    pub frame: CleanFrame,
    /// What loading found out.
    pub verdict: Verdict,
    /// A part of a message whose rest never came.
    pub truncated: bool,
    /// Its place in its session.
    pub place: Place,
    /// Where it answers a request of another exchange: that exchange.
    pub answers: Option<Uuid>,
    /// On the last part of a message that was split: bytes of all of it. 0 on all other frames.
    pub message_size: i64,
    /// Retention class.
    pub retention: Arc<str>,
}

impl Row {
    /// The hash that identifies the row's record.
    #[must_use]
    pub fn hash(&self) -> Digest {
        self.frame.frame().frame_hash
    }

    /// When the session began, milliseconds since 1970: a UUIDv7 says it to the millisecond (RFC 9562, section 5.7).
    ///
    /// Bounded to 1970 … 2100, whatever an id says: the table is partitioned by it and rows expire by it, and beyond that
    /// ClickHouse's arithmetic wraps, so that a row from the far future would be expired at once.
    #[must_use]
    pub fn session_start(&self) -> i64 {
        let session = self.place.session;
        let start = match session.is_nil() || session.get_version_num() != 7 {
            true => self.frame.frame().time.div_euclid(1000),
            false => (session.as_u128() >> 80) as i64,
        };
        start.clamp(0, LATEST_START)
    }

    /// Adds the row to a block.
    pub fn encode(&self, origin: &Origin, w: &mut Columns) {
        let frame = self.frame.frame();
        w.text(&frame.tenant);
        w.long(self.session_start());
        w.id(self.place.session);
        w.id(frame.segment_id);
        w.long(frame.seq);
        w.long(frame.time);
        w.long(frame.monotonic_ns);
        w.id(frame.writer_id);
        w.long(frame.writer_seq);
        w.id(frame.exchange_id);
        w.raw(frame.session_key.as_bytes());
        w.text(match self.verdict {
            Verdict::Undecodable => "undecodable",
            _ => frame.kind.as_str(),
        });
        w.text(frame.direction.as_str());
        w.text(frame.end.map_or("", |end| end.as_str()));
        w.text(&frame.target);
        self.encode_caller(w);
        self.encode_message(w);
        self.encode_events(w);
        self.encode_payload(w);
        w.text(self.verdict.as_str());
        w.boolean(self.truncated);
        w.boolean(self.place.totals.shared);
        w.boolean(self.place.starts);
        w.unsigned(self.place.totals.frames);
        w.unsigned(self.place.totals.calls);
        w.unsigned(self.place.totals.errors);
        w.unsigned(self.place.totals.bytes);
        w.text(&origin.source);
        w.text(&origin.topic);
        w.int(origin.partition);
        w.long(self.offset);
        w.long(self.kafka_time);
        w.text(&self.retention);
        w.long(self.message_size);
        w.id(self.answers.unwrap_or_default());
        w.texts(&self.place.concerns);
        w.texts(self.frame.tokens());
        w.end_row();
    }

    fn encode_caller(&self, w: &mut Columns) {
        let frame = self.frame.frame();
        let principal = frame.principal.as_deref();
        w.text(principal.map_or("", |p| &p.issuer));
        w.text(principal.map_or("", |p| &p.subject));
        w.optional(principal.and_then(|p| p.name.as_deref()));
        w.optional(principal.and_then(|p| p.email.as_deref()));
        w.texts(principal.map_or(&[][..], |p| &p.groups));
        w.optional(principal.and_then(|p| p.client_id.as_deref()));
        w.optional(principal.and_then(|p| p.token_id.as_deref()));
        w.optional(principal.and_then(|p| p.token_session.as_deref()));
        w.optional(principal.and_then(|p| p.key_thumbprint.as_deref()));
        w.text(&frame.client.address);
        w.optional(frame.client.user_agent.as_deref());
        w.optional(frame.client.claimed_name.as_deref());
        w.optional(frame.client.claimed_version.as_deref());
    }

    fn encode_message(&self, w: &mut Columns) {
        let frame = self.frame.frame();
        w.optional(frame.protocol.revision.as_deref());
        w.text(&frame.protocol.transport);
        w.digest(frame.protocol.session_hash);
        let rpc = frame.rpc.as_ref();
        w.text(rpc.map_or(RpcKind::None, |rpc| rpc.kind).as_str());
        w.optional(rpc.and_then(|rpc| rpc.method.as_deref()));
        w.optional(rpc.and_then(|rpc| rpc.id.as_deref()));
        w.optional(rpc.and_then(|rpc| rpc.name.as_deref()));
        w.long(rpc.and_then(|rpc| rpc.error_code).unwrap_or(0));
        w.boolean(rpc.and_then(|rpc| rpc.is_error).unwrap_or(false));
        w.optional(frame.http.method.as_deref());
        w.int(frame.http.status.unwrap_or(0));
        w.optional(frame.http.content_type.as_deref());
        let sse = frame.sse.as_ref();
        w.optional(sse.and_then(|sse| sse.id.as_deref()));
        w.optional(sse.and_then(|sse| sse.event.as_deref()));
        w.long(sse.and_then(|sse| sse.retry).unwrap_or(0));
        w.optional(sse.and_then(|sse| sse.comment.as_deref()));
        w.boolean(sse.is_none_or(|sse| sse.complete));
        w.optional(frame.traceparent.as_deref());
        let decision = frame.decision.as_ref();
        w.text(decision.map_or("", |decision| &decision.rule));
        w.text(decision.map_or("", |decision| &decision.action));
        w.optional(decision.and_then(|decision| decision.approval_id.as_deref()));
    }

    fn encode_events(&self, w: &mut Columns) {
        let frame = self.frame.frame();
        let counters = &frame.counters;
        w.long(counters.requests);
        w.long(counters.answers);
        w.long(counters.errors);
        w.long(counters.refused);
        w.long(counters.bytes_to_target);
        w.long(counters.bytes_to_client);
        let segment = frame.segment.as_ref();
        w.text(segment.map_or("", |segment| &segment.reason));
        let previous = segment.and_then(|segment| segment.previous.as_ref());
        w.id(previous.map_or(Uuid::nil(), |previous| previous.segment_id));
        w.long(previous.map_or(0, |previous| previous.seq));
        w.digest(previous.map(|previous| previous.head));
        let lost = previous.map_or(&[][..], |previous| &previous.lost);
        w.longs(lost.iter().map(|lost| lost.seq));
        w.longs(lost.iter().map(|lost| lost.writer_seq));
        let gap = frame.gap.as_ref();
        w.text(gap.map_or("", |gap| &gap.reason));
        w.long(gap.map_or(0, |gap| gap.frames));
        w.long(gap.map_or(0, |gap| gap.bytes));
    }

    fn encode_payload(&self, w: &mut Columns) {
        let frame = self.frame.frame();
        w.body(self.frame.shared_body());
        w.long(frame.payload_size);
        w.int(frame.part.index);
        w.boolean(frame.part.last);
        w.text(self.frame.fate().as_str());
        w.text(match self.frame.fate() {
            Fate::Dropped(reason) => reason,
            _ => "",
        });
        w.texts(self.frame.rules());
        w.unsigned(present::bits(&self.frame));
        w.raw(&self.frame.payload_salt().unwrap_or_default().0);
        w.raw(&self.frame.metadata_salt().unwrap_or_default().0);
        w.digest(frame.commitments.payload);
        w.raw(&frame.commitments.metadata.0);
        w.raw(&frame.frame_hash.0);
    }

    /// Whether the recorder itself wrote the frame, about no client.
    #[must_use]
    pub fn is_recorders_own(&self) -> bool {
        matches!(
            self.frame.frame().kind,
            Kind::SegmentOpened | Kind::SegmentSealed | Kind::Gap
        )
    }
}
