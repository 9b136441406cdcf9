//! Cheap looks at the bytes around a place that a mask found.

use super::shapes::{ROW, Shape};
use crate::validate;
use std::{net::Ipv6Addr, str::FromStr};

/// From which length on a row of digits is not searched for card numbers here.
const LONGEST_ROW: usize = 96;

/// The last sixteen bytes and the next forty at most, as long as they are of an address.
pub(super) fn is_ipv6(text: &[u8], at: usize) -> bool {
    let part = |byte: &&u8| byte.is_ascii_hexdigit() || **byte == b':';
    let from = at - text[..at].iter().rev().take(40).take_while(part).count();
    let to = at + text[at..].iter().take(40).take_while(part).count();
    let bytes = &text[from..to];
    // Over raw bytes the letter of an escape may stand in front: \b and \f are hexadecimal digits.
    let reads = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| Ipv6Addr::from_str(text).is_ok());
    bytes.len() >= 4
        && (reads(bytes) || reads(&bytes[1..]) || bytes.ends_with(b":") && reads(&bytes[..bytes.len() - 1]))
}

/// Letters and digits in front, up to 64.
pub(super) fn word_length(text: &[u8]) -> usize {
    text.iter()
        .take(64)
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count()
}

/// Fifteen letters and digits at least, with single spaces between at most, and no word longer than an account number.
pub(super) fn may_be_iban(text: &[u8]) -> bool {
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b' ';
    let letters = text
        .iter()
        .take(42)
        .take_while(part)
        .filter(|byte| **byte != b' ')
        .count();
    letters >= 15 && word_length(text) <= 34
}

/// Whether telephone numbers are written with it.
pub(super) fn is_phone(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'.' | b'(' | b')' | b'/')
}

/// What the row of digits is whose eleventh byte is at `at`.
pub(super) fn rows_at(text: &[u8], at: usize, shape: &mut impl FnMut(usize, Shape)) {
    let from = at + 1 - ROW as usize;
    let text = &text[from..];
    let mut end = 0;
    let mut digits = 0;
    while let Some(byte) = text.get(end) {
        match byte {
            b'0'..=b'9' => digits += 1,
            b' ' | b'-' if end == 0 || text[end - 1].is_ascii_digit() => {}
            _ => break,
        }
        end += 1;
    }
    let row = &text[..end];
    if digits < 9 {
        return;
    }
    shape(at, Shape::Digits);
    let dashed = |bytes: &[u8]| {
        bytes[3] == b'-'
            && bytes[6] == b'-'
            && [0, 1, 2, 4, 5, 7, 8, 9, 10]
                .iter()
                .all(|at| bytes[*at].is_ascii_digit())
    };
    // Wherever it stands in the row: dates and other numbers may stand before it.
    let numbers = row.windows(ROW as usize).enumerate();
    for (start, _) in numbers.filter(|(_, bytes)| dashed(bytes)) {
        shape(from + start + ROW as usize - 1, Shape::Ssn);
    }
    // A longer row is followed by the rule itself.
    if end >= LONGEST_ROW || (digits >= 12 && validate::may_hold_card(row)) {
        shape(at, Shape::Card);
    }
}

/// Whether an exponent follows the digits in front: then they may be those of a longer number.
pub(super) fn has_exponent(text: &[u8]) -> bool {
    let digits = text.iter().take(LONGEST_ROW).take_while(|byte| byte.is_ascii_digit());
    matches!(&text[digits.count()..], [b'e' | b'E', b'+' | b'-' | b'0'..=b'9', ..])
}

/// The character in front, where it is one.
pub(super) fn character(text: &[u8], at: usize) -> Option<char> {
    let rest = &text[at..text.len().min(at + 4)];
    match std::str::from_utf8(rest) {
        Ok(text) => text.chars().next(),
        Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).ok()?.chars().next(),
    }
}
