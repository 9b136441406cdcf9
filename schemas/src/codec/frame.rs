use std::sync::Arc;

use bytes::Bytes;

use super::read::{Malformed, Reader};
use super::write::Writer;
use crate::{
    Client, Commitments, Counters, Decision, Digest, Direction, End, Frame, Gap, Http, Kind, LostFrame, Part, Payload,
    PreviousSegment, Principal, Protocol, Rpc, RpcKind, Salt, Salts, SegmentEvent, SessionKey, Sse,
};

/// Appends the frame's Avro binary.
pub(crate) fn encode_frame(frame: &Frame, out: &mut Vec<u8>) {
    let mut w = Writer(out);
    w.id(frame.writer_id);
    w.long(frame.writer_seq);
    w.id(frame.segment_id);
    w.long(frame.seq);
    w.id(frame.exchange_id);
    w.fixed(frame.session_key.as_bytes());
    w.optional(frame.session_id, Writer::id);
    w.long(frame.time);
    w.long(frame.monotonic_ns);
    w.symbol(Kind::ALL, &frame.kind);
    w.symbol(Direction::ALL, &frame.direction);
    w.optional(frame.end, |w, end| w.symbol(End::ALL, &end));
    w.text(&frame.tenant);
    w.text(&frame.target);
    w.optional(frame.principal.as_deref(), write_principal);
    w.text(&frame.client.address);
    w.optional_text(frame.client.user_agent.as_deref());
    w.optional_text(frame.client.claimed_name.as_deref());
    w.optional_text(frame.client.claimed_version.as_deref());
    w.optional_text(frame.protocol.revision.as_deref());
    w.text(&frame.protocol.transport);
    w.optional(frame.protocol.session_hash, |w, hash| w.fixed(&hash.0));
    w.optional(frame.rpc.as_ref(), write_rpc);
    w.optional_text(frame.http.method.as_deref());
    w.optional(frame.http.status, Writer::int);
    w.optional_text(frame.http.content_type.as_deref());
    w.optional(frame.sse.as_ref(), write_sse);
    w.optional_text(frame.traceparent.as_deref());
    w.optional(frame.decision.as_ref(), |w, decision| {
        w.text(&decision.rule);
        w.text(&decision.action);
        w.optional_text(decision.approval_id.as_deref());
    });
    write_counters(&mut w, &frame.counters);
    w.optional(frame.segment.as_ref(), write_segment);
    w.optional(frame.gap.as_ref(), |w, gap| {
        w.text(&gap.reason);
        w.long(gap.frames);
        w.long(gap.bytes);
    });
    w.optional(frame.payload.as_ref(), |w, payload| w.bytes(&payload.0));
    w.long(frame.payload_size);
    w.int(frame.part.index);
    w.boolean(frame.part.last);
    w.optional(frame.salts.payload, |w, salt| w.fixed(&salt.0));
    w.fixed(&frame.salts.metadata.0);
    w.optional(frame.commitments.payload, |w, digest| w.fixed(&digest.0));
    w.fixed(&frame.commitments.metadata.0);
    w.fixed(&frame.previous_hash.0);
    w.fixed(&frame.frame_hash.0);
}

fn write_principal(w: &mut Writer<'_>, principal: &Principal) {
    w.text(&principal.issuer);
    w.text(&principal.subject);
    w.optional_text(principal.name.as_deref());
    w.optional_text(principal.email.as_deref());
    w.array(&principal.groups, |w, group| w.text(group));
    w.optional_text(principal.client_id.as_deref());
    w.optional_text(principal.token_id.as_deref());
    w.optional_text(principal.token_session.as_deref());
    w.optional_text(principal.key_thumbprint.as_deref());
}

fn write_rpc(w: &mut Writer<'_>, rpc: &Rpc) {
    w.symbol(RpcKind::ALL, &rpc.kind);
    w.optional_text(rpc.method.as_deref());
    w.optional_text(rpc.id.as_deref());
    w.optional_text(rpc.name.as_deref());
    w.optional_long(rpc.error_code);
    w.optional(rpc.is_error, Writer::boolean);
}

fn write_sse(w: &mut Writer<'_>, sse: &Sse) {
    w.optional_text(sse.id.as_deref());
    w.optional_text(sse.event.as_deref());
    w.optional_long(sse.retry);
    w.optional_text(sse.comment.as_deref());
    w.boolean(sse.complete);
}

fn write_counters(w: &mut Writer<'_>, counters: &Counters) {
    w.long(counters.requests);
    w.long(counters.answers);
    w.long(counters.errors);
    w.long(counters.refused);
    w.long(counters.bytes_to_target);
    w.long(counters.bytes_to_client);
}

fn write_segment(w: &mut Writer<'_>, event: &SegmentEvent) {
    w.text(&event.reason);
    w.optional(event.previous.as_ref(), |w, previous| {
        w.id(previous.segment_id);
        w.long(previous.seq);
        w.fixed(&previous.head.0);
        w.array(&previous.lost, |w, lost| {
            w.long(lost.seq);
            w.long(lost.writer_seq);
        });
    });
}

/// Reads one frame that takes up all of `bytes`.
pub(crate) fn decode_frame(bytes: &[u8]) -> Result<Frame, Malformed> {
    let mut r = Reader(bytes);
    // Fields of a struct expression are evaluated in the order in which they are written: the schema's.
    let frame = Frame {
        writer_id: r.id()?,
        writer_seq: r.long()?,
        segment_id: r.id()?,
        seq: r.long()?,
        exchange_id: r.id()?,
        session_key: SessionKey(Digest(r.fixed()?)),
        session_id: r.optional(Reader::id)?,
        time: r.long()?,
        monotonic_ns: r.long()?,
        kind: r.symbol(Kind::ALL)?,
        direction: r.symbol(Direction::ALL)?,
        end: r.optional(|r| r.symbol(End::ALL))?,
        tenant: r.text()?,
        target: r.text()?,
        principal: r.optional(read_principal)?.map(Arc::new),
        client: Client {
            address: r.text()?,
            user_agent: r.optional_text()?,
            claimed_name: r.optional_text()?,
            claimed_version: r.optional_text()?,
        },
        protocol: Protocol {
            revision: r.optional_text()?,
            transport: r.text()?,
            session_hash: r.optional(Reader::fixed)?.map(Digest),
        },
        rpc: r.optional(read_rpc)?,
        http: Http {
            method: r.optional_text()?,
            status: r.optional(Reader::int)?,
            content_type: r.optional_text()?,
        },
        sse: r.optional(read_sse)?,
        traceparent: r.optional_text()?,
        decision: r.optional(|r| {
            Ok(Decision {
                rule: r.text()?,
                action: r.text()?,
                approval_id: r.optional_text()?,
            })
        })?,
        counters: Counters {
            requests: r.long()?,
            answers: r.long()?,
            errors: r.long()?,
            refused: r.long()?,
            bytes_to_target: r.long()?,
            bytes_to_client: r.long()?,
        },
        segment: r.optional(read_segment)?,
        gap: r.optional(|r| {
            Ok(Gap {
                reason: r.text()?,
                frames: r.long()?,
                bytes: r.long()?,
            })
        })?,
        payload: r.optional(|r| Ok(Payload(Bytes::copy_from_slice(r.bytes()?))))?,
        payload_size: r.long()?,
        part: Part {
            index: r.int()?,
            last: r.boolean()?,
        },
        salts: Salts {
            payload: r.optional(Reader::fixed)?.map(Salt),
            metadata: Salt(r.fixed()?),
        },
        commitments: Commitments {
            payload: r.optional(Reader::fixed)?.map(Digest),
            metadata: Digest(r.fixed()?),
        },
        previous_hash: Digest(r.fixed()?),
        frame_hash: Digest(r.fixed()?),
    };
    r.end()?;
    Ok(frame)
}

fn read_principal(r: &mut Reader<'_>) -> Result<Principal, Malformed> {
    Ok(Principal {
        issuer: r.text()?,
        subject: r.text()?,
        name: r.optional_text()?,
        email: r.optional_text()?,
        groups: r.array(Reader::text)?,
        client_id: r.optional_text()?,
        token_id: r.optional_text()?,
        token_session: r.optional_text()?,
        key_thumbprint: r.optional_text()?,
    })
}

fn read_rpc(r: &mut Reader<'_>) -> Result<Rpc, Malformed> {
    Ok(Rpc {
        kind: r.symbol(RpcKind::ALL)?,
        method: r.optional_text()?,
        id: r.optional_text()?,
        name: r.optional_text()?,
        error_code: r.optional(Reader::long)?,
        is_error: r.optional(Reader::boolean)?,
    })
}

fn read_sse(r: &mut Reader<'_>) -> Result<Sse, Malformed> {
    Ok(Sse {
        id: r.optional_text()?,
        event: r.optional_text()?,
        retry: r.optional(Reader::long)?,
        comment: r.optional_text()?,
        complete: r.boolean()?,
    })
}

fn read_segment(r: &mut Reader<'_>) -> Result<SegmentEvent, Malformed> {
    Ok(SegmentEvent {
        reason: r.text()?,
        previous: r.optional(|r| {
            Ok(PreviousSegment {
                segment_id: r.id()?,
                seq: r.long()?,
                head: Digest(r.fixed()?),
                lost: r.array(|r| {
                    Ok(LostFrame {
                        seq: r.long()?,
                        writer_seq: r.long()?,
                    })
                })?,
            })
        })?,
    })
}
