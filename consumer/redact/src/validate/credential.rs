//! What tells a secret from a word.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use std::ops::Range;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Has a digit beside letters, or is longer than words are.
pub(super) fn is_opaque(found: &str) -> bool {
    let has = |test: fn(&u8) -> bool| found.as_bytes().iter().any(test);
    let worded = found.split(['-', '_', '.', '/']).all(|word| word.len() < 16);
    !is_placeholder(found)
        && (has(u8::is_ascii_digit) && (has(u8::is_ascii_alphabetic) || found.len() >= 16)
            || found.len() >= 24 && !worded)
}

/// Upper case, lower case and digits together, as random base64 has them and hexadecimal does not.
pub(super) fn is_mixed(found: &str) -> bool {
    let has = |test: fn(&u8) -> bool| found.as_bytes().iter().any(test);
    has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
}

pub(super) fn is_basic(found: &str) -> bool {
    [&STANDARD, &URL_SAFE].iter().any(|alphabet| {
        let decoded = GeneralPurpose::new(alphabet, LENIENT).decode(found);
        decoded.is_ok_and(|bytes| std::str::from_utf8(&bytes).is_ok_and(|pair| pair.contains(':')))
    })
}

/// A password, or a name so long that it is one.
pub(super) fn is_telling_userinfo(found: &str) -> bool {
    !is_placeholder(found)
        && (found.len() >= 20 || found.split_once(':').is_some_and(|(_, password)| !password.is_empty()))
}

/// In quotes, or right behind `=`, anything can be a password; behind a colon in prose only what no word looks like.
pub(super) fn is_assigned(text: &str, span: &Range<usize>) -> bool {
    let found = &text[span.clone()];
    let before = text[..span.start].chars().next_back();
    let is_call = text[span.end..].starts_with('(');
    let plain = matches!(before, Some('"' | '\'' | '='));
    let secretive = found.len() >= 6 && found.bytes().any(|byte| byte.is_ascii_digit());
    !is_placeholder(found) && (matches!(before, Some('"' | '\'')) || !is_call && (plain || secretive))
}

/// `<token>`, `${TOKEN}`, `$TOKEN`, `$(cat token)`, `{{ token }}`, `%TOKEN%`, `****`, `....`, `xxxx`: what documentation and templates write.
pub(super) fn is_placeholder(found: &str) -> bool {
    let name = |inner: &str| {
        inner.len() <= 40
            && inner
                .bytes()
                .all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-' | b' ' | b'.'))
    };
    let value = match found.trim().split_once(' ') {
        // A scheme in front: "Bearer <token>".
        Some((scheme, rest)) if rest.starts_with(['<', '$', '{', '*']) && name(scheme) => rest,
        _ => found.trim(),
    };
    let between = |open: &str, close: &str| {
        value
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(name)
    };
    let shouted = |inner: &str| name(inner) && !inner.bytes().any(|b| b.is_ascii_lowercase());
    between("<", ">")
        || between("${", "}")
        || between("{", "}")
        || between("{{", "}}")
        || between("%", "%")
        || value.strip_prefix('$').is_some_and(shouted)
        || value.starts_with("$(") && value.ends_with(')')
        || value.bytes().all(|b| matches!(b, b'*' | b'.' | b'x' | b'X'))
        || is_blank(value)
}

/// `xxxx…` or `0000…`, also behind what tokens of a kind begin with, as in `ghp_xxxxxxxxxxxx`.
fn is_blank(value: &str) -> bool {
    // Where every part is looked at up to the end, a long value would cost too much, and none is blank.
    let parts = value.match_indices(['_', '-', '.']).map(|(at, _)| at + 1);
    value.len() <= 256
        && std::iter::once(0).chain(parts).any(|start| {
            let mut letters = value[start..].bytes().filter(u8::is_ascii_alphanumeric);
            let first = letters.next();
            first.is_some_and(|first| {
                matches!(first, b'x' | b'X' | b'0') && letters.clone().count() > 10 && letters.all(|byte| byte == first)
            })
        })
}
