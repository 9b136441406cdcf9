use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;
use tapedeck_redact::{Config, Redactor};
use tapedeck_schemas::{Chain, End, Kind, Part};

use super::*;
use crate::redaction::{Known, mask};

/// Made once: compiling the packs takes the better part of a second without optimization.
fn redactor() -> &'static Redactor {
    static REDACTOR: LazyLock<Redactor> =
        LazyLock::new(|| Redactor::new(Config::default()).expect("the built-in rules are right"));
    &REDACTOR
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

fn piece(index: i32, last: bool) -> Part {
    Part { index, last }
}

fn offsets(message: &Message<()>) -> Vec<i64> {
    message.frames.iter().map(|frame| frame.offset).collect()
}

fn bytes(message: &Message<()>) -> Option<Vec<u8>> {
    match &message.body {
        Body::Parts(parts) => Some(parts.iter().flatten().flat_map(|part| part.0.to_vec()).collect()),
        Body::Withheld(_) => None,
    }
}

#[test]
fn a_part_without_its_predecessor_is_given_up() {
    let mut parts = Parts::default();
    let given_up = parts.take(part(5, 1, piece(3, false), b"x", 0));
    assert_eq!(given_up.len(), 1);
    assert!(given_up[0].truncated && matches!(given_up[0].body, Body::Withheld(DropReason::Incomplete)));
    assert!(parts.is_empty());
}

#[test]
fn a_message_whose_exchange_ends_is_given_up() {
    let mut parts = Parts::default();
    assert!(parts.take(part(1, 1, piece(0, false), b"x", 0)).is_empty());
    assert_eq!(parts.first_offset(), Some(1));
    let mut end = part(2, 1, Part::WHOLE, b"", 0);
    let frame = Frame {
        end: Some(End::UpstreamLost),
        direction: Direction::None,
        kind: Kind::ExchangeEnd,
        ..end.frame.frame().clone()
    };
    end.frame = mask(frame, redactor(), &mut Known::default());
    let complete = parts.take(end);
    assert_eq!(complete.iter().map(offsets).collect::<Vec<_>>(), [vec![1], vec![2]]);
    assert!(complete[0].truncated && !complete[1].truncated);
    assert_eq!(parts.first_offset(), None);
}

#[test]
fn a_message_that_falls_silent_is_given_up_by_frame_time() {
    let mut parts = Parts::default();
    parts.take(part(1, 1, piece(0, false), b"x", 0));
    parts.take(part(2, 2, Part::WHOLE, b"y", SILENCE));
    assert!(parts.expire().is_empty());
    parts.take(part(3, 2, Part::WHOLE, b"y", SILENCE + 1));
    let given_up = parts.expire();
    assert_eq!(given_up.iter().map(offsets).collect::<Vec<_>>(), [vec![1]]);
}

#[test]
fn a_message_over_the_limit_loses_its_body_and_no_frame() {
    let mut parts = Parts::default();
    let half = vec![b'x'; MAX_MESSAGE / 2 + 1];
    assert!(parts.take(part(1, 1, piece(0, false), &half, 0)).is_empty());
    assert!(parts.take(part(2, 1, piece(1, false), &half, 0)).is_empty());
    let complete = parts.take(part(3, 1, piece(2, true), b"x", 0));
    assert_eq!(offsets(&complete[0]), [1, 2, 3]);
    assert!(matches!(complete[0].body, Body::Withheld(DropReason::TooLarge)) && !complete[0].truncated);
    assert_eq!(parts.bytes, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn interleaved_messages_come_out_whole(
        messages in prop::collection::vec(prop::collection::vec("[a-z]{0,9}", 1..5), 1..6),
        order in prop::collection::vec(0_usize..6, 40),
    ) {
        let mut parts = Parts::default();
        let mut next = vec![0; messages.len()];
        let mut expected: HashMap<Vec<i64>, Vec<u8>> = HashMap::new();
        let mut offsets_of = vec![Vec::new(); messages.len()];
        let mut found = HashMap::new();
        let mut offset = 0;
        let all: Vec<usize> = order.into_iter().chain((0..messages.len()).flat_map(|n| [n; 5])).collect();
        for number in all.into_iter().map(|n| n % messages.len()) {
            let message = &messages[number];
            let Some(text) = message.get(next[number]) else { continue };
            let last = next[number] + 1 == message.len();
            let place = piece(next[number] as i32, last);
            offsets_of[number].push(offset);
            if last {
                expected.insert(offsets_of[number].clone(), message.concat().into_bytes());
            }
            next[number] += 1;
            for complete in parts.take(part(offset, number as u8, place, text.as_bytes(), offset)) {
                prop_assert!(!complete.truncated);
                found.insert(offsets(&complete), bytes(&complete).expect("small"));
            }
            let waiting = (0..messages.len()).filter(|n| next[*n] > 0 && next[*n] < messages[*n].len());
            prop_assert_eq!(parts.first_offset(), waiting.map(|n| offsets_of[n][0]).min());
            offset += 1;
        }
        prop_assert_eq!(found, expected);
        prop_assert!(parts.is_empty() && parts.bytes == 0);
    }
}
