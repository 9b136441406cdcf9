//! Payment card numbers.

use std::ops::Range;

/// Digits that a card number has at least and at most.
const SHORTEST: usize = 12;
const LONGEST: usize = 19;

/// Finds card numbers in a row of digits that single spaces or dashes cut into groups. A number starts and ends with a
/// group: what begins in the middle of a longer digit string is an id.
pub(super) fn cards(text: &str, row: Range<usize>, mut accept: impl FnMut(Range<usize>)) {
    candidates(text.as_bytes(), row, |span, separator| {
        if stands_alone(text, &span, separator) {
            accept(span);
        }
    });
}

/// Whether a row of digits, with at most one space or dash between any two, holds a card number, whatever stands around.
pub(crate) fn may_hold_card(row: &[u8]) -> bool {
    let mut found = false;
    candidates(row, 0..row.len(), |_, _| found = true);
    found
}

fn candidates(text: &[u8], row: Range<usize>, mut accept: impl FnMut(Range<usize>, Option<u8>)) {
    // One group: most rows are ids and times.
    if let Some(bytes) = text.get(row.clone())
        && bytes.iter().all(u8::is_ascii_digit)
    {
        let mut digits = [0; LONGEST];
        if let Some(digits) = digits.get_mut(..bytes.len()) {
            digits
                .iter_mut()
                .zip(bytes)
                .for_each(|(digit, byte)| *digit = byte - b'0');
            if is_card(digits) {
                accept(row, None);
            }
        }
        return;
    }
    let groups = groups(text, row);
    for first in 0..groups.len() {
        let mut digits = Vec::with_capacity(2 * LONGEST);
        let mut separator = None;
        for last in first..groups.len() {
            let group = &groups[last];
            if last > first {
                // One kind of separator, and groups as issuers print them: four digits first, none under three.
                let between = text[group.start - 1];
                if *separator.get_or_insert(between) != between || groups[first].len() != 4 {
                    break;
                }
            }
            digits.extend(text[group.clone()].iter().map(|byte| byte - b'0'));
            if digits.len() > LONGEST {
                break;
            }
            let span = groups[first].start..group.end;
            if is_card(&digits) {
                accept(span, separator);
            }
            if last > first && group.len() < 3 {
                break;
            }
        }
    }
}

fn groups(text: &[u8], row: Range<usize>) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut start = row.start;
    for at in row.clone() {
        if !text[at].is_ascii_digit() {
            groups.push(start..at);
            start = at + 1;
        }
    }
    groups.push(start..row.end);
    groups.retain(|group| !group.is_empty());
    groups
}

fn stands_alone(text: &str, span: &Range<usize>, separator: Option<u8>) -> bool {
    let bytes = text.as_bytes();
    let dashed = separator == Some(b'-')
        && (bytes[..span.start].last() == Some(&b'-')
            || bytes.get(span.end) == Some(&b'-') && bytes.get(span.end + 1).is_some_and(u8::is_ascii_alphanumeric));
    !dashed
        && !super::is_part_of_word(text, span)
        && !super::is_part_of_decimal(text, span)
        && !super::is_in_uuid(text, span)
}

/// Issuer and length first: they exclude most ids before the sum is worth its time.
fn is_card(digits: &[u8]) -> bool {
    digits.len() >= SHORTEST && is_issued(digits) && luhn(digits)
}

/// Issuer identification numbers and the lengths that go with them.
fn is_issued(digits: &[u8]) -> bool {
    let prefix = digits[..6]
        .iter()
        .fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let len = digits.len();
    match prefix {
        // Visa
        400_000..=499_999 => matches!(len, 13 | 16 | 19),
        // Mastercard
        510_000..=559_999 | 222_100..=272_099 => len == 16,
        // American Express
        340_000..=349_999 | 370_000..=379_999 => len == 15,
        // Diners Club
        300_000..=305_999 | 309_500..=309_599 | 360_000..=369_999 | 380_000..=399_999 => (14..=19).contains(&len),
        // JCB
        352_800..=358_999 => (16..=19).contains(&len),
        // Discover
        601_100..=601_199 | 644_000..=659_999 => (16..=19).contains(&len),
        // UnionPay
        620_000..=629_999 | 810_000..=817_199 => (16..=19).contains(&len),
        // Mir
        220_000..=220_499 => (16..=19).contains(&len),
        // Maestro
        501_800..=501_899 | 502_000..=502_099 | 503_800..=503_899 | 589_300..=589_399 => true,
        630_400..=630_499 | 675_900..=675_999 | 676_100..=676_399 => true,
        _ => false,
    }
}

/// ISO/IEC 7812-1 annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match u32::from(*digit) << (place % 2) {
            doubled @ 10.. => doubled - 9,
            digit => digit,
        })
        .sum();
    sum.is_multiple_of(10)
}
