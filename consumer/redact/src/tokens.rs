//! JSON (RFC 8259) cut into tokens at byte level: positions in the source, no tree, no copies.
//!
//! The grammar is checked to the last byte, because what is not JSON must not pass as JSON that holds nothing.

//!
//! The source is classified 64 bytes at a time. What is left to look at one by one are quotes, structural characters
//! and the beginnings of numbers and literals; the inside of a string costs nothing more.

mod scanner;

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
    scanner: Scanner<'s>,
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
            scanner: Scanner::new(src.as_bytes()),
            expect: Expect::Value,
            open: Vec::new(),
            max_depth,
            texts,
        }
    }

    /// The next token; `None` after the last one of a complete text.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Token>, Broken> {
        let Some(mut at) = self.scanner.next()? else {
            return if self.expect == Expect::TopEnd {
                Ok(None)
            } else {
                Err(Broken::Syntax)
            };
        };
        if self.expect == Expect::CommaOrClose && self.src[at] == b',' {
            at = self.more()?;
            self.expect = if self.open.last() == Some(&true) {
                if self.src[at] != b'"' {
                    return Err(Broken::Syntax);
                }
                Expect::KeyOrClose
            } else {
                Expect::Value
            };
        }
        match (self.expect, self.src[at]) {
            (Expect::KeyOrClose, b'"') => self.key(at),
            (Expect::Value | Expect::ValueOrClose, b'"') => {
                let span = self.quoted(at)?;
                self.after_value();
                Ok(Token::Text(span))
            }
            (Expect::CommaOrClose | Expect::KeyOrClose, b'}') => self.close(true),
            (Expect::CommaOrClose | Expect::ValueOrClose, b']') => self.close(false),
            (Expect::Value | Expect::ValueOrClose, _) => self.value(at),
            (Expect::TopEnd, b'{' | b'[') if self.texts == Texts::Lines => self.value(at),
            _ => Err(Broken::Syntax),
        }
        .map(Some)
    }

    /// Reads to the end; tells only whether it is JSON.
    pub(crate) fn check(mut self) -> Result<(), Broken> {
        while self.next()?.is_some() {}
        Ok(())
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
                self.after_value();
                Ok(Token::Number(at..end))
            }
            b't' => self.literal(at, b"true"),
            b'f' => self.literal(at, b"false"),
            b'n' => self.literal(at, b"null"),
            _ => Err(Broken::Syntax),
        }
    }

    fn push(&mut self, object: bool) -> Result<Token, Broken> {
        if self.open.len() >= self.max_depth {
            return Err(Broken::TooDeep);
        }
        self.open.push(object);
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

    fn key(&mut self, at: usize) -> Result<Token, Broken> {
        let span = self.quoted(at)?;
        if self.src[self.more()?] != b':' {
            return Err(Broken::Syntax);
        }
        self.expect = Expect::Value;
        Ok(Token::Key(span))
    }

    fn literal(&mut self, at: usize, word: &[u8]) -> Result<Token, Broken> {
        if !self.src[at..].starts_with(word) || !ends_scalar(self.src, at + word.len()) {
            return Err(Broken::Syntax);
        }
        self.after_value();
        Ok(Token::Literal)
    }

    /// The inside of the string whose quote is at `at`: nothing is reported between its quotes.
    fn quoted(&mut self, at: usize) -> Result<Range<usize>, Broken> {
        Ok(at + 1..self.more()?)
    }
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

/// Whether a number or literal can end before `at`.
fn ends_scalar(src: &[u8], at: usize) -> bool {
    matches!(
        src.get(at),
        None | Some(b',' | b'}' | b']' | b':' | b'{' | b'[' | b'"' | b' ' | b'\t' | b'\n' | b'\r')
    )
}

#[cfg(test)]
mod tests;
