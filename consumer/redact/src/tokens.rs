//! JSON (RFC 8259) cut into tokens at byte level: positions in the source, no tree, no copies.
//!
//! The grammar is checked to the last byte, because what is not JSON must not pass as JSON that holds nothing.
//!
//! The source is classified 64 bytes at a time. What is left to look at one by one are quotes, structural characters
//! and the beginnings of numbers and literals; the inside of a string costs nothing more.

mod check;
mod open;
mod scanner;

pub(crate) use check::check;

use open::Open;
use scanner::Scanner;
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
    Key(Range<usize>),
    /// A string value, without its quotes.
    Text(Range<usize>),
    Number(Range<usize>),
    /// `true`, `false` or `null`.
    Literal,
}

/// How many JSON texts a source may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Texts {
    /// Exactly one, of any type.
    One,
    /// One, or several objects and arrays after each other: JSON lines.
    Lines,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrClose,
    Key,
    KeyOrClose,
    CommaOrClose,
    TopEnd,
}

/// How far a text was read: what goes on with it needs to know no more.
#[derive(Debug)]
pub(crate) struct Progress {
    expect: Expect,
    open: Open,
    texts: Texts,
}

impl Progress {
    /// The beginning.
    pub(crate) fn new(texts: Texts) -> Self {
        Self {
            expect: Expect::Value,
            open: Open::default(),
            texts,
        }
    }

    /// Whether nothing was read.
    pub(crate) fn is_new(&self) -> bool {
        self.expect == Expect::Value && self.open.is_empty()
    }

    /// How many texts it may be.
    pub(crate) fn texts(&self) -> Texts {
        self.texts
    }

    /// Whether a string can stand here that is no name.
    pub(crate) fn expects_text(&self) -> bool {
        matches!(self.expect, Expect::Value | Expect::ValueOrClose)
    }

    /// A value ends here.
    pub(crate) fn after_value(&mut self) {
        self.expect = if self.open.is_empty() {
            Expect::TopEnd
        } else {
            Expect::CommaOrClose
        };
    }
}

/// Pulls tokens from a source.
pub(crate) struct Tokens<'s> {
    src: &'s [u8],
    scanner: Scanner<'s>,
    progress: Progress,
    max_depth: usize,
    /// Whether the text ends with the source.
    is_last: bool,
}

impl<'s> Tokens<'s> {
    /// Goes on with a text, at a place outside of strings, numbers and literals.
    pub(crate) fn resume(src: &'s str, progress: Progress, max_depth: usize, is_last: bool) -> Self {
        Self {
            src: src.as_bytes(),
            scanner: Scanner::new(src.as_bytes()),
            progress,
            max_depth,
            is_last,
        }
    }

    /// How far it was read.
    pub(crate) fn pause(self) -> Progress {
        self.progress
    }

    /// The next token; `None` after the last one of a complete text, or where the source ends before the text.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Token>, Broken> {
        let Some(mut at) = self.scanner.next()? else {
            return self.end();
        };
        if self.progress.expect == Expect::CommaOrClose && self.src[at] == b',' {
            let in_object = self.progress.open.is_object();
            self.progress.expect = if in_object { Expect::Key } else { Expect::Value };
            at = match self.scanner.next()? {
                Some(at) => at,
                None => return self.end(),
            };
        }
        match (self.progress.expect, self.src[at]) {
            (Expect::Key | Expect::KeyOrClose, b'"') => self.key(at),
            (Expect::Value | Expect::ValueOrClose, b'"') => {
                let span = self.quoted(at)?;
                self.progress.after_value();
                Ok(Token::Text(span))
            }
            (Expect::CommaOrClose | Expect::KeyOrClose, b'}') => self.close(true),
            (Expect::CommaOrClose | Expect::ValueOrClose, b']') => self.close(false),
            (Expect::Value | Expect::ValueOrClose, _) => self.value(at),
            (Expect::TopEnd, b'{' | b'[') if self.progress.texts == Texts::Lines => self.value(at),
            _ => Err(Broken::Syntax),
        }
        .map(Some)
    }

    fn end(&self) -> Result<Option<Token>, Broken> {
        if self.is_last && self.progress.expect != Expect::TopEnd {
            return Err(Broken::Syntax);
        }
        Ok(None)
    }

    /// A position that has to be there.
    fn more(&mut self) -> Result<usize, Broken> {
        self.scanner.next()?.ok_or(Broken::Syntax)
    }

    fn value(&mut self, at: usize) -> Result<Token, Broken> {
        match self.src[at] {
            b'{' => self.push(true),
            b'[' => self.push(false),
            b'-' | b'0'..=b'9' => {
                let end = number_end(self.src, at).ok_or(Broken::Syntax)?;
                self.progress.after_value();
                Ok(Token::Number(at..end))
            }
            _ if starts_literal(self.src, at) => {
                self.progress.after_value();
                Ok(Token::Literal)
            }
            _ => Err(Broken::Syntax),
        }
    }

    fn push(&mut self, object: bool) -> Result<Token, Broken> {
        if self.progress.open.len() >= self.max_depth {
            return Err(Broken::TooDeep);
        }
        self.progress.open.push(object);
        self.progress.expect = if object {
            Expect::KeyOrClose
        } else {
            Expect::ValueOrClose
        };
        Ok(if object { Token::OpenObject } else { Token::OpenArray })
    }

    fn close(&mut self, object: bool) -> Result<Token, Broken> {
        if self.progress.open.pop() != Some(object) {
            return Err(Broken::Syntax);
        }
        self.progress.after_value();
        Ok(if object { Token::CloseObject } else { Token::CloseArray })
    }

    fn key(&mut self, at: usize) -> Result<Token, Broken> {
        let span = self.quoted(at)?;
        if self.src[self.more()?] != b':' {
            return Err(Broken::Syntax);
        }
        self.progress.expect = Expect::Value;
        Ok(Token::Key(span))
    }

    /// The inside of the string whose quote is at `at`: nothing is reported between its quotes.
    fn quoted(&mut self, at: usize) -> Result<Range<usize>, Broken> {
        Ok(at + 1..self.more()?)
    }
}

/// Where a text that goes on can be cut.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    /// The last comma outside of strings.
    pub(crate) comma: Option<usize>,
    /// The quote that begins a string which has not ended.
    pub(crate) quote: Option<usize>,
}

/// The places to cut a source that begins outside of strings, up to where it is no JSON: whoever walks it finds that out.
pub(crate) fn stops(src: &str) -> Stops {
    let mut scanner = Scanner::new(src.as_bytes());
    let mut stops = Stops::default();
    while let Ok(Some(at)) = scanner.next() {
        match src.as_bytes()[at] {
            b'"' if stops.quote.is_some() => stops.quote = None,
            b'"' => stops.quote = Some(at),
            b',' => stops.comma = Some(at),
            _ => {}
        }
    }
    stops
}

/// Where a string ends whose inside begins with `src`: the place of its quote. `None` if that has not come yet, with how
/// much was looked at: escapes are looked at when they are whole.
pub(crate) fn string_end(src: &[u8]) -> Result<(Option<usize>, usize), Broken> {
    let mut at = 0;
    while let Some(byte) = src.get(at) {
        match byte {
            b'"' => return Ok((Some(at), at)),
            b'\\' => match (src.get(at + 1), src.get(at + 2..at + 6)) {
                (Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'), _) => at += 2,
                (Some(b'u'), Some(hex)) if hex.iter().all(u8::is_ascii_hexdigit) => at += 6,
                (None, _) | (Some(b'u'), None) => break,
                _ => return Err(Broken::Syntax),
            },
            0..b' ' => return Err(Broken::Syntax),
            _ => at += 1,
        }
    }
    Ok((None, at))
}

/// Where the number (RFC 8259 section 6) that starts at `start` ends, if it is one.
fn number_end(src: &[u8], start: usize) -> Option<usize> {
    let digits = |from: usize| from + src[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = start + usize::from(src[start] == b'-');
    let mut at = digits(whole);
    if at == whole || (at - whole > 1 && src[whole] == b'0') {
        return None;
    }
    if src.get(at) == Some(&b'.') {
        let fraction = at + 1;
        at = digits(fraction);
        if at == fraction {
            return None;
        }
    }
    if let Some(b'e' | b'E') = src.get(at) {
        let exponent = at + 1 + usize::from(matches!(src.get(at + 1), Some(b'+' | b'-')));
        if exponent > src.len() {
            return None;
        }
        at = digits(exponent);
        if at == exponent {
            return None;
        }
    }
    ends_scalar(src, at).then_some(at)
}

/// Whether `true`, `false` or `null` stands at `at`.
fn starts_literal(src: &[u8], at: usize) -> bool {
    let word: &[u8] = match src[at] {
        b't' => b"true",
        b'f' => b"false",
        b'n' => b"null",
        _ => return false,
    };
    src[at..].starts_with(word) && ends_scalar(src, at + word.len())
}

/// Whether a number or literal can end before `at`.
fn ends_scalar(src: &[u8], at: usize) -> bool {
    matches!(
        src.get(at),
        None | Some(b',' | b'}' | b']' | b':' | b'{' | b'[' | b'"' | b' ' | b'\t' | b'\n' | b'\r')
    )
}

#[cfg(test)]
mod tests;
