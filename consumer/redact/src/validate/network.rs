//! Addresses of devices and people in networks.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
};

/// Country calling codes (ITU-T E.164) of one and two digits; all three-digit codes start with what is missing here.
const SHORT_CODES: [&str; 46] = [
    "1", "7", "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48",
    "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84",
    "86", "90", "91", "92", "93", "94", "95", "98",
];
/// First two digits of the three-digit codes.
const LONG_CODES: [&str; 16] = [
    "21", "22", "23", "24", "25", "26", "29", "35", "37", "38", "42", "50", "59", "67", "85", "96",
];

/// A number of 7 to 15 digits, less its extension behind an `x`; with `+`, of a country that exists. Numbers for fiction (NANP
/// 555-01xx) are nobody's.
pub(super) fn phone(text: &str, span: &Range<usize>) -> bool {
    let found = text[span.clone()].split('x').next().unwrap_or_default();
    let digits: String = found.chars().filter(char::is_ascii_digit).collect();
    if !(7..=15).contains(&digits.len()) || !super::stands_alone(text, span) || begins_with_date(found) {
        return false;
    }
    let national = match found.strip_prefix('+') {
        Some(_) => {
            let short = SHORT_CODES.iter().any(|code| digits.starts_with(code));
            let long = LONG_CODES.iter().any(|code| digits.starts_with(code));
            // With its country, a number has two digits at least before the subscriber's.
            if !(short || long) || digits.len() < 8 || (digits.starts_with('1') && digits.len() != 11) {
                return false;
            }
            digits.strip_prefix('1').unwrap_or_default()
        }
        None => digits.as_str(),
    };
    let fictional = national.len() == 10 && &national[3..8] == "55501";
    let short_fiction = national.len() == 7 && national.starts_with("5550");
    let varied = digits.bytes().any(|byte| byte != digits.as_bytes()[0]);
    // Before the sign of an international number stands nothing that it could add to.
    let sum = found.starts_with('+') && text[..span.start].ends_with(|c: char| c.is_alphanumeric());
    varied && !fictional && !short_fiction && !sum
}

/// Whether a year, a month and a day come first, or a day and a month of two digits each, in either order, and a year.
fn begins_with_date(found: &str) -> bool {
    let mut parts = found.split(|c: char| !c.is_ascii_digit());
    let mut part = || {
        parts
            .next()
            .and_then(|part| Some((part.len(), part.parse::<u32>().ok()?)))
    };
    let (Some(first), Some(second), Some(third)) = (part(), part(), part()) else {
        return false;
    };
    let (year, (a, b)) = match (first, second, third) {
        ((4, year), (2, month), (2, day)) | ((2, day), (2, month), (4, year)) => (year, (day, month)),
        _ => return false,
    };
    (1900..2100).contains(&year) && (1..=31).contains(&a.max(b)) && (1..=12).contains(&a.min(b))
}

/// Reachable from everywhere, and of somebody.
pub(super) fn public_ip(text: &str, span: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let part = |at: Option<usize>| {
        let byte = at.and_then(|at| bytes.get(at));
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    // A fifth number makes it something else; a full stop does not.
    let after = part(Some(span.end)) && (bytes[span.end] != b'.' || part(Some(span.end + 1)));
    if part(span.start.checked_sub(1)) || after {
        return false;
    }
    match text[span.clone()].parse() {
        Ok(IpAddr::V4(address)) => is_public_v4(address),
        Ok(IpAddr::V6(address)) => {
            is_public_v6(address) || is_spelled_out(&text[span.clone()]) && !is_special_v6(address)
        }
        Err(_) => false,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || matches!(a, 0 | 240..=255)
        // Shared by carriers (RFC 6598), and for benchmarks (RFC 2544).
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && matches!(b, 18 | 19))
        // Versions look like the first addresses of the first networks.
        || (a < 4 && b < 30 && address.octets()[2] < 30 && address.octets()[3] < 100))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Global unicast (RFC 4291) but for documentation (RFC 3849).
    let [first, second, ..] = address.segments();
    (0x2000..0x4000).contains(&first) && (first, second) != (0x2001, 0xDB8)
}

/// Eight groups, most of them too long for pairs of digits: nothing else looks like it.
fn is_spelled_out(found: &str) -> bool {
    found.split(':').filter(|group| group.len() > 2).count() >= 5 && !found.contains("::")
}

/// Local, of one link, to many, for documentation, or of a block with a meaning of its own (RFC 4291, RFC 4193, RFC 3849).
fn is_special_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    matches!(first >> 8, 0x00 | 0xFC..=0xFF) || (first, second) == (0x2001, 0xDB8)
}

/// Six pairs, neither none nor all, and no longer row.
pub(super) fn mac(text: &str, span: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let found = &bytes[span.clone()];
    let joins = |at: Option<usize>| matches!(at.and_then(|at| bytes.get(at)), Some(b':' | b'-'));
    let hex = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_hexdigit);
    let longer = joins(span.start.checked_sub(1)) && hex(span.start.checked_sub(2))
        || joins(Some(span.end)) && hex(Some(span.end + 1));
    let all = |wanted: &[u8]| {
        found
            .iter()
            .filter(|byte| byte.is_ascii_hexdigit())
            .all(|byte| wanted.contains(byte))
    };
    !longer && !all(b"0") && !all(b"fF")
}
