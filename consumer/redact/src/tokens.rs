//! JSON (RFC 8259) cut into tokens at byte level: positions in the source, no tree, no copies.
//!
//! The grammar is checked to the last byte, because what is not JSON must not pass as JSON that holds nothing.

use std::ops::Range;

/// Why a text could not be walked to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Not one complete JSON text.
    Syntax,
    /// Arrays and objects inside each other beyond the limit.
    TooDeep,
}

/// A piece of a JSON text. Ranges are byte offsets into the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    OpenObject,
    CloseObject,
    OpenArray,
    CloseArray,
    /// A member's name, without its quotes.
    Key(Quoted),
    /// A string value, without its quotes.
    Text(Quoted),
    Number(Range<usize>),
    /// `true`, `false` or `null`.
    Literal,
}

/// The inside of a string as it stands in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quoted {
    pub(crate) span: Range<usize>,
    /// Whether it has a backslash, so that the text differs from the source.
    pub(crate) escaped: bool,
}

/// How many JSON texts a source may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Texts {
    /// Exactly one, of any type.
    One,
    /// One, or several objects and arrays after each other: JSON lines.
    Lines,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrClose,
    KeyOrClose,
    CommaOrClose,
    TopEnd,
}

/// Pulls tokens from a source.
pub(crate) struct Tokens<'s> {
    src: &'s [u8],
    at: usize,
    expect: Expect,
    /// One entry per open container: whether it is an object.
    open: Vec<bool>,
    max_depth: usize,
    texts: Texts,
}

impl<'s> Tokens<'s> {
    pub(crate) fn new(src: &'s str, max_depth: usize, texts: Texts) -> Self {
        Self {
            src: src.as_bytes(),
            at: 0,
            expect: Expect::Value,
            open: Vec::new(),
            max_depth,
            texts,
        }
    }

    /// The next token; `None` after the last one of a complete text.
    pub(crate) fn next(&mut self) -> Result<Option<Token>, Broken> {
        self.skip_space();
        let Some(&byte) = self.src.get(self.at) else {
            return if self.expect == Expect::TopEnd {
                Ok(None)
            } else {
                Err(Broken::Syntax)
            };
        };
        match (self.expect, byte) {
            (Expect::CommaOrClose, b',') => {
                self.at += 1;
                self.skip_space();
                if self.open.last() == Some(&true) {
                    self.key()
                } else {
                    self.value()
                }
            }
            (Expect::CommaOrClose | Expect::KeyOrClose, b'}') => self.close(true),
            (Expect::CommaOrClose | Expect::ValueOrClose, b']') => self.close(false),
            (Expect::KeyOrClose, b'"') => self.key(),
            (Expect::Value | Expect::ValueOrClose, _) => self.value(),
            (Expect::TopEnd, b'{' | b'[') if self.texts == Texts::Lines => self.value(),
            _ => Err(Broken::Syntax),
        }
        .map(Some)
    }

    fn value(&mut self) -> Result<Token, Broken> {
        match self.src.get(self.at) {
            Some(b'{') => self.push(true),
            Some(b'[') => self.push(false),
            Some(b'"') => {
                let quoted = self.quoted()?;
                self.after_value();
                Ok(Token::Text(quoted))
            }
            Some(b'-' | b'0'..=b'9') => {
                let span = self.number()?;
                self.after_value();
                Ok(Token::Number(span))
            }
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(Broken::Syntax),
        }
    }

    fn push(&mut self, object: bool) -> Result<Token, Broken> {
        if self.open.len() >= self.max_depth {
            return Err(Broken::TooDeep);
        }
        self.open.push(object);
        self.at += 1;
        self.expect = if object {
            Expect::KeyOrClose
        } else {
            Expect::ValueOrClose
        };
        Ok(if object { Token::OpenObject } else { Token::OpenArray })
    }

    fn close(&mut self, object: bool) -> Result<Token, Broken> {
        if self.open.pop() != Some(object) {
            return Err(Broken::Syntax);
        }
        self.at += 1;
        self.after_value();
        Ok(if object { Token::CloseObject } else { Token::CloseArray })
    }

    fn after_value(&mut self) {
        self.expect = if self.open.is_empty() {
            Expect::TopEnd
        } else {
            Expect::CommaOrClose
        };
    }

    fn key(&mut self) -> Result<Token, Broken> {
        if self.src.get(self.at) != Some(&b'"') {
            return Err(Broken::Syntax);
        }
        let quoted = self.quoted()?;
        self.skip_space();
        if self.src.get(self.at) != Some(&b':') {
            return Err(Broken::Syntax);
        }
        self.at += 1;
        self.expect = Expect::Value;
        Ok(Token::Key(quoted))
    }

    fn literal(&mut self, word: &[u8]) -> Result<Token, Broken> {
        if !self.src[self.at..].starts_with(word) {
            return Err(Broken::Syntax);
        }
        self.at += word.len();
        self.after_value();
        Ok(Token::Literal)
    }

    fn quoted(&mut self) -> Result<Quoted, Broken> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at += plain_prefix(&self.src[at..]);
            match self.src.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += escape_len(&self.src[at..]).ok_or(Broken::Syntax)?;
                }
                // A bare control character, or the end of the source.
                _ => return Err(Broken::Syntax),
            }
        }
        self.at = at + 1;
        Ok(Quoted {
            span: start..at,
            escaped,
        })
    }

    fn number(&mut self) -> Result<Range<usize>, Broken> {
        let start = self.at;
        self.at += usize::from(self.src[self.at] == b'-');
        match self.digits() {
            0 => return Err(Broken::Syntax),
            n if n > 1 && self.src[self.at - n] == b'0' => return Err(Broken::Syntax),
            _ => {}
        }
        if self.src.get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(Broken::Syntax);
            }
        }
        if let Some(b'e' | b'E') = self.src.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.src.get(self.at), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return Err(Broken::Syntax);
            }
        }
        Ok(start..self.at)
    }

    fn digits(&mut self) -> usize {
        let n = self.src[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += n;
        n
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.src.get(self.at) {
            self.at += 1;
        }
    }
}

/// Length of the escape at the start of `src`, which begins with a backslash. A lone surrogate is allowed: RFC 8259
/// section 8.2 leaves it to the receiver, and dropping a body for it would lose what other parsers accept.
fn escape_len(src: &[u8]) -> Option<usize> {
    match src.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => src.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// Bytes before the first quote, backslash or control character; eight at a time.
fn plain_prefix(src: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at = 0;
    let (words, _) = src.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let stop = has_zero(word ^ (ONES * b'"' as u64)) | has_zero(word ^ (ONES * b'\\' as u64)) | below_space;
        if stop != 0 {
            break;
        }
        at += 8;
    }
    at + src[at..]
        .iter()
        .take_while(|b| **b >= 0x20 && **b != b'"' && **b != b'\\')
        .count()
}

#[cfg(test)]
mod tests;
