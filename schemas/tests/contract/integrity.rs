//! Whatever is changed in a frame or a chain shows.

use bytes::Bytes;
use proptest::prelude::*;
use tapedeck_schemas::wire::{Framing, decode_frame, encode_frame};
use tapedeck_schemas::{Chain, Digest, Direction, Frame, HashMismatch, Kind, Payload, Rpc, RpcKind, SessionKey};
use uuid::Uuid;

use crate::arbitrary::{draft, sealed};

proptest! {
    #[test]
    fn a_sealed_frame_fits_its_hash(frame in sealed()) {
        prop_assert_eq!(frame.frame().verify_hash(), Ok(()));
    }

    #[test]
    fn a_change_of_any_single_byte_is_found(frame in sealed(), at in any::<prop::sample::Index>(), flip in 1_u8..=255) {
        let mut record = encode_frame(&frame, Framing::SingleObject);
        let position = 10 + at.index(record.len() - 10);
        record[position] ^= flip;
        // Either it is no frame any more, or one that does not fit. An overlong number decodes to the same frame:
        // nothing was changed then.
        if let Ok(changed) = decode_frame(&record) {
            prop_assert!(&changed == frame.frame() || changed.verify_hash().is_err());
        }
    }

    #[test]
    fn a_masked_payload_leaves_the_rest_verifiable(frame in sealed(), mask in prop::collection::vec(any::<u8>(), 0..9)) {
        let mut masked = frame.frame().clone();
        masked.payload = Some(Payload(Bytes::from(mask)));
        masked.salts.payload = None;
        prop_assert_eq!(masked.verify_redacted_hash(), Ok(()));
        masked.target.push('x');
        prop_assert_eq!(masked.verify_redacted_hash(), Err(HashMismatch::Frame));
    }

    #[test]
    fn each_frame_names_the_one_before(drafts in prop::collection::vec(draft(), 1..8)) {
        let mut chain = Chain::open(Uuid::now_v7(), Uuid::now_v7());
        let mut head = Digest::ZERO;
        for (seq, draft) in drafts.into_iter().enumerate() {
            let sealed = chain.seal(draft, 100 + seq as i64, None);
            prop_assert_eq!(sealed.frame().previous_hash, head);
            prop_assert_eq!(sealed.frame().seq, seq as i64);
            head = sealed.frame().frame_hash;
        }
        prop_assert_eq!(chain.head(), head);
    }
}

#[test]
fn an_absent_value_and_an_empty_one_have_different_hashes() {
    let seal = |name: Option<&str>| {
        let frame = Frame {
            traceparent: name.map(str::to_owned),
            ..Frame::default()
        };
        let mut frame = Chain::open(Uuid::nil(), Uuid::nil())
            .seal(frame, 1, None)
            .frame()
            .clone();
        // The salt differs from seal to seal; the hash of equal commitments must still tell the two apart.
        frame.commitments.metadata = Digest::ZERO;
        frame
    };
    let (absent, empty) = (seal(None), seal(Some("")));
    let mut forged = absent.clone();
    forged.traceparent = empty.traceparent;
    forged.frame_hash = absent.frame_hash;
    assert_eq!(forged.verify_redacted_hash(), Err(HashMismatch::Frame));
}

#[test]
fn the_key_of_a_session_tells_its_parts_apart() {
    let key =
        |tenant, issuer, subject, client, target| SessionKey::of_principal(tenant, issuer, subject, client, target);
    let one = key("a", "b", "c", Some("d"), "e");
    assert_eq!(one, key("a", "b", "c", Some("d"), "e"));
    assert_ne!(one, key("ab", "", "c", Some("d"), "e"));
    assert_ne!(key("", "b", "c", None, "e"), key("", "b", "c", Some(""), "e"));
    assert_ne!(SessionKey::of_stranger("a", "b"), SessionKey::of_stranger("ab", ""));
}

#[test]
fn counters_are_cumulative_and_count_a_split_message_once() {
    let mut chain = Chain::open(Uuid::now_v7(), Uuid::now_v7());
    let message = |direction, kind, is_error, last| {
        let mut frame = Frame {
            kind: Kind::Message,
            direction,
            ..Frame::default()
        };
        frame.rpc = Some(Rpc {
            kind,
            is_error,
            ..Rpc::default()
        });
        frame.part.last = last;
        frame
    };
    let payload = || Some(Bytes::from_static(b"12345"));
    chain.seal(message(Direction::ToTarget, RpcKind::Request, None, true), 1, payload());
    chain.seal(
        message(Direction::ToClient, RpcKind::Response, None, false),
        2,
        payload(),
    );
    chain.seal(
        message(Direction::ToClient, RpcKind::Response, Some(true), true),
        3,
        payload(),
    );
    let last = chain.seal(message(Direction::ToClient, RpcKind::Error, None, true), 4, payload());
    let counters = last.frame().counters;
    assert_eq!((counters.requests, counters.answers, counters.errors), (1, 2, 2));
    assert_eq!((counters.bytes_to_target, counters.bytes_to_client), (5, 15));
}

#[test]
fn a_payload_never_shows_in_debug_output() {
    let secret = Bytes::from_static(b"hunter2-secret");
    let sealed = Chain::open(Uuid::nil(), Uuid::nil()).seal(Frame::default(), 1, Some(secret));
    let printed = format!("{sealed:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("Salt(..)"));
}
