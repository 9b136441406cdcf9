//! An oracle that finds nothing wrong must be able to: a sound record, and what becomes of it.

use bytes::Bytes;
use tapedeck_schemas::wire::{Framing, encode_control};
use tapedeck_schemas::{
    Chain, Control, ControlBody, ControlChain, Digest, Direction, End, Frame, Head, Kind, LostFrame, Payload,
    PreviousSegment, SegmentEvent, SegmentSealed, SessionKey, WriterManifest, WriterStarted, WriterStopped,
};
use uuid::Uuid;

use super::table::{Hex, Row};
use super::topic::{Record, Recorded};
use super::{chain, compare, control};

/// A row's `present` for a frame with a payload, both salts, and nothing else that is optional.
const PRESENT: u64 = 1 << 34 | 1 << 35 | 1 << 36;

/// What is done to a record, and how.
struct Spoilt<T>(&'static str, fn(&mut T));

fn key() -> SessionKey {
    SessionKey::of_stranger("probe", "127.0.0.1")
}

fn recorded(frame: Frame, offset: i64) -> Recorded {
    Recorded {
        place: (0, offset),
        key: key().as_bytes().to_vec(),
        frame,
    }
}

fn event(reason: &str, previous: Option<PreviousSegment>) -> Option<SegmentEvent> {
    Some(SegmentEvent {
        reason: reason.to_owned(),
        previous,
    })
}

/// An opener, two messages, and a closing frame.
fn segment() -> Vec<Recorded> {
    let mut chain = Chain::open(Uuid::now_v7(), Uuid::now_v7());
    let frame = |kind, end, segment| Frame {
        kind,
        end,
        segment,
        session_key: key(),
        exchange_id: Uuid::now_v7(),
        direction: Direction::ToTarget,
        ..Frame::default()
    };
    let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let frames = [
        (frame(Kind::SegmentOpened, None, event("first", None)), None),
        (frame(Kind::Message, None, None), text("{\"question\":1}")),
        (frame(Kind::Message, Some(End::Answered), None), text("{\"answer\":1}")),
        (frame(Kind::SegmentSealed, None, event("idle", None)), None),
    ];
    let sealed = frames
        .into_iter()
        .zip(1..)
        .map(|((frame, payload), number)| chain.seal(frame, number, payload));
    sealed
        .zip(0..)
        .map(|(sealed, offset)| recorded(sealed.frame().clone(), offset))
        .collect()
}

/// What the writer of [`segment`] says about it.
fn statements(segment: &[Recorded]) -> Vec<Control> {
    let last = &segment[segment.len() - 1].frame;
    let mut chain = ControlChain::open(last.writer_id);
    let (segment_id, session_key, head) = (last.segment_id, key(), last.frame_hash);
    let bodies = [
        ControlBody::WriterStarted(WriterStarted {
            public_key: chain.public_key(),
            instance: "here".to_owned(),
            version: "1".to_owned(),
            endorsement: None,
        }),
        ControlBody::WriterManifest(WriterManifest {
            writer_seq: 4,
            heads: vec![Head {
                segment_id,
                session_key,
                seq: 3,
                head,
            }],
            chunk: 0,
            last: true,
            refusals_not_written: 0,
        }),
        ControlBody::SegmentSealed(SegmentSealed {
            segment_id,
            session_key,
            count: 4,
            head,
            reason: "idle".to_owned(),
        }),
        ControlBody::WriterStopped(WriterStopped {
            writer_seq: 4,
            reason: "shutdown".to_owned(),
        }),
    ];
    bodies.into_iter().map(|body| chain.sign(0, body)).collect()
}

fn records(statements: &[Control]) -> Vec<Record> {
    let record = |(control, offset): (&Control, i64)| Record {
        place: (0, offset),
        key: control.writer_id.as_bytes().to_vec(),
        value: encode_control(control, Framing::SingleObject),
        headers: Vec::new(),
    };
    statements.iter().zip(0..).map(record).collect()
}

/// The messages of [`segment`] as a segment of their own, and the rows that they are.
fn loaded() -> (Vec<Recorded>, Vec<Row>) {
    let mut chain = Chain::open(Uuid::now_v7(), Uuid::now_v7());
    let message = || Frame {
        kind: Kind::Message,
        direction: Direction::ToTarget,
        session_key: key(),
        ..Frame::default()
    };
    let frames: Vec<Recorded> = (0..3)
        .map(|at| {
            recorded(
                chain
                    .seal(message(), at + 1, Some(Bytes::from(format!("{{\"n\":{at}}}"))))
                    .frame()
                    .clone(),
                at,
            )
        })
        .collect();
    let rows = frames.iter().map(row).collect();
    (frames, rows)
}

fn row(entry: &Recorded) -> Row {
    let frame = &entry.frame;
    let (payload, salt) = (
        frame.payload.clone().unwrap_or_default(),
        frame.salts.payload.unwrap_or_default(),
    );
    Row {
        segment_id: frame.segment_id,
        seq: frame.seq,
        writer_id: frame.writer_id,
        writer_seq: frame.writer_seq,
        session_key: Hex(key().as_bytes().to_vec()),
        kind: frame.kind.to_string(),
        direction: frame.direction.to_string(),
        segment_bytes_to_target: frame.counters.bytes_to_target,
        payload: Hex(payload.0.to_vec()),
        payload_size: frame.payload_size,
        part_index: frame.part.index,
        part_last: frame.part.last,
        redaction: "unchanged".to_owned(),
        present: PRESENT,
        payload_salt: Hex(salt.0.to_vec()),
        metadata_salt: Hex(frame.salts.metadata.0.to_vec()),
        payload_commitment: Hex(frame.commitments.payload.unwrap_or_default().0.to_vec()),
        metadata_commitment: Hex(frame.commitments.metadata.0.to_vec()),
        frame_hash: Hex(frame.frame_hash.0.to_vec()),
        verdict: "intact".to_owned(),
        kafka_offset: entry.place.1,
        ..Row::default()
    }
}

#[test]
fn a_sound_record_passes_every_oracle() {
    let segment = segment();
    chain::verify(&segment).expect("the topic is sound");
    let proof = control::verify(&records(&statements(&segment)), &segment).expect("the statements fit");
    assert_eq!(
        (proof.writers, proof.sealed, proof.manifests, proof.stopped),
        (1, 1, 1, 1)
    );
    let (frames, rows) = loaded();
    compare::exactly_once(&frames, &[], &rows).expect("each frame is one row");
    assert_eq!(compare::chains(&rows).expect("the chain recomputes"), 3);
}

#[test]
fn whatever_is_done_to_the_topic_is_seen() {
    let spoilt: [Spoilt<Vec<Recorded>>; 8] = [
        Spoilt("a frame is removed", |frames| drop(frames.remove(1))),
        Spoilt("two frames change places", |frames| {
            let place = frames[1].place;
            frames[1].place = frames[2].place;
            frames[2].place = place;
        }),
        Spoilt("a payload is changed", |frames| {
            frames[1].frame.payload = Some(Payload(Bytes::from_static(b"{}")))
        }),
        Spoilt("a time is changed", |frames| frames[1].frame.time += 1),
        Spoilt("a hash is changed", |frames| frames[1].frame.frame_hash = Digest::ZERO),
        Spoilt("a key is changed", |frames| frames[1].key[0] ^= 1),
        Spoilt("a frame has a number again", |frames| {
            let mut other = frames[2].clone();
            other.frame.seq = 1;
            other.place = (0, 9);
            frames.push(other);
        }),
        Spoilt("an exchange ends twice", |frames| {
            let mut chain = Chain::open(Uuid::now_v7(), Uuid::now_v7());
            let opener = chain.seal(frames[0].frame.clone(), 1, None).frame().clone();
            let again = Frame {
                end: Some(End::Aborted),
                ..frames[2].frame.clone()
            };
            frames.push(recorded(opener, 8));
            frames.push(recorded(chain.seal(again, 2, None).frame().clone(), 9));
        }),
    ];
    for Spoilt(what, spoil) in spoilt {
        let mut frames = segment();
        spoil(&mut frames);
        assert!(chain::verify(&frames).is_err(), "{what}, and nobody notices");
    }
}

#[test]
fn a_frame_of_its_own_may_overrule_the_end_of_an_answer() {
    let (ends, exchange_id) = (|kind, end| (kind, Some(end)), Uuid::now_v7());
    let (answer, aborted) = (
        ends(Kind::Message, End::Answered),
        ends(Kind::ExchangeEnd, End::Aborted),
    );
    let verified = |all: &[(Kind, Option<End>)]| {
        let mut chain = Chain::open(Uuid::now_v7(), Uuid::now_v7());
        let opener = (Kind::SegmentOpened, None);
        let frames = std::iter::once(&opener)
            .chain(all)
            .zip(0..)
            .map(|((kind, end), offset)| {
                let frame = Frame {
                    kind: *kind,
                    end: *end,
                    segment: (*kind == Kind::SegmentOpened).then(|| event("first", None)).flatten(),
                    session_key: key(),
                    exchange_id,
                    ..Frame::default()
                };
                recorded(chain.seal(frame, offset + 1, None).frame().clone(), offset)
            });
        chain::verify(&frames.collect::<Vec<_>>())
    };
    verified(&[answer]).expect("one end");
    verified(&[answer, aborted]).expect("the answer was withheld");
    for wrong in [
        &[aborted, answer][..],
        &[aborted, aborted],
        &[answer, answer],
        &[answer, aborted, aborted],
    ] {
        assert!(verified(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_hole_is_right_only_where_a_later_opener_names_it() {
    let mut frames = segment();
    let gone = frames.pop().expect("four").frame;
    chain::verify(&frames).expect("a cut tail is for the control topic to notice");
    let lost = |writer_seq| vec![LostFrame { seq: 2, writer_seq }];
    let middle = frames.pop().expect("three").frame;
    let opener = |lost| {
        let previous = PreviousSegment {
            segment_id: gone.segment_id,
            seq: 2,
            head: middle.frame_hash,
            lost,
        };
        let mut chain = Chain::open(gone.writer_id, Uuid::now_v7());
        let frame = Frame {
            kind: Kind::SegmentOpened,
            session_key: key(),
            segment: event("publish_failed", Some(previous)),
            ..Frame::default()
        };
        recorded(chain.seal(frame, 4, None).frame().clone(), 9)
    };
    let with = |opener| frames.iter().cloned().chain([opener]).collect::<Vec<_>>();
    chain::verify(&with(opener(lost(3)))).expect("the hole is named");
    assert!(chain::verify(&with(opener(Vec::new()))).is_err());
    assert!(chain::verify(&with(opener(lost(7)))).is_err());
}

#[test]
fn whatever_is_done_to_the_statements_is_seen() {
    let spoilt: [Spoilt<(Vec<Control>, Vec<Recorded>)>; 6] = [
        Spoilt("a statement is removed", |(statements, _)| drop(statements.remove(1))),
        Spoilt("a statement is changed", |(statements, _)| statements[1].time += 1),
        Spoilt("the introduction is removed", |(statements, _)| {
            drop(statements.remove(0))
        }),
        Spoilt("another writer signs", |(statements, _)| {
            let mut stranger = ControlChain::open(statements[0].writer_id);
            statements[3] = stranger.sign(0, statements[3].body.clone());
        }),
        Spoilt("the topic's tail is cut", |(_, frames)| drop(frames.pop())),
        Spoilt("a segment is removed", |(_, frames)| frames.clear()),
    ];
    for Spoilt(what, spoil) in spoilt {
        let frames = segment();
        let mut record = (statements(&frames), frames);
        spoil(&mut record);
        let (said, frames) = record;
        assert!(
            control::verify(&records(&said), &frames).is_err(),
            "{what}, and nobody notices"
        );
    }
    let frames = segment();
    let mut repeated = records(&statements(&frames));
    repeated.insert(2, repeated[1].clone());
    control::verify(&repeated, &frames).expect("what is said twice in the same words is said once");
}

#[test]
fn whatever_is_done_to_the_rows_is_seen() {
    let spoilt: [Spoilt<Vec<Row>>; 6] = [
        Spoilt("a row is removed", |rows| drop(rows.remove(1))),
        Spoilt("a row is there twice", |rows| rows.push(rows[1].clone())),
        Spoilt("a row is of no record", |rows| {
            let stranger = Row {
                kafka_offset: 7,
                ..rows[1].clone()
            };
            rows.push(stranger);
        }),
        Spoilt("a payload is changed", |rows| rows[1].payload.0[0] ^= 1),
        Spoilt("a time is changed", |rows| rows[1].time += 1),
        Spoilt("a verdict is changed", |rows| rows[1].verdict = "tampered".to_owned()),
    ];
    for Spoilt(what, spoil) in spoilt {
        let (frames, mut rows) = loaded();
        spoil(&mut rows);
        assert!(
            compare::exactly_once(&frames, &[], &rows).is_err(),
            "{what}, and nobody notices"
        );
    }
    let changes: [fn(&mut Row); 3] = [
        |row| row.time += 1,
        |row| row.payload.0[0] ^= 1,
        |row| row.frame_hash.0[0] ^= 1,
    ];
    for spoil in changes {
        let (_, mut rows) = loaded();
        spoil(&mut rows[1]);
        assert!(compare::chains(&rows).is_err(), "a changed row, and nobody notices");
    }
}
