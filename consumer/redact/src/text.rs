//! What a JSON string says, and where each character of it stands in the source.

use crate::block::{self, Block, Lanes, WIDTH, Work};
use std::{borrow::Cow, ops::Range};

/// A decoded string with the way back to its source.
pub(crate) struct Decoded<'s> {
    pub(crate) text: Cow<'s, str>,
    /// After each escape: (offset in the text, offset in the source). Between two entries both advance alike.
    ///
    /// Invariant: ascending in both, and every entry is a character boundary on both sides.
    steps: Vec<(u32, u32)>,
    /// Whether there are escapes that a search of the source does not see through: `\u` and `\/`.
    hides: bool,
}

impl<'s> Decoded<'s> {
    /// `source` is the inside of a JSON string whose escapes have been checked; it is shorter than 4 GiB, as offsets of hits are.
    pub(crate) fn new(source: &'s str) -> Self {
        match memchr::memchr(b'\\', source.as_bytes()) {
            None => Self::plain(source),
            Some(first) => block::run(Decode { source, first }),
        }
    }

    /// A text that has no escapes, as it stands.
    pub(crate) fn plain(source: &'s str) -> Self {
        Self {
            text: Cow::Borrowed(source),
            steps: Vec::new(),
            hides: false,
        }
    }

    /// Whether hits in the source are those of the text: where it hides nothing.
    pub(crate) fn hides(&self) -> bool {
        self.hides
    }

    /// Where the characters stand in the text that are at these ascending offsets of the source. Of an escape, any byte will do.
    pub(crate) fn offsets(&self, sources: impl Iterator<Item = usize>) -> impl Iterator<Item = usize> {
        let mut next = 0;
        sources.map(move |source| {
            while self.steps.get(next).is_some_and(|(_, step)| *step as usize <= source) {
                next += 1;
            }
            let (text, step) = if next == 0 { (0, 0) } else { self.steps[next - 1] };
            let at = text as usize + (source - step as usize);
            // What an escape stands for ends with its step.
            self.steps.get(next).map_or(at, |(text, _)| at.min(*text as usize - 1))
        })
    }

    /// Where the character boundary `offset` of the text stands in the source.
    pub(crate) fn source(&self, offset: usize) -> usize {
        match self.steps.partition_point(|(text, _)| *text as usize <= offset) {
            0 => offset,
            n => {
                let (text, source) = self.steps[n - 1];
                source as usize + (offset - text as usize)
            }
        }
    }
}

/// Bytes that are copied at once, as long as there are so many.
const PIECE: usize = 32;
/// Steps that there is room for from the beginning, at most.
const STEPS: usize = 1024;

/// A string, and where its first backslash is.
struct Decode<'s> {
    source: &'s str,
    first: usize,
}

impl<'s> Work for Decode<'s> {
    type Out = Decoded<'s>;

    #[inline(always)]
    fn run<L: Lanes>(self) -> Decoded<'s> {
        let source = self.source.as_bytes();
        let mut text = Vec::with_capacity(source.len() + PIECE);
        let mut steps = Vec::with_capacity(STEPS.min(source.len() / 8));
        let mut hides = false;
        // All before this is in the text.
        let mut at = 0;
        for start in (self.first / WIDTH * WIDTH..source.len()).step_by(WIDTH) {
            let behind = |mask: u64, at: usize| match at.saturating_sub(start) {
                bytes @ 0..WIDTH => mask & u64::MAX << bytes,
                _ => 0,
            };
            let mut backslashes = behind(Block::<L>::at(source, start).is(b'\\'), at);
            while backslashes != 0 {
                let escape = start + backslashes.trailing_zeros() as usize;
                copy(source, at..escape, &mut text);
                hides |= matches!(source.get(escape + 1), Some(b'u' | b'/'));
                at = escape + unescape(&source[escape..], &mut text);
                steps.push((text.len() as u32, at as u32));
                backslashes = behind(backslashes, at);
            }
        }
        copy(source, at..source.len(), &mut text);
        Decoded {
            text: Cow::Owned(
                String::from_utf8(text).expect("escapes and what stands between them are whole characters"),
            ),
            steps,
            hides,
        }
    }
}

/// Appends a part of `source`: most are short, and cost least if as many bytes are copied each time.
#[inline(always)]
fn copy(source: &[u8], part: Range<usize>, to: &mut Vec<u8>) {
    let end = to.len() + part.len();
    match source[part.start..].first_chunk::<PIECE>() {
        Some(piece) if part.len() <= PIECE => {
            to.extend_from_slice(piece);
            to.truncate(end);
        }
        _ => to.extend_from_slice(&source[part]),
    }
}

/// Appends the character an escape stands for; its length in the source. A lone surrogate reads as U+FFFD, one character
/// for six bytes: it is never a part of what a rule looks for, and it stays as it is in the source. What is no escape, as
/// where a window of a long string begins in the middle of one, reads as it stands.
#[inline(always)]
fn unescape(src: &[u8], to: &mut Vec<u8>) -> usize {
    let byte = match src.get(1) {
        Some(b'b') => 0x8,
        Some(b'f') => 0xC,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => {
            let (character, length) = unit_at(src);
            to.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return length;
        }
        Some(&other) if other.is_ascii() => other,
        _ => {
            to.push(b'\\');
            return 1;
        }
    };
    to.push(byte);
    2
}

/// The character that `\u` and four digits stand for, or two of them in a row, and their length.
#[cold]
fn unit_at(src: &[u8]) -> (char, usize) {
    let (code, length) = match (unit(src), src.get(6..).and_then(unit)) {
        (Some(high @ 0xD800..0xDC00), Some(low @ 0xDC00..0xE000)) => {
            (0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00), 12)
        }
        (Some(code), _) => (code, 6),
        (None, _) => (u32::from(b'u'), 2),
    };
    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), length)
}

fn unit(src: &[u8]) -> Option<u32> {
    let hex = src.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    hex.iter()
        .try_fold(0, |code, byte| Some(code * 16 + char::from(*byte).to_digit(16)?))
}

/// `text` as it has to stand inside a JSON string.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    // All of it, and no way out in between: that takes few instructions.
    if !text
        .bytes()
        .fold(false, |any, b| any | (b < 0x20) | (b == b'"') | (b == b'\\'))
    {
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
        let offsets: Vec<usize> = decoded.offsets([0, 1, 2, 6, 7, 8, 9, 10].into_iter()).collect();
        assert_eq!(offsets, [0, 1, 1, 1, 2, 3, 3, 4]);
        assert!(decoded.hides() && !Decoded::new(r#"a\"\nb"#).hides());
    }

    proptest! {
        #[test]
        fn escaping_is_undone_by_decoding(text in any::<String>()) {
            let source = escape(&text).into_owned();
            let decoded = Decoded::new(&source);
            prop_assert_eq!(decoded.text.as_ref(), text.as_str());
            for (at, c) in text.char_indices() {
                prop_assert_eq!(Decoded::new(&source[decoded.source(at)..decoded.source(at + c.len_utf8())]).text, c.to_string());
                prop_assert_eq!(decoded.offsets([decoded.source(at)].into_iter()).next(), Some(at));
            }
        }
    }
}
