//! The Avro contracts of tapedeck: what the proxy writes, what the consumer and anyone else reads.
//!
//! `*.avsc` beside this crate is the source of truth; the types here mirror it field by field, and a test proves that
//! the codec's bytes are those of `apache-avro`.
//!
//! # The life of a record
//!
//! 1. The proxy fills a [`Frame`] and *seals* it with [`Chain::seal`]: salts, commitments, sequence number and
//!    the hash that links it to the frame before it. An unsealed frame has no way to be encoded: [`wire::encode_frame`]
//!    takes a [`SealedFrame`].
//! 2. [`wire::encode_frame`] writes Avro binary behind a single-object header, which names the writer's schema.
//! 3. A reader calls [`wire::decode_frame`]. Bytes written under an older released schema are resolved to today's.
//! 4. [`Frame::verify_hash`] recomputes commitments and hash from what is there.
//!
//! Hashes are taken over length-prefixed fields, never over Avro bytes or re-serialized JSON, so they do not
//! change with the encoding. `README.md` has their exact definition.

mod audit;
mod chain;
mod codec;
mod control;
mod dead_letter;
mod digest;
mod frame;
mod hash;
pub mod schema;
mod session_key;
pub mod wire;

pub use audit::{
    Actor, Api, AuditEvent, Authorization, DstEndpoint, Fingerprint, Group, HttpRequest, Idp, MessageContext, Metadata,
    Policy, Product, Request, Resource, Response, Service, Session, SrcEndpoint, Token, Trace, Url, User,
};
pub use chain::{Chain, SealedFrame};
pub use control::{
    Control, ControlBody, ControlChain, Endorsement, Head, SegmentSealed, SignatureError, WriterManifest,
    WriterStarted, WriterStopped,
};
pub use dead_letter::DeadLetter;
pub use digest::{Digest, Salt};
pub use frame::{
    Client, Commitments, Counters, Decision, Direction, End, Frame, Gap, Http, Kind, LostFrame, Part, Payload,
    PreviousSegment, Principal, Protocol, Rpc, RpcKind, Salts, SegmentEvent, Sse,
};
pub use hash::HashMismatch;
pub use session_key::SessionKey;

/// The largest payload of one frame, in bytes; a larger body is split over several parts.
pub const MAX_PART: usize = 512 * 1024;
