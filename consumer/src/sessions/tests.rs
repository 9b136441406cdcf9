use tapedeck_schemas::{Client, Commitments, Digest, End, Rpc, RpcKind};

use super::*;

mod restarts;

const IDLE: i64 = 1000;

fn key() -> SessionKey {
    SessionKey(Digest([7; 32]))
}

fn id(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

fn frame(exchange: u8, time: i64) -> Frame {
    Frame {
        exchange_id: id(exchange),
        session_key: key(),
        time,
        kind: Kind::Message,
        direction: Direction::ToTarget,
        client: Client {
            address: "192.0.2.1".to_owned(),
            ..Client::default()
        },
        commitments: Commitments {
            payload: Some(Digest([1; 32])),
            ..Commitments::default()
        },
        ..Frame::default()
    }
}

fn rpc(kind: RpcKind, method: &str) -> Option<Rpc> {
    Some(Rpc {
        kind,
        method: Some(method.to_owned()),
        ..Rpc::default()
    })
}

fn named(name: &str, frame: Frame) -> Frame {
    let claimed_name = Some(name.to_owned());
    Frame {
        client: Client {
            claimed_name,
            ..frame.client.clone()
        },
        ..frame
    }
}

fn call(exchange: u8, time: i64) -> Frame {
    Frame {
        rpc: rpc(RpcKind::Request, "tools/call"),
        ..frame(exchange, time)
    }
}

fn initialize(exchange: u8, time: i64) -> Frame {
    Frame {
        rpc: rpc(RpcKind::Request, "initialize"),
        ..frame(exchange, time)
    }
}

fn answer(kind: RpcKind, method: &str, exchange: u8, time: i64) -> Frame {
    Frame {
        direction: Direction::ToClient,
        rpc: rpc(kind, method),
        end: Some(End::Answered),
        ..frame(exchange, time)
    }
}

/// A message of a batch: it follows the batch, and has no payload.
fn member(exchange: u8, time: i64) -> Frame {
    Frame {
        commitments: Commitments::default(),
        ..call(exchange, time)
    }
}

fn asks_client(exchange: u8, time: i64) -> Frame {
    Frame {
        direction: Direction::ToClient,
        rpc: rpc(RpcKind::Request, "sampling/createMessage"),
        ..frame(exchange, time)
    }
}

fn ended(exchange: u8, time: i64) -> Frame {
    Frame {
        kind: Kind::ExchangeEnd,
        direction: Direction::None,
        rpc: rpc(RpcKind::None, "tools/call"),
        end: Some(End::Aborted),
        ..frame(exchange, time)
    }
}

fn with_id(number: u8, mut frame: Frame) -> Frame {
    if let Some(rpc) = &mut frame.rpc {
        rpc.id = Some(number.to_string());
    }
    frame
}

/// Sessions of frames, in order, as numbers of the ids.
fn sessions_of(frames: &[Frame]) -> Vec<u8> {
    let mut sessions = Sessions::new(IDLE);
    let place = |(offset, frame): (i64, &Frame)| sessions.place(&Event::of(offset, frame));
    (0..)
        .zip(frames)
        .map(place)
        .map(|place| place.session.as_bytes()[0])
        .collect()
}

#[test]
fn an_answered_initialize_starts_a_session_that_others_join() {
    let frames = [
        call(1, 0),
        initialize(2, 10),
        call(3, 15),
        answer(RpcKind::Response, "initialize", 2, 20),
        call(4, 30),
        answer(RpcKind::Response, "tools/call", 4, 40),
    ];
    assert_eq!(sessions_of(&frames), [1, 2, 1, 2, 2, 2]);
}

#[test]
fn a_failed_or_refused_initialize_starts_nothing() {
    let refused = Frame {
        kind: Kind::Refused,
        ..initialize(3, 30)
    };
    let frames = [
        call(1, 0),
        initialize(2, 10),
        answer(RpcKind::Error, "initialize", 2, 20),
        refused,
        call(4, 40),
    ];
    assert_eq!(sessions_of(&frames), [1, 2, 2, 3, 1]);
}

#[test]
fn an_idle_gap_ends_a_session() {
    let frames = [call(1, 0), call(2, IDLE), call(3, 2 * IDLE + 1), call(4, 2 * IDLE + 2)];
    assert_eq!(sessions_of(&frames), [1, 1, 3, 3]);
}

#[test]
fn a_session_that_was_idle_is_closed_by_the_one_that_follows_it_and_no_other_is() {
    let closed = |frames: &[Frame]| {
        let mut sessions = Sessions::new(IDLE);
        let place = |(offset, frame): (i64, &Frame)| sessions.place(&Event::of(offset, frame)).closes;
        (0..).zip(frames).map(place).collect::<Vec<_>>()
    };
    let over = |session: u8, last| {
        Some(Closed {
            session: id(session),
            last,
        })
    };
    assert_eq!(closed(&[call(1, 0), call(1, 9), call(2, 10 + IDLE)])[2], over(1, 9));
    let initialized = [
        call(1, 0),
        initialize(2, 2 * IDLE),
        answer(RpcKind::Response, "initialize", 2, 2 * IDLE + 1),
        initialize(3, 2 * IDLE + 2),
        answer(RpcKind::Response, "initialize", 3, 2 * IDLE + 3),
    ];
    // The second may go on beside the third: its frames name it.
    assert_eq!(closed(&initialized), [None, None, over(1, 0), None, None]);
    // A restart would not know of it any more.
    assert_eq!(closed(&[call(1, 0), call(2, IDLE + REMEMBERED + 1)]), [None, None]);
}

#[test]
fn a_refusal_joins_a_session_and_starts_none() {
    let refused = |exchange, time| Frame {
        kind: Kind::Refused,
        ..frame(exchange, time)
    };
    assert_eq!(sessions_of(&[refused(1, 0), call(2, 1), refused(3, 2)]), [1, 2, 2]);
}

#[test]
fn clients_are_told_apart_by_name_and_address_and_otherwise_share() {
    let frames = [
        named("a", call(1, 0)),
        named("b", call(2, 1)),
        named("a", call(3, 2)),
        call(4, 3),
    ];
    assert_eq!(sessions_of(&frames), [1, 2, 1, 2]);
    let mut sessions = Sessions::new(IDLE);
    let places: Vec<Place> = (0..)
        .zip(&frames)
        .map(|(n, frame)| sessions.place(&Event::of(n, frame)))
        .collect();
    assert!(places[3].totals.shared && !places[1].totals.shared);
    let mut elsewhere = call(5, 4);
    elsewhere.client.address = "192.0.2.9".to_owned();
    assert_eq!(sessions.place(&Event::of(4, &elsewhere)).session, id(5));
}

#[test]
fn a_named_session_wins_and_the_recorders_own_events_have_none() {
    let tagged = Frame {
        session_id: Some(id(9)),
        ..call(2, 1)
    };
    let opened = Frame {
        kind: Kind::SegmentOpened,
        ..frame(3, 2)
    };
    assert_eq!(sessions_of(&[call(1, 0), tagged, opened]), [1, 9, 0]);
}

#[test]
fn an_end_concerns_each_call_of_its_exchange_and_not_twice_the_one_it_names() {
    let concerned = |frames: &[Frame]| {
        let mut sessions = Sessions::new(IDLE);
        let place = |(offset, frame): (i64, &Frame)| sessions.place(&Event::of(offset, frame));
        let places: Vec<Place> = (0..).zip(frames).map(place).collect();
        places.into_iter().map(|place| place.concerns).collect::<Vec<_>>()
    };
    let none = Vec::<String>::new;
    // One request and its answer: the answer names its call.
    let alone = [
        with_id(1, call(1, 0)),
        with_id(1, answer(RpcKind::Response, "tools/call", 1, 1)),
    ];
    assert_eq!(concerned(&alone), [none(), none()]);
    // A batch of two, while the target asks the client: the last answer ends all three, an end of its own too.
    let batch = [
        with_id(1, call(1, 0)),
        with_id(2, member(1, 0)),
        with_id(3, asks_client(1, 1)),
        with_id(2, answer(RpcKind::Response, "tools/call", 1, 2)),
        ended(1, 3),
        with_id(1, ended(1, 4)),
    ];
    let all = [">1", ">2", "<3"].map(str::to_owned);
    let but = |left_out: &str| all.iter().filter(|mark| *mark != left_out).cloned().collect::<Vec<_>>();
    assert_eq!(
        concerned(&batch),
        [none(), none(), none(), but(">2"), all.to_vec(), but(">1")]
    );
    // An error without an id answers the message as a whole, whether or not it ends the exchange.
    let mut error = answer(RpcKind::Error, "tools/call", 1, 1);
    error.end = None;
    assert_eq!(
        concerned(&[with_id(1, call(1, 0)), error]),
        [none(), vec![">1".to_owned()]]
    );
}

#[test]
fn one_keys_many_sessions_do_not_pile_up() {
    let mut sessions = Sessions::new(IDLE);
    for exchange in 1..=200 {
        let refused = Frame {
            kind: Kind::Refused,
            ..frame(exchange, 0)
        };
        sessions.place(&Event::of(i64::from(exchange), &refused));
    }
    sessions.forget(100, u64::MAX, |_| true);
    assert_eq!(
        sessions.keys_in_memory(),
        1,
        "some of its rows are not in the table yet"
    );
    sessions.forget(100, u64::MAX, |_| false);
    assert_eq!(sessions.keys_in_memory(), 0);
}
