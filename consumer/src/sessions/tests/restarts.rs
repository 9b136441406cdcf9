//! Random conversations: wherever a restart falls, every frame has the same place.

use proptest::prelude::*;

use super::*;

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

/// What rows say of all that a batch needs.
fn restore(sessions: &mut Sessions, rows: &[(Frame, Place)], batch: &[Frame]) {
    let missing = sessions.missing(batch.iter());
    read_back(sessions, rows, &missing);
}

/// What the queries of `sink::past` say of rows.
fn read_back(sessions: &mut Sessions, rows: &[(Frame, Place)], missing: &Missing) {
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
    sessions.restore(missing, restored, exchanges);
}

#[test]
fn a_letter_that_is_read_again_leaves_its_key_in_the_session_that_it_had() {
    let mut before = Sessions::new(IDLE);
    let mut rows: Vec<(Frame, Place)> = Vec::new();
    for (offset, frame) in (0..).zip([call(1, 0), call(2, 20)]) {
        let place = before.place(&Event::of(offset, &frame));
        rows.push((frame, place));
    }
    // Another owner, who knows nothing of the key yet.
    let mut sessions = Sessions::new(IDLE);
    let letter = call(3, 10);
    let missing = sessions.missing_session(key(), id(1), letter.time);
    read_back(&mut sessions, &rows, &missing);
    let late = sessions.place_late(&Event::of(1, &letter), id(1));
    assert_eq!((late.session, late.totals.frames, late.starts), (id(1), 3, false));
    rows.push((letter, late));

    let next = call(4, 30);
    restore(&mut sessions, &rows, std::slice::from_ref(&next));
    let place = sessions.place(&Event::of(3, &next));
    assert_eq!((place.session, place.totals.frames, place.starts), (id(1), 4, false));
}

#[test]
fn a_key_that_was_not_asked_for_stays_unknown_whatever_rows_say_of_it() {
    let mut sessions = Sessions::new(IDLE);
    let first = call(1, 0);
    let rows = [(first.clone(), sessions.place(&Event::of(0, &first)))];
    let mut sessions = Sessions::new(IDLE);
    let missing = Missing {
        exchanges: [(SessionKey(Digest([8; 32])), id(1))].into_iter().collect(),
        ..Missing::default()
    };
    read_back(&mut sessions, &rows, &missing);
    assert_eq!(sessions.keys_in_memory(), 0);
    assert!(!sessions.missing([&call(2, 1)].into_iter()).keys.is_empty());
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
                1 => sessions.forget(0, u64::MAX, |_| false),
                _ => sessions.forget(usize::MAX, u64::MAX, |_| false),
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
    fn a_batch_that_is_not_stored_yet_changes_no_place(
        frames in frames(),
        cuts in prop::collection::vec((1_usize..12, any::<bool>()), 1..20),
    ) {
        let mut sessions = Sessions::new(IDLE);
        let expected: Vec<Place> = (0..).zip(&frames).map(|(n, frame)| sessions.place(&Event::of(n, frame))).collect();

        let mut rows: Vec<(Frame, Place)> = Vec::new();
        let mut sessions = Sessions::new(IDLE);
        let mut cuts = cuts.into_iter().cycle();
        // Rows of the batch before this one's are all that the table has yet.
        let mut stored = 0;
        while rows.len() < frames.len() {
            let (length, is_full) = cuts.next().expect("a cycle has no end");
            let start = rows.len();
            let batch = &frames[start..frames.len().min(start + length)];
            let number = sessions.begin();
            restore(&mut sessions, &rows[..stored], batch);
            for (offset, frame) in (start as i64..).zip(batch) {
                let place = sessions.place(&Event::of(offset, frame));
                rows.push((frame.clone(), place));
            }
            stored = start;
            sessions.forget(if is_full { 0 } else { usize::MAX }, number - 1, |_| false);
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
