//! Arbitrary frames: every field takes every shape that the schema allows.

use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use tapedeck_schemas::{
    Chain, Client, Decision, Digest, Direction, End, Frame, Gap, Http, Kind, LostFrame, Part, PreviousSegment,
    Principal, Protocol, Rpc, RpcKind, SealedFrame, SegmentEvent, SessionKey, Sse,
};
use uuid::Uuid;

// Boxed throughout: the nested value trees of so many fields do not fit a test thread's stack.
fn text() -> BoxedStrategy<String> {
    prop_oneof!["[a-z/._-]{0,12}", "\\PC{0,24}"].boxed()
}

fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

fn principal() -> BoxedStrategy<Principal> {
    (
        (text(), text(), of(text()), of(text()), vec(text(), 0..4)),
        (of(text()), of(text()), of(text()), of(text())),
    )
        .prop_map(
            |((issuer, subject, name, email, groups), (client_id, token_id, token_session, key_thumbprint))| {
                Principal {
                    issuer,
                    subject,
                    name,
                    email,
                    groups,
                    client_id,
                    token_id,
                    token_session,
                    key_thumbprint,
                }
            },
        )
        .boxed()
}

fn rpc() -> BoxedStrategy<Rpc> {
    (
        one_of(RpcKind::ALL),
        of(text()),
        of(text()),
        of(text()),
        of(any::<i64>()),
        of(any::<bool>()),
    )
        .prop_map(|(kind, method, id, name, error_code, is_error)| Rpc {
            kind,
            method,
            id,
            name,
            error_code,
            is_error,
        })
        .boxed()
}

fn segment() -> BoxedStrategy<SegmentEvent> {
    let lost = (any::<i64>(), any::<i64>()).prop_map(|(seq, writer_seq)| LostFrame { seq, writer_seq });
    let previous =
        (id(), any::<i64>(), digest(), vec(lost, 0..3)).prop_map(|(segment_id, seq, head, lost)| PreviousSegment {
            segment_id,
            seq,
            head,
            lost,
        });
    (text(), of(previous))
        .prop_map(|(reason, previous)| SegmentEvent { reason, previous })
        .boxed()
}

fn sse() -> BoxedStrategy<Sse> {
    (of(text()), of(text()), of(any::<i64>()), of(text()), any::<bool>())
        .prop_map(|(id, event, retry, comment, complete)| Sse {
            id,
            event,
            retry,
            comment,
            complete,
        })
        .boxed()
}

/// What a caller gives to the chain.
pub(crate) fn draft() -> BoxedStrategy<Frame> {
    let identity = (id(), digest(), of(id()), any::<i64>(), any::<i64>()).boxed();
    let what = (
        one_of(Kind::ALL),
        one_of(Direction::ALL),
        of(one_of(End::ALL)),
        text(),
        text(),
    );
    let client = (text(), of(text()), of(text()), of(text())).prop_map(
        |(address, user_agent, claimed_name, claimed_version)| Client {
            address,
            user_agent,
            claimed_name,
            claimed_version,
        },
    );
    let protocol = (of(text()), text(), of(digest())).prop_map(|(revision, transport, session_hash)| Protocol {
        revision,
        transport,
        session_hash,
    });
    let http = (of(text()), of(any::<i32>()), of(text())).prop_map(|(method, status, content_type)| Http {
        method,
        status,
        content_type,
    });
    let decision = (text(), text(), of(text())).prop_map(|(rule, action, approval_id)| Decision {
        rule,
        action,
        approval_id,
    });
    let gap = (text(), any::<i64>(), any::<i64>()).prop_map(|(reason, frames, bytes)| Gap { reason, frames, bytes });
    let part = (any::<i32>(), any::<bool>()).prop_map(|(index, last)| Part { index, last });
    (
        identity,
        what,
        (of(principal()), client, protocol, of(rpc()), http).boxed(),
        (of(sse()), of(text()), of(decision), of(segment()), of(gap), part).boxed(),
    )
        .prop_map(|(identity, what, who, rest)| Frame {
            exchange_id: identity.0,
            session_key: SessionKey(identity.1),
            session_id: identity.2,
            time: identity.3,
            monotonic_ns: identity.4,
            kind: what.0,
            direction: what.1,
            end: what.2,
            tenant: what.3,
            target: what.4,
            principal: who.0.map(Arc::new),
            client: who.1,
            protocol: who.2,
            rpc: who.3,
            http: who.4,
            sse: rest.0,
            traceparent: rest.1,
            decision: rest.2,
            segment: rest.3,
            gap: rest.4,
            part: rest.5,
            ..Frame::default()
        })
        .boxed()
}

/// A sealed frame with its payload.
pub(crate) fn sealed() -> BoxedStrategy<SealedFrame> {
    (draft(), any::<i64>(), of(vec(any::<u8>(), 0..600)))
        .prop_map(|(frame, writer_seq, payload)| {
            Chain::open(Uuid::now_v7(), Uuid::now_v7()).seal(frame, writer_seq, payload.map(Bytes::from))
        })
        .boxed()
}
