use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use proptest::prelude::*;
use tapedeck_redact::{Config, Outcome, Pack, Redactor};
use tapedeck_schemas::{Chain, End, Kind, Part};

use super::*;
use crate::budget::Budget;
use crate::redaction::{Known, mask};

/// Made once: compiling the packs takes the better part of a second without optimization.
fn redactor() -> &'static Arc<Redactor> {
    static REDACTOR: LazyLock<Arc<Redactor>> =
        LazyLock::new(|| Arc::new(Redactor::new(Config::default()).expect("the built-in rules are right")));
    &REDACTOR
}

fn live() -> &'static Live {
    static LIVE: LazyLock<Live> = LazyLock::new(|| Live {
        redactor: Arc::clone(redactor()),
        tried: None,
    });
    &LIVE
}

/// A part of the answer of an exchange.
fn part(offset: i64, exchange: u8, part: Part, payload: &[u8], time: i64) -> Waiting<()> {
    let frame = Frame {
        exchange_id: Uuid::from_bytes([exchange; 16]),
        kind: Kind::Message,
        direction: Direction::ToClient,
        time,
        part,
        ..Frame::default()
    };
    let mut chain = Chain::open(Uuid::nil(), Uuid::nil());
    let sealed = chain.seal(frame, 1, Some(Bytes::copy_from_slice(payload)));
    Waiting {
        offset,
        frame: mask(sealed.frame().clone(), redactor(), &mut Known::default()),
        with: (),
    }
}

/// All that these tests may hold; half of it may wait.
const MEMORY: usize = 256 * 1024 * 1024;

fn parts() -> Parts<()> {
    Parts::within(Budget::new(MEMORY as u64, Arc::default()).room())
}

fn piece(index: i32, last: bool) -> Part {
    Part { index, last }
}

fn offsets(message: &Message<()>) -> Vec<i64> {
    message.frames.iter().map(|frame| frame.offset).collect()
}

/// The parts that are redacted, as far as they are kept.
fn bytes(message: &Message<()>) -> Vec<Vec<u8>> {
    match &message.body {
        Body::Redacted(parts) => parts
            .iter()
            .map(|part| part.body().unwrap_or_default().to_vec())
            .collect(),
        Body::Whole(payload) => payload.iter().map(|payload| payload.0.to_vec()).collect(),
        Body::Withheld(_) => vec![Vec::new(); message.frames.len()],
    }
}

impl Parts<()> {
    fn put(&mut self, waiting: Waiting<()>) -> Vec<Message<()>> {
        self.take(waiting, live())
    }
}

#[test]
fn a_part_without_its_predecessor_is_given_up() {
    let mut parts = parts();
    let given_up = parts.put(part(5, 1, piece(3, false), b"x", 0));
    assert_eq!(given_up.len(), 1);
    assert!(given_up[0].truncated && matches!(given_up[0].body, Body::Withheld(DropReason::Incomplete)));
    assert!(parts.is_empty());
}

#[test]
fn a_message_whose_exchange_ends_is_given_up() {
    let mut parts = parts();
    assert!(parts.put(part(1, 1, piece(0, false), b"x", 0)).is_empty());
    assert_eq!(parts.first_offset(), Some(1));
    let mut end = part(2, 1, Part::WHOLE, b"", 0);
    let frame = Frame {
        end: Some(End::UpstreamLost),
        direction: Direction::None,
        kind: Kind::ExchangeEnd,
        ..end.frame.frame().clone()
    };
    end.frame = mask(frame, redactor(), &mut Known::default());
    let complete = parts.put(end);
    assert_eq!(complete.iter().map(offsets).collect::<Vec<_>>(), [vec![1], vec![2]]);
    assert!(complete[0].truncated && !complete[1].truncated);
    assert_eq!(parts.first_offset(), None);
}

#[test]
fn a_message_that_falls_silent_is_given_up_by_frame_time() {
    let mut parts = parts();
    parts.put(part(1, 1, piece(0, false), b"x", 0));
    parts.put(part(2, 2, Part::WHOLE, b"y", SILENCE));
    assert!(parts.expire().is_empty());
    parts.put(part(3, 2, Part::WHOLE, b"y", SILENCE + 1));
    let given_up = parts.expire();
    assert_eq!(given_up.iter().map(offsets).collect::<Vec<_>>(), [vec![1]]);
}

#[test]
fn a_message_of_any_size_comes_out_part_by_part_and_is_held_up_to_its_first_offset() {
    let mut parts = parts();
    let piece_of = |index: i32| match index {
        0 => b"[\"a\",".to_vec(),
        60 => b"\"z\"]".to_vec(),
        _ => br#""mail bob@example.com and nothing else of any interest","#.repeat(10_000),
    };
    let (mut out, mut size) = (Vec::new(), 0);
    for index in 0..=60 {
        let payload = piece_of(index);
        size += payload.len() as i64;
        for message in parts.put(part(i64::from(index), 1, piece(index, index == 60), &payload, 0)) {
            assert!(!message.truncated);
            assert_eq!(message.size, if index == 60 { size } else { 0 });
            out.extend(offsets(&message).into_iter().zip(bytes(&message)));
        }
        assert!(parts.bytes < 2_000_000);
        assert_eq!(parts.first_offset(), (index < 60).then_some(0));
    }
    assert!(size > 30_000_000 && out.len() == 61);
    for (index, (offset, body)) in out.into_iter().enumerate() {
        assert_eq!(offset, index as i64);
        assert!(!body.windows(3).any(|window| window == b"bob"));
    }
}

#[test]
fn what_waits_is_bounded_and_beyond_that_bodies_are_lost_and_no_frame() {
    let mut parts = parts();
    // Strings that do not end, each up to what a stream holds at most.
    let half = [&b"[\""[..], &vec![b'x'; 7 << 20]].concat();
    let mut lost = Vec::new();
    for exchange in 0..20 {
        lost.extend(parts.put(part(i64::from(exchange), exchange, piece(0, false), &half, 0)));
        assert!(parts.bytes <= MEMORY / 2);
    }
    assert!(!lost.is_empty());
    for message in &lost {
        let Body::Redacted(bodies) = &message.body else {
            panic!("{message:?}")
        };
        assert_eq!(bodies[0].outcome(), Outcome::Dropped(DropReason::TooLarge));
    }
    let next = parts.put(part(100, 19, piece(1, true), b"y\"]", 0));
    assert_eq!(offsets(&next[0]), [100]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn interleaved_messages_come_out_whole(
        messages in prop::collection::vec(prop::collection::vec("[a-z]{0,9}", 1..5), 1..6),
        order in prop::collection::vec(0_usize..6, 40),
    ) {
        let mut parts = parts();
        let mut next = vec![0; messages.len()];
        let mut expected: HashMap<i64, Vec<u8>> = HashMap::new();
        let mut offsets_of = vec![Vec::new(); messages.len()];
        let mut found: HashMap<i64, Vec<u8>> = HashMap::new();
        let mut offset = 0;
        let all: Vec<usize> = order.into_iter().chain((0..messages.len()).flat_map(|n| [n; 5])).collect();
        for number in all.into_iter().map(|n| n % messages.len()) {
            let message = &messages[number];
            let Some(text) = message.get(next[number]) else { continue };
            let last = next[number] + 1 == message.len();
            let place = piece(next[number] as i32, last);
            offsets_of[number].push(offset);
            let text = match (next[number], last) {
                (0, true) => format!("[\"{text}\"]"),
                (0, false) => format!("[\"{text}"),
                (_, true) => format!("{text}\"]"),
                (_, false) => text.clone(),
            };
            expected.insert(offset, text.clone().into_bytes());
            next[number] += 1;
            for complete in parts.put(part(offset, number as u8, place, text.as_bytes(), offset)) {
                prop_assert!(!complete.truncated);
                found.extend(offsets(&complete).into_iter().zip(bytes(&complete)));
            }
            let waiting = (0..messages.len()).filter(|n| next[*n] > 0 && next[*n] < messages[*n].len());
            prop_assert_eq!(parts.first_offset(), waiting.map(|n| offsets_of[n][0]).min());
            offset += 1;
        }
        prop_assert_eq!(found, expected);
        prop_assert!(parts.is_empty() && parts.bytes == 0);
    }
}

#[test]
fn rules_that_are_only_tried_see_messages_in_parts_and_change_nothing() {
    let pack = Pack {
        name: "tried".to_owned(),
        toml: "[[rule]]\nid = \"badge\"\nclass = \"personal\"\ndescription = \"A badge.\"\nkeywords = [\"badge\"]\ncontext = 20\n\
               pattern = '\\b[0-9]{5}\\b'\nmasks = [[\"badge 12345\", \"badge ‹redacted:badge›\"]]\nkeeps = [\"12345\"]\n"
            .to_owned(),
    };
    let config = Config {
        packs: vec![pack],
        ..Config::default()
    };
    let live = Live {
        redactor: Arc::clone(redactor()),
        tried: Some(Arc::new(Redactor::new(config).expect("the pack is sound"))),
    };
    // The second badge is cut by the end of the first part.
    let halves: [&[u8]; 2] = [br#"["badge 12345","badge 5"#, br#"4321"]"#];
    let mut parts = parts();
    let mut messages = parts.take(part(1, 1, piece(0, false), halves[0], 0), &live);
    messages.extend(parts.take(part(2, 1, piece(1, true), halves[1], 0), &live));
    let would: u32 = messages
        .iter()
        .flat_map(|message| &message.would)
        .map(|finding| finding.count)
        .sum();
    assert!(would >= 2, "{would}");
    assert!(
        messages
            .iter()
            .flat_map(|message| &message.would)
            .all(|finding| &*finding.rule == "badge")
    );
    let kept: Vec<u8> = messages.iter().flat_map(bytes).flatten().collect();
    assert_eq!(kept, halves.concat());
}
