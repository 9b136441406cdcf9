//! The frame and its parts, as in `frame.avsc`, whose `doc`s say what each field means.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::{Digest, Salt, SessionKey};

/// Declares an enum that mirrors an Avro enum: variants in the schema's order, names as in the schema.
macro_rules! avro_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $symbol:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
        pub enum $name {
            #[default]
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every variant, in the schema's order.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The schema's symbol.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $symbol,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

avro_enum! {
    /// What a frame is.
    Kind {
        #[doc = "A kind that this reader does not know."] Unknown = "unknown",
        #[doc = "A JSON-RPC message, or a body that is none."] Message = "message",
        #[doc = "A GET or DELETE: an exchange whose request carries no message."] ExchangeStart = "exchange_start",
        #[doc = "The end of an exchange whose last frame could not carry it."] ExchangeEnd = "exchange_end",
        #[doc = "The proxy said no."] Refused = "refused",
        #[doc = "A segment's first frame."] SegmentOpened = "segment_opened",
        #[doc = "A segment's last frame."] SegmentSealed = "segment_sealed",
        #[doc = "Frames that were not recorded."] Gap = "gap",
    }
}

avro_enum! {
    /// Which way a message went.
    Direction {
        #[doc = "The recorder's own event."] None = "none",
        #[doc = "From the client."] ToTarget = "to_target",
        #[doc = "From the target."] ToClient = "to_client",
    }
}

avro_enum! {
    /// How an exchange ended; on at most one of its frames.
    End {
        #[doc = "An end that this reader does not know."] Unknown = "unknown",
        #[doc = "The target's answer was recorded to its end."] Answered = "answered",
        #[doc = "202 without a body."] Accepted = "accepted",
        #[doc = "By the proxy."] Refused = "refused",
        #[doc = "Recorded, but the target was never sent it."] NotForwarded = "not_forwarded",
        #[doc = "The client closed the stream, which cancels."] Cancelled = "cancelled",
        #[doc = "The target went away before its answer's end."] UpstreamLost = "upstream_lost",
        #[doc = "Cut by the proxy: it could not record, or had to stop."] Aborted = "aborted",
    }
}

avro_enum! {
    /// Kind of JSON-RPC message.
    RpcKind {
        #[doc = "A body that is no JSON-RPC message."] None = "none",
        #[doc = "Has a method and an id."] Request = "request",
        #[doc = "Has a result."] Response = "response",
        #[doc = "Has an error."] Error = "error",
        #[doc = "Has a method and no id."] Notification = "notification",
        #[doc = "An array of messages (revision 2025-03-26)."] Batch = "batch",
    }
}

/// One JSON-RPC message in one direction, or one event of the recorder itself.
///
/// `Debug` prints no payload and no salt.
#[derive(Clone, Debug, PartialEq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Frame {
    pub writer_id: Uuid,
    pub writer_seq: i64,
    pub segment_id: Uuid,
    pub seq: i64,
    pub exchange_id: Uuid,
    pub session_key: SessionKey,
    pub session_id: Option<Uuid>,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    pub monotonic_ns: i64,
    pub kind: Kind,
    pub direction: Direction,
    pub end: Option<End>,
    pub tenant: String,
    pub target: String,
    pub principal: Option<Arc<Principal>>,
    pub client: Client,
    pub protocol: Protocol,
    pub rpc: Option<Rpc>,
    pub http: Http,
    pub sse: Option<Sse>,
    pub traceparent: Option<String>,
    pub decision: Option<Decision>,
    pub counters: Counters,
    pub segment: Option<SegmentEvent>,
    pub gap: Option<Gap>,
    pub payload: Option<Payload>,
    pub payload_size: i64,
    pub part: Part,
    pub salts: Salts,
    pub commitments: Commitments,
    pub previous_hash: Digest,
    pub frame_hash: Digest,
}

/// A payload as sent: secret until redacted, so `Debug` prints only its size.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Payload(pub Bytes);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

/// The verified caller, as its token says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Principal {
    pub issuer: String,
    pub subject: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub groups: Vec<String>,
    pub client_id: Option<String>,
    pub token_id: Option<String>,
    pub token_session: Option<String>,
    pub key_thumbprint: Option<String>,
}

/// Where the request came from; nothing of it is authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Client {
    pub address: String,
    pub user_agent: Option<String>,
    pub claimed_name: Option<String>,
    pub claimed_version: Option<String>,
}

/// What both sides spoke.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Protocol {
    pub revision: Option<String>,
    pub transport: String,
    pub session_hash: Option<Digest>,
}

/// The JSON-RPC envelope.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Rpc {
    pub kind: RpcKind,
    pub method: Option<String>,
    pub id: Option<String>,
    pub name: Option<String>,
    pub error_code: Option<i64>,
    pub is_error: Option<bool>,
}

/// The HTTP side of a message.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Http {
    pub method: Option<String>,
    pub status: Option<i32>,
    pub content_type: Option<String>,
}

/// Fields of the server-sent event whose data is the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Sse {
    pub id: Option<String>,
    pub event: Option<String>,
    pub retry: Option<i64>,
    pub comment: Option<String>,
    pub complete: bool,
}

/// A rule of the proxy and its effect.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Decision {
    pub rule: String,
    pub action: String,
    pub approval_id: Option<String>,
}

/// Totals over the segment, this frame included. [`Chain::seal`](crate::Chain::seal) keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Counters {
    pub requests: i64,
    pub answers: i64,
    pub errors: i64,
    pub refused: i64,
    pub bytes_to_target: i64,
    pub bytes_to_client: i64,
}

/// Why a segment began or ended.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct SegmentEvent {
    pub reason: String,
    pub previous: Option<PreviousSegment>,
}

/// A segment that ended without a seal, because a publish failed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct PreviousSegment {
    pub segment_id: Uuid,
    pub seq: i64,
    pub head: Digest,
    pub lost: Vec<LostFrame>,
}

/// A frame whose delivery was not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct LostFrame {
    pub seq: i64,
    pub writer_seq: i64,
}

/// What was not recorded.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Gap {
    pub reason: String,
    pub frames: i64,
    pub bytes: i64,
}

/// Position in a message that is split over several frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Part {
    pub index: i32,
    pub last: bool,
}

impl Part {
    /// The only part of an unsplit message.
    pub const WHOLE: Self = Self { index: 0, last: true };
}

impl Default for Part {
    fn default() -> Self {
        Self::WHOLE
    }
}

/// Salts of the commitments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Salts {
    pub payload: Option<Salt>,
    pub metadata: Salt,
}

/// Salted hashes that stay when the values are masked or erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field's doc is in frame.avsc")]
pub struct Commitments {
    pub payload: Option<Digest>,
    pub metadata: Digest,
}
