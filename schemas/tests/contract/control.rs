//! Signed statements.

use apache_avro::{from_avro_datum, to_avro_datum};
use tapedeck_schemas::schema::CONTROL_TODAY;
use tapedeck_schemas::wire::{Framing, decode_control, encode_control};
use tapedeck_schemas::{
    Control, ControlBody, ControlChain, Digest, Endorsement, Head, SegmentSealed, SessionKey, SignatureError,
    WriterManifest, WriterStarted, WriterStopped,
};
use uuid::Uuid;

pub(crate) fn statements() -> (ControlChain, Vec<Control>) {
    let mut chain = ControlChain::open(Uuid::now_v7());
    let key = SessionKey::of_stranger("t", "127.0.0.1");
    let started = WriterStarted {
        public_key: chain.public_key(),
        instance: "host".into(),
        version: "1".into(),
        endorsement: Some(Endorsement {
            public_key: [3; 32],
            signature: [4; 64],
        }),
    };
    let heads = (0..3)
        .map(|n| Head {
            segment_id: Uuid::from_u128(n),
            session_key: key,
            seq: n as i64,
            head: Digest([9; 32]),
        })
        .collect();
    let bodies = [
        ControlBody::WriterStarted(started),
        ControlBody::SegmentSealed(SegmentSealed {
            segment_id: Uuid::now_v7(),
            session_key: key,
            count: 7,
            head: Digest([5; 32]),
            reason: "idle".into(),
        }),
        ControlBody::WriterManifest(WriterManifest {
            writer_seq: 12,
            heads,
            chunk: 0,
            last: true,
            refusals_not_written: 3,
        }),
        ControlBody::WriterStopped(WriterStopped {
            writer_seq: 12,
            reason: "shutdown".into(),
        }),
    ];
    let signed = bodies
        .into_iter()
        .map(|body| chain.sign(1_700_000_000_000_000, body))
        .collect();
    (chain, signed)
}

#[test]
fn statements_are_dense_chained_and_signed() {
    let (chain, statements) = statements();
    let mut previous = Digest::ZERO;
    for (seq, statement) in statements.iter().enumerate() {
        assert_eq!(statement.control_seq, seq as i64);
        assert_eq!(statement.previous_hash, previous);
        assert_eq!(statement.verify(&chain.public_key()), Ok(()));
        previous = statement.hash();
    }
}

#[test]
fn every_statement_survives_the_wire_and_has_the_reference_implementations_bytes() {
    for statement in statements().1 {
        let record = encode_control(&statement, Framing::SingleObject);
        assert_eq!(decode_control(&record).unwrap(), statement);
        let value = from_avro_datum(&CONTROL_TODAY.schema, &mut &record[10..], None).unwrap();
        assert_eq!(to_avro_datum(&CONTROL_TODAY.schema, value).unwrap(), &record[10..]);
    }
}

#[test]
fn a_change_of_any_byte_of_a_statement_is_found() {
    let (chain, statements) = statements();
    for statement in statements {
        let record = encode_control(&statement, Framing::SingleObject);
        for position in 10..record.len() {
            let mut changed = record.clone();
            changed[position] ^= 0x41;
            if let Ok(changed) = decode_control(&changed) {
                assert_eq!(
                    changed.verify(&chain.public_key()),
                    Err(SignatureError::Signature),
                    "byte {position}"
                );
            }
        }
    }
}

#[test]
fn another_writers_key_does_not_verify() {
    let (_, statements) = statements();
    let other = ControlChain::open(Uuid::now_v7());
    assert_eq!(
        statements[0].verify(&other.public_key()),
        Err(SignatureError::Signature)
    );
}
