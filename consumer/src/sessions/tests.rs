use proptest::prelude::*;
use tapedeck_schemas::{Client, Commitments, Digest, End, Rpc, RpcKind};

use super::*;

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
    sessions.forget(100, |_| true);
    assert_eq!(
        sessions.keys_in_memory(),
        1,
        "some of its rows are not in the table yet"
    );
    sessions.forget(100, |_| false);
    assert_eq!(sessions.keys_in_memory(), 0);
}

/// A frame of a random conversation: exchange, time since the last, and what it is.
fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let step = (0_u8..12, 0_i64..700, 0_u8..13, 0_u8..3);
    prop::collection::vec(step, 1..60).prop_map(|steps| {
        let mut time = 0;
        let mut opened = HashSet::default();
        let mut frames = Vec::new();
        for (exchange, gap, what, client) in steps {
            time += gap;
            let exchange = exchange + 1;
            let made = match (opened.insert(exchange), what) {
                (true, 0 | 1) => initialize(exchange, time),
                (true, 2) => Frame {
                    kind: Kind::Refused,
                    ..frame(exchange, time)
                },
                (true, 3) => Frame {
                    session_id: Some(id(200 + client)),
                    ..call(exchange, time)
                },
                (true, _) => call(exchange, time),
                (false, 0..5) => answer(RpcKind::Response, "initialize", exchange, time),
                (false, 5) => answer(RpcKind::Error, "initialize", exchange, time),
                (false, 9) => member(exchange, time),
                (false, 10) => asks_client(exchange, time),
                (false, 11) => ended(exchange, time),
                (false, _) => answer(RpcKind::Response, "tools/call", exchange, time),
            };
            // Some frames name a call, and some do not.
            let made = match what % 4 {
                0 => made,
                number => with_id(number, made),
            };
            frames.push(match client {
                0 => made,
                1 => named("one", made),
                _ => named("two", made),
            });
        }
        frames
    })
}

/// A request as the column `concerns` and the query of `sink::past` name it.
fn mark(frame: &Frame) -> Option<String> {
    let rpc = frame.rpc.as_ref().filter(|rpc| rpc.kind == RpcKind::Request)?;
    let id = rpc.id.as_deref().filter(|_| frame.kind == Kind::Message)?;
    let side = if frame.direction == Direction::ToClient {
        '<'
    } else {
        '>'
    };
    Some(format!("{side}{id}"))
}

/// What the queries of `sink::past` say of rows.
fn restore(sessions: &mut Sessions, rows: &[(Frame, Place)], batch: &[Frame]) {
    let missing = sessions.missing(batch.iter());
    let mut exchanges: Vec<RestoredExchange> = Vec::new();
    for (_, exchange) in &missing.exchanges {
        let of_exchange: Vec<&(Frame, Place)> = rows
            .iter()
            .filter(|(frame, _)| frame.exchange_id == *exchange)
            .collect();
        let Some((first, place)) = of_exchange.first() else {
            continue;
        };
        let is_initialize = |frame: &Frame| {
            frame
                .rpc
                .as_ref()
                .is_some_and(|rpc| rpc.method.as_deref() == Some("initialize"))
                && frame.kind == Kind::Message
                && frame.direction == Direction::ToTarget
        };
        let opens = of_exchange.iter().any(|(frame, _)| is_initialize(frame))
            && place.session == *exchange
            && !of_exchange.iter().any(|(_, place)| place.starts);
        exchanges.push(RestoredExchange {
            key: key(),
            exchange: *exchange,
            session: place.session,
            opens: opens.then(|| (first.client.address.clone(), first.client.claimed_name.clone())),
            asked: of_exchange.iter().filter_map(|(frame, _)| mark(frame)).collect(),
        });
    }
    let named: HashSet<Uuid> = missing.sessions.iter().map(|(_, session)| *session).collect();
    let of_exchanges: HashSet<Uuid> = exchanges.iter().map(|exchange| exchange.session).collect();
    let ids: HashSet<Uuid> = rows.iter().map(|(_, place)| place.session).collect();
    let wanted = |session: &Uuid| !missing.keys.is_empty() || named.contains(session) || of_exchanges.contains(session);
    let restored = ids.into_iter().filter(wanted).map(|session| {
        let of_session: Vec<(usize, &(Frame, Place))> = rows
            .iter()
            .enumerate()
            .filter(|(_, (_, place))| place.session == session)
            .collect();
        let started = of_session
            .iter()
            .filter(|(_, (_, place))| place.starts)
            .map(|(offset, _)| *offset)
            .max();
        let own = of_session.iter().find(|(_, (frame, _))| frame.exchange_id == session);
        RestoredSession {
            key: key(),
            session,
            last: of_session
                .iter()
                .map(|(_, (frame, _))| frame.time)
                .max()
                .expect("it has rows"),
            totals: of_session.last().expect("it has rows").1.1.totals,
            started: started.zip(own).map(|(offset, (_, (frame, _)))| {
                (
                    offset as i64,
                    frame.client.address.clone(),
                    frame.client.claimed_name.clone(),
                )
            }),
        }
    });
    let restored = restored.collect();
    sessions.restore(&missing, restored, exchanges);
}

proptest! {
    #[test]
    fn restarts_and_forgetting_change_no_place(
        frames in frames(),
        cuts in prop::collection::vec((1_usize..12, 0_u8..3), 1..20),
    ) {
        let mut sessions = Sessions::new(IDLE);
        let expected: Vec<Place> = (0..).zip(&frames).map(|(n, frame)| sessions.place(&Event::of(n, frame))).collect();

        let mut rows: Vec<(Frame, Place)> = Vec::new();
        let mut sessions = Sessions::new(IDLE);
        let mut cuts = cuts.into_iter().cycle();
        while rows.len() < frames.len() {
            let (length, what) = cuts.next().expect("a cycle has no end");
            let start = rows.len();
            let batch = &frames[start..frames.len().min(start + length)];
            match what {
                0 => sessions = Sessions::new(IDLE),
                1 => sessions.forget(0, |_| false),
                _ => sessions.forget(usize::MAX, |_| false),
            }
            restore(&mut sessions, &rows, batch);
            for (offset, frame) in (start as i64..).zip(batch) {
                let place = sessions.place(&Event::of(offset, frame));
                rows.push((frame.clone(), place));
            }
        }
        let places: Vec<Place> = rows.iter().map(|(_, place)| place.clone()).collect();
        prop_assert_eq!(places, expected);
    }

    #[test]
    fn all_frames_of_an_exchange_share_its_session(frames in frames()) {
        let sessions = sessions_of(&frames);
        let mut of_exchange: HashMap<Uuid, u8> = HashMap::new();
        for (frame, session) in frames.iter().zip(sessions) {
            prop_assert_eq!(*of_exchange.entry(frame.exchange_id).or_insert(session), session);
        }
    }
}
