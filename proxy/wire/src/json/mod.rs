//! The grammar of RFC 8259 as a state machine over bytes.
//!
//! It takes its input in any pieces, builds nothing, and remembers one bit per open container. What the grammar finds
//! goes to a [`Sink`], which says for each string whether it wants the text at all.

mod number;
mod text;

#[cfg(test)]
mod tests;

use number::Number;
use text::Text;

/// The deepest nesting the machine can represent: one bit per level.
pub(crate) const MAX_DEPTH: u8 = 128;

/// What is wrong with the input as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The grammar of RFC 8259 does not allow this byte here.
    Syntax,
    /// RFC 8259, section 8.1: JSON that is exchanged between systems is UTF-8.
    Utf8,
    /// More containers are open than the limit given.
    Depth,
    /// The input ended inside a value, or before one.
    Incomplete,
}

/// A fault, and the offset of the byte that showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonError {
    pub(crate) fault: Fault,
    pub(crate) offset: u64,
}

/// A value that is one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Literal {
    Null,
    True,
    False,
}

impl Literal {
    fn word(self) -> &'static [u8] {
        match self {
            Self::Null => b"null",
            Self::True => b"true",
            Self::False => b"false",
        }
    }
}

/// Receives what the grammar finds, in order. An error from a sink ends the scan.
pub(crate) trait Sink {
    type Error: From<JsonError>;

    fn begin_object(&mut self) -> Result<(), Self::Error>;
    fn end_object(&mut self) -> Result<(), Self::Error>;
    fn begin_array(&mut self) -> Result<(), Self::Error>;
    fn end_array(&mut self) -> Result<(), Self::Error>;
    /// A string begins; the answer says whether [`text`](Self::text) and the two notes below are wanted for it.
    fn begin_string(&mut self, is_key: bool) -> bool;
    /// Decoded text of the open string. A character may be cut between two calls.
    fn text(&mut self, utf8: &[u8]);
    /// The open string is spelled with an escape other than `\/`, which some encoders write by habit.
    fn escape(&mut self);
    /// The open string holds half of a surrogate pair: the grammar allows it, Unicode does not.
    fn lone_surrogate(&mut self);
    fn end_string(&mut self, is_key: bool) -> Result<(), Self::Error>;
    fn begin_number(&mut self);
    /// The next characters of a number, as sent.
    fn number(&mut self, raw: &[u8]);
    fn end_number(&mut self) -> Result<(), Self::Error>;
    fn literal(&mut self, literal: Literal) -> Result<(), Self::Error>;
}

/// What may come next, between values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// After `:`, after `,` in an array, and at the start.
    Value,
    /// After `[`.
    ValueOrEnd,
    /// After `,` in an object.
    Key,
    /// After `{`.
    KeyOrEnd,
    Colon,
    /// After a value in a container.
    CommaOrEnd,
    /// After the outermost value.
    Done,
}

/// What the end of a push cut.
#[derive(Clone, Copy, Debug)]
enum Token {
    String { is_key: bool, text: Text },
    Number(Number),
    Literal { literal: Literal, seen: usize },
}

/// The machine: one JSON text, pushed in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    next: Next,
    open: Option<Token>,
    /// One bit per open container, the innermost lowest: 1 for an object.
    objects: u128,
    depth: u8,
    max_depth: u8,
    /// Bytes of all earlier pushes.
    offset: u64,
}

impl Machine {
    /// A machine that refuses more than `max_depth` open containers (at most [`MAX_DEPTH`]).
    pub(crate) fn new(max_depth: u8) -> Self {
        Self {
            next: Next::Value,
            open: None,
            objects: 0,
            depth: 0,
            max_depth: max_depth.min(MAX_DEPTH),
            offset: 0,
        }
    }

    /// Takes the next bytes. After an error the machine must not be used again.
    pub(crate) fn push<S: Sink>(&mut self, bytes: &[u8], sink: &mut S) -> Result<(), S::Error> {
        let mut at = match self.open.take() {
            Some(token) => self.token(token, bytes, 0, sink)?,
            None => 0,
        };
        while let Some(&byte) = bytes.get(at) {
            at = match (byte, self.next) {
                (b' ' | b'\t' | b'\n' | b'\r', _) => at + 1,
                (b':', Next::Colon) => {
                    self.next = Next::Value;
                    at + 1
                }
                (b',', Next::CommaOrEnd) => {
                    self.next = if self.in_object() { Next::Key } else { Next::Value };
                    at + 1
                }
                (b'"', Next::Key | Next::KeyOrEnd) => {
                    let text = Text::new(sink.begin_string(true));
                    self.token(Token::String { is_key: true, text }, bytes, at + 1, sink)?
                }
                (_, Next::Value | Next::ValueOrEnd) => self.value(byte, bytes, at, sink)?,
                (b'}', Next::KeyOrEnd) => self.close_object(at, sink)?,
                (b'}', Next::CommaOrEnd) if self.in_object() => self.close_object(at, sink)?,
                (b']', Next::CommaOrEnd) if !self.in_object() => self.close_array(at, sink)?,
                _ => return Err(self.error(Fault::Syntax, at).into()),
            };
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// The input is over: a number at its very end is complete, everything else had to be before.
    pub(crate) fn finish<S: Sink>(mut self, sink: &mut S) -> Result<(), S::Error> {
        if let Some(Token::Number(number)) = self.open
            && number.may_end()
        {
            sink.end_number()?;
            self.open = None;
            self.value_ended();
        }
        match (self.next, self.open) {
            (Next::Done, None) => Ok(()),
            _ => Err(self.error(Fault::Incomplete, 0).into()),
        }
    }

    /// The first byte of a value, or of none.
    fn value<S: Sink>(&mut self, byte: u8, bytes: &[u8], at: usize, sink: &mut S) -> Result<usize, S::Error> {
        let token = match byte {
            b'"' => Token::String {
                is_key: false,
                text: Text::new(sink.begin_string(false)),
            },
            b'-' | b'0'..=b'9' => {
                sink.begin_number();
                // It has no opening mark: its first byte is part of it.
                return self.token(Token::Number(Number::Start), bytes, at, sink);
            }
            b'{' => {
                self.open_container(true, at)?;
                sink.begin_object()?;
                self.next = Next::KeyOrEnd;
                return Ok(at + 1);
            }
            b'[' => {
                self.open_container(false, at)?;
                sink.begin_array()?;
                self.next = Next::ValueOrEnd;
                return Ok(at + 1);
            }
            b']' if self.next == Next::ValueOrEnd => return self.close_array(at, sink),
            b'n' => Token::Literal {
                literal: Literal::Null,
                seen: 1,
            },
            b't' => Token::Literal {
                literal: Literal::True,
                seen: 1,
            },
            b'f' => Token::Literal {
                literal: Literal::False,
                seen: 1,
            },
            _ => return Err(self.error(Fault::Syntax, at).into()),
        };
        self.token(token, bytes, at + 1, sink)
    }

    /// Reads on in a token, and answers where what follows it begins. If the bytes end first, the token stays open.
    #[inline]
    fn token<S: Sink>(&mut self, token: Token, bytes: &[u8], from: usize, sink: &mut S) -> Result<usize, S::Error> {
        match token {
            Token::String { is_key, mut text } => {
                let (at, closed) = text
                    .push(bytes, from, sink)
                    .map_err(|(fault, at)| self.error(fault, at))?;
                if !closed {
                    self.open = Some(Token::String { is_key, text });
                } else {
                    sink.end_string(is_key)?;
                    if is_key {
                        self.next = Next::Colon;
                    } else {
                        self.value_ended();
                    }
                }
                Ok(at)
            }
            Token::Number(number) => self.number(number, bytes, from, sink),
            Token::Literal { literal, seen } => self.literal(literal, seen, bytes, from, sink),
        }
    }

    /// Digits up to the first byte that is not part of the number.
    fn number<S: Sink>(
        &mut self,
        mut number: Number,
        bytes: &[u8],
        from: usize,
        sink: &mut S,
    ) -> Result<usize, S::Error> {
        let mut at = from;
        while let Some(&byte) = bytes.get(at) {
            match number.step(byte) {
                Some(next) => {
                    number = next;
                    at += 1;
                }
                None if number.may_end() => {
                    sink.number(&bytes[from..at]);
                    sink.end_number()?;
                    self.value_ended();
                    return Ok(at);
                }
                None => return Err(self.error(Fault::Syntax, at).into()),
            }
        }
        sink.number(&bytes[from..at]);
        self.open = Some(Token::Number(number));
        Ok(at)
    }

    fn literal<S: Sink>(
        &mut self,
        literal: Literal,
        seen: usize,
        bytes: &[u8],
        from: usize,
        sink: &mut S,
    ) -> Result<usize, S::Error> {
        let expected = &literal.word()[seen..];
        let found = &bytes[from..bytes.len().min(from + expected.len())];
        if let Some(wrong) = found
            .iter()
            .zip(expected)
            .position(|(found, expected)| found != expected)
        {
            return Err(self.error(Fault::Syntax, from + wrong).into());
        }
        if found.len() == expected.len() {
            sink.literal(literal)?;
            self.value_ended();
        } else {
            self.open = Some(Token::Literal {
                literal,
                seen: seen + found.len(),
            });
        }
        Ok(from + found.len())
    }

    fn open_container(&mut self, object: bool, at: usize) -> Result<(), JsonError> {
        if self.depth == self.max_depth {
            return Err(self.error(Fault::Depth, at));
        }
        self.depth += 1;
        self.objects = (self.objects << 1) | u128::from(object);
        Ok(())
    }

    fn close_object<S: Sink>(&mut self, at: usize, sink: &mut S) -> Result<usize, S::Error> {
        sink.end_object()?;
        self.close_container();
        Ok(at + 1)
    }

    fn close_array<S: Sink>(&mut self, at: usize, sink: &mut S) -> Result<usize, S::Error> {
        sink.end_array()?;
        self.close_container();
        Ok(at + 1)
    }

    fn close_container(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
        self.value_ended();
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn value_ended(&mut self) {
        self.next = if self.depth == 0 { Next::Done } else { Next::CommaOrEnd };
    }

    fn error(&self, fault: Fault, at: usize) -> JsonError {
        JsonError {
            fault,
            offset: self.offset + at as u64,
        }
    }
}
