//! The codec against `apache-avro`, the reference implementation.

use apache_avro::{from_avro_datum, to_avro_datum};
use proptest::prelude::*;
use tapedeck_schemas::schema::FRAME_TODAY;
use tapedeck_schemas::wire::{DecodeError, Framing, Malformed, decode_frame, encode_frame};

use crate::arbitrary::sealed;

proptest! {
    #[test]
    fn a_frame_has_the_bytes_that_the_reference_implementation_gives_it(frame in sealed()) {
        let record = encode_frame(&frame, Framing::SingleObject);
        let body = &record[10..];
        let mut rest = body;
        let value = from_avro_datum(&FRAME_TODAY.schema, &mut rest, None).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(to_avro_datum(&FRAME_TODAY.schema, value).unwrap(), body);
    }

    #[test]
    fn what_is_decoded_is_what_was_encoded(frame in sealed()) {
        let record = encode_frame(&frame, Framing::SingleObject);
        prop_assert_eq!(&decode_frame(&record).unwrap(), frame.frame());
    }

    #[test]
    fn a_record_cut_anywhere_is_refused(frame in sealed(), at in any::<prop::sample::Index>()) {
        let record = encode_frame(&frame, Framing::SingleObject);
        prop_assert!(decode_frame(&record[..at.index(record.len())]).is_err());
    }

    #[test]
    fn a_record_with_something_behind_it_is_refused(frame in sealed(), more in 1_usize..9) {
        let mut record = encode_frame(&frame, Framing::SingleObject);
        record.resize(record.len() + more, 0);
        match decode_frame(&record) {
            Err(DecodeError::Malformed(Malformed::Trailing(extra))) => prop_assert_eq!(extra, more),
            other => prop_assert!(false, "{:?}", other.map(|_| ())),
        }
    }

    #[test]
    fn foreign_bytes_are_refused_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(decode_frame(&body).is_err() || body.starts_with(&[0xC3, 0x01]));
        let mut record = vec![0xC3, 0x01];
        record.extend_from_slice(&FRAME_TODAY.fingerprint);
        record.extend_from_slice(&body);
        // Random bytes may be a frame by chance; then they must have a canonical form that decodes to the same.
        if let Ok(frame) = decode_frame(&record) {
            prop_assert_eq!(frame.verify_hash().is_ok(), false);
        }
    }
}

#[test]
fn a_record_of_an_unknown_schema_says_that_the_reader_is_too_old() {
    let mut record = vec![0xC3, 0x01];
    record.extend_from_slice(&[7; 8]);
    let error = decode_frame(&record).unwrap_err();
    assert_eq!(error.reason(), "unknown_schema");
    assert!(error.to_string().contains("upgrade this reader"), "{error}");
}
