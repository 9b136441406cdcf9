//! Text inside text: base64 (RFC 4648), hexadecimal, percent-encoding (RFC 3986).

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use std::ops::Range;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Bytes that base64 has to decode to before a run counts as encoded text: those of a social security number.
const SHORTEST: usize = 11;
/// The same of hexadecimal, where they take more room.
const SHORTEST_HEX: usize = 10;
/// Bytes of the run that encodes them in base64.
pub(crate) const SHORTEST_RUN: usize = (SHORTEST * 4).div_ceil(3);

/// Whether the run of base64 or hexadecimal at `from` begins with encoded text, in any phase: it may have been cut.
/// Random bytes do so once in ten thousand runs.
pub(crate) fn begins_like_text(text: &[u8], from: usize) -> bool {
    if let Some(run) = text[from..].first_chunk() {
        return may_begin_like_text(run) && begins(run);
    }
    begins(&text[from..])
}

fn begins(run: &[u8]) -> bool {
    (0..4.min(run.len())).any(|phase| base64_begins(&run[phase..]))
        || (0..2.min(run.len())).any(|phase| hex_begins(&run[phase..]))
}

/// The same for the first few bytes only, and only half of it: whether they are of the alphabet, and what they decode to is
/// ASCII, or has digits of ASCII. Most runs are ids and hashes, and end here.
fn may_begin_like_text(run: &[u8; 24]) -> bool {
    let mut refused = [0; 16];
    for (refused, byte) in refused.iter_mut().zip(run) {
        *refused = REFUSED[usize::from(*byte)];
    }
    let refused = u128::from_le_bytes(refused);
    let base64 = (0..4).any(|phase| refused >> (8 * phase) & BASE64 == 0);
    base64 || (0..2).any(|phase| refused >> (8 * phase) & HEX == 0)
}

/// What speaks against a byte at each place of eight in base64, so that they would encode six bytes of ASCII, …
const BASE64: u128 = 0x0804_0201_0804_0201;
/// … and of twelve in hexadecimal.
const HEX: u128 = 0x2010_2010_2010_2010_2010_2010;

/// What speaks against each byte: in the lowest four bits against standing at that place of four in base64, because a byte
/// that begins in it would be beyond ASCII, or because it is of no alphabet; in the next two, against being the upper and the
/// lower half of a byte in hexadecimal.
const REFUSED: [u8; 256] = {
    let mut refused = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        refused[byte] = match base64_value(byte as u8) {
            None => 0x0F,
            // The highest bits of three bytes, in the first three of four places.
            Some(value) => value >> 5 & 1 | (value >> 3 & 1) << 1 | (value >> 1 & 1) << 2,
        };
        refused[byte] |= match hex_value(byte as u8) {
            None => 0x30,
            // Text has nothing from 0x10 to 0x1F, and nothing from 0x80 on.
            Some(1 | 8..) => 0x10,
            Some(_) => 0,
        };
        byte += 1;
    }
    refused
};

const fn hex_value(byte: u8) -> Option<u8> {
    Some(match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        _ => return None,
    })
}

fn base64_begins(run: &[u8]) -> bool {
    let (mut bits, mut have, mut decoded) = (0_u32, 0, 0);
    for byte in run {
        let Some(value) = base64_value(*byte) else { return false };
        bits = bits << 6 | u32::from(value);
        have += 6;
        if have >= 8 {
            have -= 8;
            if !is_text((bits >> have) as u8) {
                return false;
            }
            decoded += 1;
            if decoded == SHORTEST {
                return true;
            }
        }
    }
    false
}

fn hex_begins(run: &[u8]) -> bool {
    let (pairs, _) = run.as_chunks::<2>();
    pairs.len() >= SHORTEST_HEX
        && pairs
            .iter()
            .take(SHORTEST_HEX)
            .all(|pair| octet(pair).is_some_and(is_text))
}

const fn base64_value(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

const fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')
}

fn octet(pair: &[u8; 2]) -> Option<u8> {
    Some(hex_value(pair[0])? << 4 | hex_value(pair[1])?)
}

/// The run of base64 or hexadecimal around `at`.
pub(crate) fn run_around(text: &[u8], at: usize) -> Range<usize> {
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
    let from = at - text[..at].iter().rev().take_while(part).count();
    let to = at + text[at..].iter().take_while(part).count();
    from..to
}

/// The texts that a run may stand for, each up to its first byte that is none. Not longer than the run.
pub(crate) fn readings(run: &str) -> Vec<String> {
    let mut readings: Vec<String> = Vec::new();
    for phase in (0..4).filter(|phase| *phase < run.len()) {
        let cut = run[phase..].trim_end_matches('=');
        if !base64_begins(cut.as_bytes()) {
            continue;
        }
        // One character beyond a whole number of bytes encodes nothing.
        let cut = if cut.len() % 4 == 1 { &cut[..cut.len() - 1] } else { cut };
        for alphabet in [&STANDARD, &URL_SAFE] {
            if let Ok(bytes) = GeneralPurpose::new(alphabet, LENIENT).decode(cut) {
                readings.push(valid_prefix(bytes));
                break;
            }
        }
    }
    for phase in (0..2).filter(|phase| *phase < run.len()) {
        let bytes = run.as_bytes()[phase..]
            .as_chunks::<2>()
            .0
            .iter()
            .map_while(octet)
            .collect();
        let text = valid_prefix(bytes);
        if text.len() >= SHORTEST_HEX {
            readings.push(text);
        }
    }
    readings
}

fn valid_prefix(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            bytes.truncate(valid);
            String::from_utf8(bytes).unwrap_or_default()
        }
    }
}

/// `text` with its percent-encoded octets decoded, and the way back; `None` if there are none, or they are not UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Option<(String, Vec<(usize, usize)>)> {
    let mut out = Vec::with_capacity(text.len());
    let mut steps = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let decoded = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3)?.first_chunk::<2>().and_then(octet))
            .flatten();
        match decoded {
            Some(octet) => {
                out.push(octet);
                at += 3;
                steps.push((out.len(), at));
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    if steps.is_empty() {
        return None;
    }
    String::from_utf8(out).ok().map(|text| (text, steps))
}

#[cfg(test)]
mod tests {
    use super::{begins, begins_like_text, percent_decoded, readings, run_around};
    use proptest::prelude::*;

    #[test]
    fn encoded_text_is_told_from_hashes_ids_and_pictures() {
        for run in [
            "dGhlIHBhc3N3b3JkIGlzIGh1bnRlcjI=",
            "xdGhlIHBhc3N3b3JkIGlzIGh1bnRlcjI",
            "70617373776f72643d68756e74657232",
        ] {
            assert!(begins_like_text(run.as_bytes(), 0), "{run}");
            assert!(readings(run).iter().any(|text| text.contains("hunter2")), "{run}");
        }
        for run in [
            "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
            "0199f1b6-3c1e-7a2b-9d40-6f2f0c6a1e55",
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
            "/repos/organization/repository-name/pulls",
        ] {
            assert!(!begins_like_text(run.as_bytes(), 0), "{run}");
        }
    }

    #[test]
    fn a_run_ends_where_other_bytes_stand() {
        assert_eq!(run_around(b"a,dGhl== b", 5), 2..8);
    }

    #[test]
    fn percent_encoding_leads_back() {
        let (text, steps) = percent_decoded("a%40b%zz").expect("an octet is encoded");
        assert_eq!((text.as_str(), steps), ("a@b%zz", vec![(2, 4)]));
        assert_eq!(percent_decoded("100 %"), None);
        assert_eq!(percent_decoded("%ff"), None);
    }

    proptest! {
        #[test]
        fn a_first_look_passes_over_nothing_that_begins_like_text(
            run in prop_oneof!["[A-Za-z0-9+/_=-]{20,40}", "([2-7][0-9a-fA-F]){10,20}", "[a-f]?(6[1-9a-f]|7[0-9a]|20){12,20}"],
            text in "[ -~]{18,30}",
            cut in 0_usize..4,
        ) {
            let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
            for run in [run.as_bytes(), &encoded.as_bytes()[cut..]] {
                prop_assert_eq!(begins_like_text(run, 0), begins(&run[..run.len().min(24)]));
            }
        }
    }
}
