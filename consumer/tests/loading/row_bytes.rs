//! What is written is what comes back, to the byte.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tapedeck_consumer::redaction::{self, Body};
use tapedeck_consumer::rows::{COLUMNS, Columns, Origin, Row, Verdict, names};
use tapedeck_consumer::sessions::{Place, Totals};
use tapedeck_consumer::sink::{Block, Insert, Packing, ServerClock, Sink};
use tapedeck_schemas::{
    Client, Counters, Decision, Digest, Direction, End, Frame, Gap, Http, Kind, LostFrame, Part, Payload,
    PreviousSegment, Principal, Protocol, Rpc, RpcKind, Salt, Salts, SegmentEvent, SessionKey, Sse,
};
use uuid::Uuid;

use crate::native::row_binary;
use crate::stack::Case;

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,6}"
}

fn maybe() -> impl Strategy<Value = Option<String>> {
    prop::option::of(text())
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn id() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid::from_bytes)
}

fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(all)
}

fn principal() -> impl Strategy<Value = Principal> {
    let texts = (text(), text(), prop::collection::vec(text(), 0..3));
    (texts, [maybe(), maybe(), maybe(), maybe(), maybe(), maybe()]).prop_map(|((issuer, subject, groups), texts)| {
        let [name, email, client_id, token_id, token_session, key_thumbprint] = texts;
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
    })
}

fn segment() -> impl Strategy<Value = SegmentEvent> {
    let lost = (any::<i64>(), any::<i64>()).prop_map(|(seq, writer_seq)| LostFrame { seq, writer_seq });
    let previous = (id(), any::<i64>(), digest(), prop::collection::vec(lost, 0..3));
    let previous = previous.prop_map(|(segment_id, seq, head, lost)| PreviousSegment {
        segment_id,
        seq,
        head,
        lost,
    });
    (text(), prop::option::of(previous)).prop_map(|(reason, previous)| SegmentEvent { reason, previous })
}

fn rpc() -> impl Strategy<Value = Rpc> {
    let numbers = (prop::option::of(any::<i64>()), prop::option::of(any::<bool>()));
    (one_of(RpcKind::ALL), [maybe(), maybe(), maybe()], numbers).prop_map(|(kind, [method, id, name], numbers)| Rpc {
        kind,
        method,
        id,
        name,
        error_code: numbers.0,
        is_error: numbers.1,
    })
}

fn sse() -> impl Strategy<Value = Sse> {
    let rest = (prop::option::of(any::<i64>()), any::<bool>());
    ([maybe(), maybe(), maybe()], rest).prop_map(|([id, event, comment], (retry, complete))| Sse {
        id,
        event,
        retry,
        comment,
        complete,
    })
}

/// Frames with anything in them. Times stay in one week, as one block has one token for each partition of the table.
fn frame() -> impl Strategy<Value = Frame> {
    let ids = ([id(), id(), id()], prop::option::of(id()), digest(), any::<[i64; 3]>());
    let kinds = (
        one_of(Kind::ALL),
        one_of(Direction::ALL),
        prop::option::of(one_of(End::ALL)),
    );
    let who = (
        text(),
        text(),
        prop::option::of(principal()),
        [maybe(), maybe(), maybe(), maybe(), maybe(), maybe()],
    );
    let what = (
        prop::option::of(rpc()),
        prop::option::of(sse()),
        prop::option::of(digest()),
        prop::option::of(any::<i32>()),
    );
    let events = (
        prop::option::of(segment()),
        any::<[i64; 9]>(),
        prop::option::of(text()),
        [text(), text(), text()],
    );
    let body = (
        prop::option::of(any::<Vec<u8>>()),
        any::<i64>(),
        any::<i32>(),
        any::<bool>(),
    );
    let hashes = (any::<[[u8; 32]; 2]>(), [digest(), digest()], prop::option::of(digest()));
    (ids, kinds, who, what, events, body, hashes).prop_map(|(ids, kinds, who, what, events, body, hashes)| {
        let ([writer_id, segment_id, exchange_id], session_id, key, [writer_seq, seq, monotonic_ns]) = ids;
        let (
            tenant,
            target,
            principal,
            [
                user_agent,
                claimed_name,
                claimed_version,
                revision,
                method,
                content_type,
            ],
        ) = who;
        let (rpc, sse, session_hash, status) = what;
        let (segment, [a, b, c, d, e, f, gap_frames, gap_bytes, time], approval_id, [rule, action, reason]) = events;
        let (payload, payload_size, index, last) = body;
        Frame {
            writer_id,
            writer_seq,
            segment_id,
            seq,
            exchange_id,
            session_key: SessionKey(key),
            session_id,
            time: 1_795_000_000_000_000 + time.rem_euclid(1_000_000_000),
            monotonic_ns,
            kind: kinds.0,
            direction: kinds.1,
            end: kinds.2,
            tenant,
            target: target.clone(),
            principal: principal.map(Arc::new),
            client: Client {
                address: target.clone(),
                user_agent,
                claimed_name,
                claimed_version,
            },
            protocol: Protocol {
                revision,
                transport: target,
                session_hash,
            },
            rpc,
            http: Http {
                method,
                status,
                content_type,
            },
            sse,
            traceparent: approval_id.clone(),
            decision: approval_id.is_some().then_some(Decision {
                rule,
                action,
                approval_id,
            }),
            counters: Counters {
                requests: a,
                answers: b,
                errors: c,
                refused: d,
                bytes_to_target: e,
                bytes_to_client: f,
            },
            gap: segment.is_none().then_some(Gap {
                reason,
                frames: gap_frames,
                bytes: gap_bytes,
            }),
            segment,
            salts: Salts {
                payload: payload.as_ref().map(|_| Salt(hashes.0[0])),
                metadata: Salt(hashes.0[1]),
            },
            commitments: tapedeck_schemas::Commitments {
                payload: hashes.2,
                metadata: hashes.1[0],
            },
            payload: payload.map(|payload| Payload(payload.into())),
            payload_size,
            part: Part { index, last },
            previous_hash: Digest::ZERO,
            frame_hash: hashes.1[1],
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_back_as_they_were_encoded() {
    let case = Case::new().await;
    let redactor = case.tools().rules.current().redactor;
    let (mut runner, strategy) = (
        TestRunner::deterministic(),
        (
            frame(),
            any::<[u64; 4]>(),
            any::<[bool; 3]>(),
            (
                prop::collection::vec(text(), 0..3),
                prop::option::of(id()),
                any::<i64>(),
            ),
        ),
    );
    let mut rows = Vec::new();
    for offset in 0..300 {
        let drawn = strategy.new_tree(&mut runner).expect("a value").current();
        let (frame, [frames, calls, errors, bytes], [shared, starts, truncated], (concerns, answers, message_size)) =
            drawn;
        let payload = frame.payload.clone();
        let masked = redaction::mask(frame, &redactor, &mut redaction::Known::default());
        let frame = redaction::clean(vec![masked], Body::Whole(payload), &redactor).remove(0);
        rows.push(Row {
            offset,
            kafka_time: 1_795_000_000_000 + offset,
            frame,
            verdict: Verdict::Fork,
            truncated,
            place: Place {
                session: Uuid::nil(),
                starts,
                totals: Totals {
                    shared,
                    frames,
                    calls,
                    errors,
                    bytes,
                },
                concerns,
                closes: None,
            },
            answers,
            message_size,
            retention: "standard".into(),
        });
    }
    // One that has next to nothing, but for a time at which it does not expire: most columns are left out.
    let in_time = Frame {
        time: 1_795_000_000_000_000,
        ..Frame::default()
    };
    let bare = [Row {
        frame: redaction::CleanFrame::stub(in_time, "no_value"),
        place: Place::default(),
        answers: None,
        message_size: 0,
        ..rows.remove(0)
    }];
    let ways = [
        (Packing::Plain, &rows[..]),
        (Packing::Lz4, &rows[..]),
        (Packing::Plain, &bare[..]),
    ];
    for (number, (packing, rows)) in ways.into_iter().enumerate() {
        come_back(&case.sink.clone().with_packing(packing), &case.origin(), rows, number).await;
    }
}

async fn come_back(sink: &Sink, origin: &Origin, rows: &[Row], number: usize) {
    let mut columns = Columns::with_capacity(rows.len());
    rows.iter().for_each(|row| row.encode(origin, &mut columns));
    let (all, mut encoded): (Vec<usize>, _) = ((0..COLUMNS.len()).collect(), Vec::new());
    columns.write(&mut encoded, &all).expect("a vector takes everything");
    let block = Block::new(&columns, sink.packing()).expect("packed");
    let clock = ServerClock::ask(sink).await.expect("a clock");
    let lease = clock.lease(Instant::now(), Duration::from_secs(30));
    let insert = Insert {
        token: &format!("row-bytes-{number}"),
        block: &block,
    };
    sink.client()
        .query("TRUNCATE TABLE frames")
        .execute()
        .await
        .expect("empty");
    sink.insert(&insert, lease).await.expect("inserted");

    let sql = format!("SELECT {} FROM frames ORDER BY kafka_offset", names(all));
    let mut cursor = sink.client().query_raw(&sql).fetch_bytes("RowBinary").expect("a query");
    let (read, written) = (cursor.collect().await.expect("rows"), row_binary(&encoded));
    assert!(read == written, "{} bytes came back for {}", read.len(), written.len());
}
