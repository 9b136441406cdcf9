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

#[derive(Clone, Copy, Debug)]
enum State {
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
    String {
        is_key: bool,
        text: Text,
    },
    Number(Number),
    Literal {
        literal: Literal,
        seen: usize,
    },
}

/// The machine: one JSON text, pushed in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    state: State,
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
            state: State::Value,
            objects: 0,
            depth: 0,
            max_depth: max_depth.min(MAX_DEPTH),
            offset: 0,
        }
    }

    /// Takes the next bytes. After an error the machine must not be used again.
    pub(crate) fn push<S: Sink>(&mut self, bytes: &[u8], sink: &mut S) -> Result<(), S::Error> {
        let mut at = 0;
        while at < bytes.len() {
            at = match self.state {
                State::String { is_key, mut text } => {
                    let (next, closed) = text
                        .push(bytes, at, sink)
                        .map_err(|(fault, at)| self.error(fault, at))?;
                    if closed {
                        sink.end_string(is_key)?;
                        self.state = if is_key { State::Colon } else { self.after_value() };
                    } else {
                        self.state = State::String { is_key, text };
                    }
                    next
                }
                State::Number(number) => self.number(number, bytes, at, sink)?,
                State::Literal { literal, seen } => {
                    let word = literal.word();
                    if bytes[at] != word[seen] {
                        return Err(self.error(Fault::Syntax, at).into());
                    }
                    if seen + 1 == word.len() {
                        sink.literal(literal)?;
                        self.state = self.after_value();
                    } else {
                        self.state = State::Literal {
                            literal,
                            seen: seen + 1,
                        };
                    }
                    at + 1
                }
                _ => {
                    let byte = bytes[at];
                    if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                        self.structure(byte, at, sink)?;
                    }
                    // A number has no opening mark: its first byte is read again as part of it.
                    at + usize::from(!matches!(self.state, State::Number(_)))
                }
            };
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// The input is over: a number at its very end is complete, everything else had to be before.
    pub(crate) fn finish<S: Sink>(mut self, sink: &mut S) -> Result<(), S::Error> {
        if let State::Number(number) = self.state
            && number.may_end()
        {
            sink.end_number()?;
            self.state = self.after_value();
        }
        match self.state {
            State::Done => Ok(()),
            _ => Err(self.error(Fault::Incomplete, 0).into()),
        }
    }

    /// Digits up to the first byte that is not part of the number, which stays for the caller.
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
                    self.state = self.after_value();
                    return Ok(at);
                }
                None => return Err(self.error(Fault::Syntax, at).into()),
            }
        }
        sink.number(&bytes[from..at]);
        self.state = State::Number(number);
        Ok(at)
    }

    /// One byte between values that is not white space.
    fn structure<S: Sink>(&mut self, byte: u8, at: usize, sink: &mut S) -> Result<(), S::Error> {
        self.state = match (self.state, byte) {
            (State::Value | State::ValueOrEnd, b'{') => {
                self.open(true, at)?;
                sink.begin_object()?;
                State::KeyOrEnd
            }
            (State::Value | State::ValueOrEnd, b'[') => {
                self.open(false, at)?;
                sink.begin_array()?;
                State::ValueOrEnd
            }
            (State::Value | State::ValueOrEnd, b'"') => State::String {
                is_key: false,
                text: Text::new(sink.begin_string(false)),
            },
            (State::Value | State::ValueOrEnd, b'-' | b'0'..=b'9') => {
                sink.begin_number();
                State::Number(Number::Start)
            }
            (State::Value | State::ValueOrEnd, b'n') => State::Literal {
                literal: Literal::Null,
                seen: 1,
            },
            (State::Value | State::ValueOrEnd, b't') => State::Literal {
                literal: Literal::True,
                seen: 1,
            },
            (State::Value | State::ValueOrEnd, b'f') => State::Literal {
                literal: Literal::False,
                seen: 1,
            },
            (State::Key | State::KeyOrEnd, b'"') => State::String {
                is_key: true,
                text: Text::new(sink.begin_string(true)),
            },
            (State::Colon, b':') => State::Value,
            (State::CommaOrEnd, b',') if self.in_object() => State::Key,
            (State::CommaOrEnd, b',') => State::Value,
            (State::KeyOrEnd, b'}') => self.close_object(sink)?,
            (State::CommaOrEnd, b'}') if self.in_object() => self.close_object(sink)?,
            (State::ValueOrEnd, b']') => self.close_array(sink)?,
            (State::CommaOrEnd, b']') if !self.in_object() => self.close_array(sink)?,
            _ => return Err(self.error(Fault::Syntax, at).into()),
        };
        Ok(())
    }

    fn open(&mut self, object: bool, at: usize) -> Result<(), JsonError> {
        if self.depth == self.max_depth {
            return Err(self.error(Fault::Depth, at));
        }
        self.depth += 1;
        self.objects = (self.objects << 1) | u128::from(object);
        Ok(())
    }

    fn close_object<S: Sink>(&mut self, sink: &mut S) -> Result<State, S::Error> {
        sink.end_object()?;
        Ok(self.close())
    }

    fn close_array<S: Sink>(&mut self, sink: &mut S) -> Result<State, S::Error> {
        sink.end_array()?;
        Ok(self.close())
    }

    fn close(&mut self) -> State {
        self.depth -= 1;
        self.objects >>= 1;
        self.after_value()
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn after_value(&self) -> State {
        if self.depth == 0 {
            State::Done
        } else {
            State::CommaOrEnd
        }
    }

    fn error(&self, fault: Fault, at: usize) -> JsonError {
        JsonError {
            fault,
            offset: self.offset + at as u64,
        }
    }
}
