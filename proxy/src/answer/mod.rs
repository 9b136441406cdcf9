//! The way back: a target's answer, recorded piece by piece, and each piece released when it is durable.
//!
//! Recording runs ahead of releasing: while the first pieces wait for their acknowledgement the next are read and
//! recorded, up to [`IN_FLIGHT`] bytes and [`PIECES_IN_FLIGHT`] pieces per answer. A client that reads slowly fills that room, and then the target is
//! not read from until there is room again.

mod body;
mod events;
mod patience;
mod release;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use tapedeck_schemas::{Part, Rpc, RpcKind};
use tapedeck_wire::envelope::{Envelope, Kind as EnvelopeKind};

use crate::ends::{AnswerPiece, Tape};
use crate::identity::Lapse;
use crate::record::NotRecorded;
use release::Releases;

pub(crate) use body::relay_body;
pub(crate) use events::relay_events;
pub(crate) use patience::Patience;

/// Most bytes of one answer that are recorded but not yet taken by the client, and so the memory that one answer may
/// hold beside the part that is being collected.
const IN_FLIGHT: usize = 2 * 1024 * 1024;

/// Most pieces of one answer that are recorded but not released. Events can be a few bytes long, and the frame of each
/// costs a thousand; the recorder takes [16,384 unconfirmed frames](crate::record) under one session key, all answers
/// of one client together.
const PIECES_IN_FLIGHT: usize = 256;

/// What a target's answer holds, as its head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A stream of server-sent events.
    Events,
    /// Anything else: one message, however long.
    Message,
    /// Compressed although nobody asked for it: what was recorded could not be read.
    Encoded,
}

impl Form {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let encoded = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
        if encoded {
            return Self::Encoded;
        }
        let essence = headers.get(CONTENT_TYPE).map(|value| {
            let bytes = value.as_bytes();
            bytes.split(|&byte| byte == b';').next().unwrap_or(bytes).trim_ascii()
        });
        match essence {
            Some(essence) if essence.eq_ignore_ascii_case(b"text/event-stream") => Self::Events,
            _ => Self::Message,
        }
    }
}

/// The envelope of a client's message, as frames carry it.
pub(crate) fn rpc_of(envelope: &Envelope) -> Rpc {
    Rpc {
        kind: match envelope.kind {
            EnvelopeKind::Request => RpcKind::Request,
            EnvelopeKind::Response => RpcKind::Response,
            EnvelopeKind::Error => RpcKind::Error,
            EnvelopeKind::Notification => RpcKind::Notification,
            EnvelopeKind::Batch => RpcKind::Batch,
        },
        method: envelope.method.clone(),
        id: envelope.id.clone(),
        name: envelope.name.clone(),
        error_code: envelope.error_code,
        is_error: envelope.is_error.then_some(true),
    }
}

/// The envelope of what a target sent on the exchange of `tape`: an answer carries the method and the name of what it
/// answers.
fn rpc_of_answer(scanned: Option<&Envelope>, tape: &Tape) -> Rpc {
    let Some(envelope) = scanned else {
        let asked = tape.asked();
        // No JSON-RPC message, but still what came of the request.
        return Rpc {
            method: asked.and_then(|asked| asked.method.clone()),
            name: asked.and_then(|asked| asked.name.clone()),
            ..Rpc::default()
        };
    };
    let mut rpc = rpc_of(envelope);
    if rpc.kind == RpcKind::Response {
        rpc.is_error = Some(envelope.is_error);
    }
    let answers = matches!(rpc.kind, RpcKind::Response | RpcKind::Error);
    // An error without an id is about the message as a whole.
    let asked = tape.asked_with(rpc.id.as_deref());
    if let Some(asked) = asked.filter(|asked| answers && (rpc.id.is_none() || rpc.id == asked.id)) {
        rpc.method.clone_from(&asked.method);
        rpc.name.clone_from(&asked.name);
    }
    rpc
}

/// Records the last piece of a message of the target's, and each message in it where it is a batch. The bytes are
/// released, and the exchange ends by it, with the last frame of them.
fn record_whole(
    piece: AnswerPiece,
    envelope: Option<&Envelope>,
    bytes: Bytes,
    tape: &mut Tape,
    releases: &mut Releases<'_>,
) -> Result<(), NotRecorded> {
    let batched: Vec<Rpc> = envelope.map_or_else(Vec::new, |envelope| {
        envelope
            .members
            .iter()
            .map(|one| rpc_of_answer(Some(one), tape))
            .collect()
    });
    let mut frames = vec![piece];
    frames.extend(batched.into_iter().map(|rpc| AnswerPiece {
        payload: None,
        part: Part::WHOLE,
        rpc: Some(rpc),
        sse: None,
        end: None,
    }));
    let end = frames[0].end.take();
    let last = frames.len() - 1;
    for (at, mut frame) in frames.into_iter().enumerate() {
        if at == last {
            frame.end = end;
            releases.push(tape.answer(frame)?, bytes.clone());
        } else {
            releases.push(tape.answer(frame)?, Bytes::new());
        }
    }
    Ok(())
}

/// Why an answer stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// A piece could not be recorded. What follows is withheld.
    NotRecorded(crate::record::NotRecorded),
    /// The target went away.
    UpstreamLost,
    /// The client closed the stream, which cancels.
    Cancelled,
    /// The proxy had to stop, or nobody waited for too long.
    Stopped,
    /// The token that it was asked with has expired.
    Expired,
    /// The token that it was asked with does not count any more, although it has not expired.
    Lapsed(Lapse),
}
