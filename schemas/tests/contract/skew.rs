//! Old and new side by side: whatever was released can read what is written today, and the reverse.

use apache_avro::types::Value;
use apache_avro::{Schema, from_avro_datum, to_avro_datum};
use proptest::prelude::*;
use tapedeck_schemas::schema::{self, RELEASES, Released};
use tapedeck_schemas::wire::{
    DecodeError, Framing, SchemaIds, decode_control_by, decode_frame, decode_frame_by, encode_control, encode_frame,
    registry_id,
};

use crate::arbitrary;

/// Bytes of a single-object header.
const HEADER: usize = 10;

/// The released schemas of a kind of record, and today's.
fn pairs(of: &str, today: &'static str) -> Vec<(Schema, Schema)> {
    let read = |text: &str| Schema::parse_str(text).expect("a schema");
    let released: Vec<_> = RELEASES.iter().filter(|release| release.of == of).collect();
    assert!(!released.is_empty(), "{of} was released");
    released
        .iter()
        .map(|release| (read(release.text), read(today)))
        .collect()
}

/// A record's body as a reader with another schema sees it, and back again under that schema.
fn seen_by(reader: &Schema, writer: &Schema, body: &[u8]) -> Value {
    let mut rest = body;
    let value = from_avro_datum(writer, &mut rest, Some(reader)).expect("schemas that resolve");
    assert!(rest.is_empty(), "all of it was read");
    value
}

#[test]
fn versions_are_dense_and_every_release_has_its_golden_record() {
    for (of, _) in schema::ALL {
        let of = of.trim_end_matches(".avsc");
        let versions: Vec<u32> = RELEASES
            .iter()
            .filter(|one| one.of == of)
            .map(|one| one.version)
            .collect();
        assert_eq!(versions, (1..=versions.len() as u32).collect::<Vec<_>>(), "{of}");
    }
    for release in RELEASES
        .iter()
        .filter(|release| matches!(release.of, "frame" | "control"))
    {
        let record = crate::golden::golden(&format!("{}-{}.hex", release.of, release.version));
        let released = Released::read(release.text).expect("a schema");
        assert_eq!(
            record[2..HEADER],
            released.fingerprint,
            "{} was changed after its release",
            release.of
        );
    }
}

#[test]
fn todays_statements_are_read_by_every_release_and_theirs_today() {
    let (_, statements) = crate::control::statements();
    let pairs = pairs("control", schema::CONTROL);
    for (control, (released, today)) in statements
        .iter()
        .flat_map(|one| pairs.iter().map(move |pair| (one, pair)))
    {
        let record = encode_control(control, Framing::SingleObject);
        let old = seen_by(released, today, &record[HEADER..]);
        let written = to_avro_datum(released, old).expect("it fits the schema that it was read by");
        let mut ids = SchemaIds::default();
        ids.insert(7, &released.canonical_form()).expect("a schema");
        let framed = [&[0, 0, 0, 0, 7][..], &written].concat();
        assert_eq!(&decode_control_by(&framed, &ids).expect("a statement"), control);
    }
}

proptest! {
    #[test]
    fn todays_frames_are_read_by_every_release_and_theirs_today(sealed in arbitrary::sealed()) {
        let record = encode_frame(&sealed, Framing::SingleObject);
        for (released, today) in pairs("frame", schema::FRAME) {
            let old = seen_by(&released, &today, &record[HEADER..]);
            // What an old proxy would have written, read today.
            let written = to_avro_datum(&released, old).expect("it fits the schema that it was read by");
            let mut ids = SchemaIds::default();
            ids.insert(7, &released.canonical_form()).expect("a schema");
            let framed = [&[0, 0, 0, 0, 7][..], &written].concat();
            prop_assert_eq!(decode_frame_by(&framed, &ids).expect("a frame").frame_hash, sealed.frame().frame_hash);
        }
    }

    #[test]
    fn a_registrys_header_carries_the_same_frame(sealed in arbitrary::sealed(), id in any::<u32>()) {
        let record = encode_frame(&sealed, Framing::Registry(id));
        prop_assert_eq!(registry_id(&record), Some(id));
        prop_assert!(matches!(decode_frame_by(&record, &SchemaIds::default()), Err(DecodeError::NoHeader)));
        let mut ids = SchemaIds::default();
        ids.insert(id, schema::FRAME).expect("a schema");
        prop_assert_eq!(&decode_frame_by(&record, &ids).expect("a frame"), sealed.frame());
        let plain = encode_frame(&sealed, Framing::SingleObject);
        prop_assert_eq!(&decode_frame_by(&plain, &ids).expect("a frame"), sealed.frame());
    }

    /// A release to come: a field more, with a default. Without a registry its fingerprint is unknown, and the record a dead
    /// letter until the reader is upgraded; with one it is read, without the field.
    #[test]
    fn a_newer_writers_frames_are_read_where_a_registry_has_their_schema(sealed in arbitrary::sealed()) {
        let mut newer: serde_json::Value = serde_json::from_str(schema::FRAME).expect("JSON");
        let fields = newer["fields"].as_array_mut().expect("fields");
        fields.push(serde_json::json!({ "name": "mood", "type": "string", "default": "calm" }));
        let newer = newer.to_string();
        let (writer, today) = (Schema::parse_str(&newer).expect("a schema"), Schema::parse_str(schema::FRAME).expect("a schema"));
        let record = encode_frame(&sealed, Framing::SingleObject);
        let written = to_avro_datum(&writer, seen_by(&writer, &today, &record[HEADER..])).expect("a default");

        let fingerprint = Released::read(&newer).expect("a schema").fingerprint;
        let alone = [&[0xC3, 0x01][..], &fingerprint, &written].concat();
        prop_assert!(matches!(decode_frame(&alone), Err(DecodeError::UnknownSchema(_))));
        let mut ids = SchemaIds::default();
        ids.insert(8, &newer).expect("a schema");
        let registered = [&[0, 0, 0, 0, 8][..], &written].concat();
        let read = decode_frame_by(&registered, &ids).expect("a frame");
        prop_assert_eq!(&read, sealed.frame());
        prop_assert_eq!(read.verify_hash(), Ok(()));
    }
}
