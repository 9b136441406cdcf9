//! What a JSON string says, and where each character of it stands in the source.

use std::borrow::Cow;

/// A decoded string with the way back to its source.
pub(crate) struct Decoded<'s> {
    pub(crate) text: Cow<'s, str>,
    /// After each escape: (offset in the text, offset in the source). Between two entries both advance alike.
    ///
    /// Invariant: ascending in both, and every entry is a character boundary on both sides.
    steps: Vec<(usize, usize)>,
}

impl<'s> Decoded<'s> {
    /// `source` is the inside of a JSON string whose escapes have been checked.
    pub(crate) fn new(source: &'s str) -> Self {
        if memchr::memchr(b'\\', source.as_bytes()).is_none() {
            return Self {
                text: Cow::Borrowed(source),
                steps: Vec::new(),
            };
        }
        let mut text = String::with_capacity(source.len());
        let mut steps = Vec::new();
        let mut at = 0;
        while let Some(plain) = memchr::memchr(b'\\', &source.as_bytes()[at..]) {
            text.push_str(&source[at..at + plain]);
            at += plain;
            let (character, len) = unescape(&source.as_bytes()[at..]);
            text.push(character);
            at += len;
            steps.push((text.len(), at));
        }
        text.push_str(&source[at..]);
        Self {
            text: Cow::Owned(text),
            steps,
        }
    }

    /// A text that has no escapes, as it stands.
    pub(crate) fn plain(source: &'s str) -> Self {
        Self {
            text: Cow::Borrowed(source),
            steps: Vec::new(),
        }
    }

    /// Where the character boundary `offset` of the text stands in the source.
    pub(crate) fn source(&self, offset: usize) -> usize {
        match self.steps.partition_point(|(text, _)| *text <= offset) {
            0 => offset,
            n => {
                let (text, source) = self.steps[n - 1];
                source + (offset - text)
            }
        }
    }
}

/// The character an escape stands for, and its length in the source. A lone surrogate reads as U+FFFD, one character
/// for six bytes: it is never a part of what a rule looks for, and it stays as it is in the source.
fn unescape(src: &[u8]) -> (char, usize) {
    match src.get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => match (unit(src), src.get(6..).and_then(unit_escape)) {
            (high @ 0xD800..0xDC00, Some(low @ 0xDC00..0xE000)) => {
                let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            }
            (code, _) => (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
        },
        Some(&other) => (char::from(other), 2),
        None => (char::REPLACEMENT_CHARACTER, src.len()),
    }
}

fn unit_escape(src: &[u8]) -> Option<u32> {
    src.starts_with(b"\\u").then(|| unit(src))
}

fn unit(src: &[u8]) -> u32 {
    src.iter()
        .skip(2)
        .take(4)
        .fold(0, |code, byte| code * 16 + char::from(*byte).to_digit(16).unwrap_or(0))
}

/// `text` as it has to stand inside a JSON string.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::{Decoded, escape};
    use proptest::prelude::*;

    #[test]
    fn every_escape_reads_as_its_character() {
        let source = r#"\"\\\/\b\f\n\r\t\u0040\ud83d\ude00\ud800x"#;
        assert_eq!(Decoded::new(source).text, "\"\\/\u{8}\u{c}\n\r\t@\u{1f600}\u{fffd}x");
    }

    #[test]
    fn offsets_lead_to_the_start_of_the_escape() {
        let decoded = Decoded::new(r"a\u0040b\nc");
        assert_eq!(decoded.text, "a@b\nc");
        assert_eq!([0, 1, 2, 3, 4, 5].map(|at| decoded.source(at)), [0, 1, 7, 8, 10, 11]);
    }

    proptest! {
        #[test]
        fn escaping_is_undone_by_decoding(text in any::<String>()) {
            let source = escape(&text).into_owned();
            let decoded = Decoded::new(&source);
            prop_assert_eq!(decoded.text.as_ref(), text.as_str());
            for (at, c) in text.char_indices() {
                prop_assert_eq!(Decoded::new(&source[decoded.source(at)..decoded.source(at + c.len_utf8())]).text, c.to_string());
            }
        }
    }
}
