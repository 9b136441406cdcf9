//! Every split of a message gives the same envelope; it is JSON exactly if `serde_json` says so; and what a client may
//! send means the same from a target.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use tapedeck_fuzz::chunks;
use tapedeck_wire::envelope::{Envelope, EnvelopeScanner, Limits};

const PARSE_ERROR: i64 = -32700;

fuzz_target!(|data: &[u8]| {
    let [seed, message @ ..] = data else { return };
    let mut scanner = EnvelopeScanner::new(Limits::CLIENT);
    for chunk in chunks(message, *seed) {
        // A scanner that failed says so again at the end.
        let _ = scanner.push(chunk);
        let _ = scanner.so_far();
    }
    let split = scanner.finish();
    let whole = Envelope::scan(message, Limits::CLIENT);
    assert_eq!(split, whole);

    let is_json = serde_json::from_slice::<&RawValue>(message).is_ok();
    match whole {
        Ok(envelope) => {
            assert!(is_json);
            assert!(!envelope.ambiguous);
            assert_eq!(Envelope::scan(message, Limits::TARGET), Ok(envelope));
        }
        Err(error) => assert!(error.code() != PARSE_ERROR || !is_json),
    }
});
