//! No bytes make the frame decoder panic, and a frame that it reads, sealed again, is read back as it was written.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tapedeck_schemas::wire::{Framing, decode_control, decode_frame, encode_frame};
use tapedeck_schemas::{Chain, Frame};

/// Avro single-object encoding: two bytes of marker, eight of fingerprint.
const HEADER: usize = 10;

/// The header of today's schema, which the fuzzer would otherwise have to guess.
static TODAY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let frame = Frame::default();
    let sealed = Chain::open(frame.writer_id, frame.segment_id).seal(frame, 0, None);
    encode_frame(&sealed, Framing::SingleObject)[..HEADER].to_vec()
});

fuzz_target!(|data: &[u8]| {
    let _ = decode_control(data);
    let _ = decode_frame(data);
    let Ok(frame) = decode_frame(&[&TODAY[..], data].concat()) else {
        return;
    };
    let _ = frame.verify_hash();

    let payload = frame.payload.as_ref().map(|payload| payload.0.clone());
    let sealed = Chain::open(frame.writer_id, frame.segment_id).seal(frame.clone(), frame.writer_seq, payload);
    let again = decode_frame(&encode_frame(&sealed, Framing::SingleObject)).expect("what was encoded decodes");
    assert_eq!(&again, sealed.frame());
    assert!(again.verify_hash().is_ok());
});
