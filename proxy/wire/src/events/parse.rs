//! The content of one piece.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr2};

use super::Piece;
use super::line::Line;

/// What a piece takes over from the pieces of the same event before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Carried {
    /// The line that was cut, if the cut was inside one.
    pub(super) line: Option<Line>,
    /// The event has a data line already, so that the next begins with an LF.
    pub(super) data: bool,
}

/// What is in the lines of `wire` from `start` on, and what the next piece of the same event has to know.
pub(super) fn parse(wire: &Bytes, start: usize, carried: Carried) -> (Piece, Carried) {
    let mut fields = Fields {
        wire,
        data_seen: carried.data,
        ..Fields::new(wire)
    };
    let mut open = carried.line;
    let mut at = start;
    while at < wire.len() {
        let end = memchr2(b'\n', b'\r', &wire[at..]).map(|length| at + length);
        let range = at..end.unwrap_or(wire.len());
        at = range.end + usize::from(end.is_some());
        let continued = open.take();
        match continued {
            Some(Line::Data) => fields.data.add(wire, range.clone()),
            Some(Line::Comment) => fields.comment.continued(&wire[range.clone()]),
            Some(Line::Field) => fields.other.continued(&wire[range.clone()]),
            // A blank line, or the second half of CRLF.
            None if range.is_empty() => {}
            None => fields.line(range.clone(), end.is_some()),
        }
        if end.is_none() {
            open = continued.or_else(|| Some(Line::of(&wire[range])));
        }
    }
    let carried = Carried {
        line: open,
        data: fields.data_seen,
    };
    (fields.into_piece(), carried)
}

struct Fields<'a> {
    wire: &'a Bytes,
    data: Data,
    data_seen: bool,
    /// Where the last `event` line of the piece is; so for `id` and `retry`.
    event: Option<Range<usize>>,
    id: Option<Range<usize>>,
    retry: Option<Range<usize>>,
    comment: Lines,
    other: Lines,
}

impl<'a> Fields<'a> {
    fn new(wire: &'a Bytes) -> Self {
        Self {
            wire,
            data: Data::None,
            data_seen: false,
            event: None,
            id: None,
            retry: None,
            comment: Lines(None),
            other: Lines(None),
        }
    }

    /// A line that begins in this piece. `ended`: its end is here, too.
    fn line(&mut self, range: Range<usize>, ended: bool) {
        let line = &self.wire[range.clone()];
        let (name, value) = split_field(line);
        let replaced = match name {
            b"" if line.starts_with(b":") => return self.comment.line(&line[1..]),
            b"data" if ended || line.len() > name.len() => {
                if std::mem::replace(&mut self.data_seen, true) {
                    self.data.separate(self.wire);
                }
                return self.data.add(self.wire, range.end - value.len()..range.end);
            }
            // The end of the value is missing, so the value is not known.
            _ if !ended => Some(range),
            b"event" => self.event.replace(range),
            b"id" if memchr(0, value).is_none() => self.id.replace(range),
            b"retry" if milliseconds(value).is_some() => self.retry.replace(range),
            _ => Some(range),
        };
        if let Some(range) = replaced {
            self.other.line(&self.wire[range]);
        }
    }

    fn into_piece(self) -> Piece {
        let value = |range: Range<usize>| split_field(&self.wire[range]).1;
        Piece {
            wire: Bytes::new(),
            data: self.data.into_bytes(self.wire),
            event: self.event.map(|line| text(value(line))),
            id: self.id.map(|line| text(value(line))),
            retry: self.retry.and_then(|line| milliseconds(value(line))),
            comment: self.comment.into_text(),
            other: self.other.into_text(),
            last: true,
            complete: true,
        }
    }
}

/// The name of a field line, and its value less one leading space. A line without a colon is all name.
fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = memchr(b':', line) else {
        return (line, &line[line.len()..]);
    };
    let value = &line[colon + 1..];
    (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
}

/// "If the field value consists of only ASCII digits". More than fit in 64 bits are not a time either.
fn milliseconds(value: &[u8]) -> Option<u64> {
    let digits = value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The content of data lines: a range of the wire while there is one, a copy as soon as there are more.
enum Data {
    None,
    One(Range<usize>),
    Joined(BytesMut),
}

impl Data {
    fn add(&mut self, wire: &Bytes, range: Range<usize>) {
        match self {
            Self::None => *self = Self::One(range),
            Self::One(_) | Self::Joined(_) => self.joined(wire).extend_from_slice(&wire[range]),
        }
    }

    fn separate(&mut self, wire: &Bytes) {
        self.joined(wire).extend_from_slice(b"\n");
    }

    fn joined(&mut self, wire: &Bytes) -> &mut BytesMut {
        let copy = match self {
            Self::None => Some(BytesMut::new()),
            Self::One(range) => Some(BytesMut::from(&wire[range.clone()])),
            Self::Joined(_) => None,
        };
        if let Some(copy) = copy {
            *self = Self::Joined(copy);
        }
        match self {
            Self::Joined(joined) => joined,
            Self::None | Self::One(_) => unreachable!("both were replaced above"),
        }
    }

    fn into_bytes(self, wire: &Bytes) -> Bytes {
        match self {
            Self::None => Bytes::new(),
            Self::One(range) => wire.slice(range),
            Self::Joined(joined) => joined.freeze(),
        }
    }
}

/// Lines joined by LF.
struct Lines(Option<Vec<u8>>);

impl Lines {
    fn line(&mut self, line: &[u8]) {
        if let Some(lines) = &mut self.0 {
            lines.push(b'\n');
        }
        self.continued(line);
    }

    fn continued(&mut self, part: &[u8]) {
        self.0.get_or_insert_default().extend_from_slice(part);
    }

    fn into_text(self) -> Option<String> {
        self.0
            .map(|lines| String::from_utf8(lines).unwrap_or_else(|invalid| text(invalid.as_bytes())))
    }
}
