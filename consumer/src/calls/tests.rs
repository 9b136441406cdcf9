use proptest::prelude::*;
use tapedeck_schemas::{Digest, Rpc};

use super::*;

fn id(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

/// A message of one session: exchange, time, way, kind, id, and whether its exchange's method is on it.
fn message(exchange: u8, time: i64, direction: Direction, kind: RpcKind, rpc_id: u8, own: bool) -> Frame {
    Frame {
        exchange_id: id(exchange),
        session_key: SessionKey(Digest([7; 32])),
        time,
        kind: Kind::Message,
        direction,
        rpc: Some(Rpc {
            kind,
            id: Some(rpc_id.to_string()),
            method: (own || kind == RpcKind::Request).then(|| "tools/call".to_owned()),
            ..Rpc::default()
        }),
        ..Frame::default()
    }
}

fn calls(frames: &[Frame]) -> Calls {
    Calls::of(frames.iter(), |id, _| id.to_owned())
}

/// Whose requests the frames answer, loaded in one batch.
fn answered(frames: &[Frame]) -> Vec<Option<u8>> {
    let mut calls = calls(frames);
    let take = |(offset, frame): (i64, &Frame)| calls.take(&Event::of(offset, frame), id(99));
    (0..)
        .zip(frames)
        .map(take)
        .map(|found| found.map(|exchange| exchange.as_bytes()[0]))
        .collect()
}

#[test]
fn a_clients_answer_belongs_to_what_the_target_asked_last_under_its_id() {
    let frames = [
        message(1, 0, Direction::ToClient, RpcKind::Request, 5, false),
        message(2, 1, Direction::ToClient, RpcKind::Request, 5, false),
        message(3, 2, Direction::ToTarget, RpcKind::Response, 5, false),
        message(4, 3, Direction::ToTarget, RpcKind::Error, 6, false),
    ];
    assert_eq!(answered(&frames), [None, None, Some(2), None]);
}

#[test]
fn an_answer_on_a_resumed_stream_belongs_to_the_request_of_another_exchange() {
    let frames = [
        message(1, 0, Direction::ToTarget, RpcKind::Request, 5, false),
        message(2, 1, Direction::ToClient, RpcKind::Response, 5, false),
    ];
    assert_eq!(answered(&frames), [None, Some(1)]);
}

#[test]
fn an_answer_of_its_own_exchange_looks_for_nothing() {
    let frames = [
        message(1, 0, Direction::ToTarget, RpcKind::Request, 5, false),
        message(2, 1, Direction::ToClient, RpcKind::Response, 5, true),
    ];
    assert!(calls(&frames).sought().is_empty());
    assert_eq!(answered(&frames), [None, None]);
}

#[test]
fn after_a_day_nobody_waits_any_more() {
    let asked = message(1, 0, Direction::ToClient, RpcKind::Request, 5, false);
    let answers = |time| message(2, time, Direction::ToTarget, RpcKind::Response, 5, false);
    assert_eq!(answered(&[asked.clone(), answers(PATIENCE)]), [None, Some(1)]);
    assert_eq!(answered(&[asked, answers(PATIENCE + 1)]), [None, None]);
}

fn frames() -> impl Strategy<Value = Vec<(Frame, u8)>> {
    let step = (1_u8..9, 0_i64..PATIENCE / 3, any::<[bool; 3]>(), 0_u8..3, 0_u8..2);
    prop::collection::vec(step, 1..60).prop_map(|steps| {
        let mut time = 0;
        let step = |(exchange, gap, [to_client, asks, own], rpc_id, session): (u8, i64, [bool; 3], u8, u8)| {
            time += gap;
            let direction = if to_client {
                Direction::ToClient
            } else {
                Direction::ToTarget
            };
            let kind = if asks { RpcKind::Request } else { RpcKind::Response };
            (message(exchange, time, direction, kind, rpc_id, own), session)
        };
        steps.into_iter().map(step).collect()
    })
}

/// What the query of `sink::asked` says of the rows before a batch.
fn read_back(rows: &[(Frame, u8)], calls: &Calls) -> Vec<RestoredRequest> {
    let request = |(frame, session): &(Frame, u8)| {
        let rpc = frame.rpc.as_ref().expect("each has one");
        let id = rpc.id.clone().expect("each has one");
        let sought = (frame.session_key, frame.direction, id.clone());
        (rpc.kind == RpcKind::Request && calls.sought().contains(&sought)).then(|| RestoredRequest {
            key: frame.session_key,
            session: self::id(*session),
            direction: frame.direction,
            id,
            exchange: frame.exchange_id,
            time: frame.time,
        })
    };
    // The latest of each comes last, and wins.
    rows.iter().filter_map(request).collect()
}

proptest! {
    #[test]
    fn where_a_batch_ends_changes_no_answer(frames in frames(), cuts in prop::collection::vec(1_usize..9, 1..20)) {
        let load = |lengths: &mut dyn Iterator<Item = usize>| {
            let (mut loaded, mut found) = (0, Vec::new());
            while loaded < frames.len() {
                let end = frames.len().min(loaded + lengths.next().unwrap_or(usize::MAX / 2));
                let batch = &frames[loaded..end];
                let mut calls = Calls::of(batch.iter().map(|(frame, _)| frame), |id, _| id.to_owned());
                calls.restore(read_back(&frames[..loaded], &calls));
                for (frame, session) in batch {
                    found.push(calls.take(&Event::of(0, frame), id(*session)));
                }
                loaded = end;
            }
            found
        };
        let whole = load(&mut std::iter::once(frames.len()));
        prop_assert_eq!(load(&mut cuts.into_iter().cycle()), whole);
    }
}
