//! Where pieces end.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use super::Piece;
use super::line::{Line, PREFIX};
use super::parse::{Carried, parse};

/// A line that is neither data nor a comment is not cut before it is longer than this, so that an `id` that happens to
/// lie across the end of a part is still an `id`.
pub const LINE_LIMIT: usize = 4096;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Splits one stream. Push a chunk, take [`next_piece`](Self::next_piece) until there is none, and so on; at the end,
/// take [`finish`](Self::finish) until there is none.
#[derive(Debug)]
pub struct Splitter {
    part_limit: usize,
    /// The bytes of the open piece from earlier chunks; copied, since a piece is one range of bytes.
    held: BytesMut,
    /// What follows them: the rest of the last chunk.
    chunk: Bytes,
    /// Invariant: no line ends before this offset from the start of the open piece, but those already dealt with; not
    /// less than the length of `held`.
    scanned: usize,
    /// Where the open line begins, as an offset from the start of the open piece.
    line_start: usize,
    /// The open line is the first of its event.
    first_line: bool,
    first_piece: bool,
    carried: Carried,
}

impl Splitter {
    /// A splitter for one stream. `part_limit`, in bytes and raised to 16 if less, is the size from which on an event is
    /// cut; a piece can be longer by [`LINE_LIMIT`], and by line ends in the same chunk.
    #[must_use]
    pub fn new(part_limit: usize) -> Self {
        Self {
            part_limit: part_limit.max(16),
            held: BytesMut::new(),
            chunk: Bytes::new(),
            scanned: 0,
            line_start: 0,
            first_line: true,
            first_piece: true,
            carried: Carried::default(),
        }
    }

    /// The next bytes of the stream. Copies only what earlier pushes left without a piece, or not yet taken.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            let mut joined = BytesMut::with_capacity(self.chunk.len() + chunk.len());
            joined.extend_from_slice(&self.chunk);
            joined.extend_from_slice(&chunk);
            self.chunk = joined.freeze();
        }
    }

    /// The next piece that the bytes so far have the end of.
    pub fn next_piece(&mut self) -> Option<Piece> {
        loop {
            let end = memchr2(b'\n', b'\r', &self.chunk[self.scanned - self.held.len()..])
                .map(|length| self.scanned + length);
            let line_end = end.unwrap_or(self.held.len() + self.chunk.len());
            if self.first_piece && self.line_start == 0 && self.starts_with_mark() {
                self.line_start = BYTE_ORDER_MARK.len();
            }
            if let Some(cut) = self.cut(line_end) {
                return Some(self.take(cut, false));
            }
            let Some(end) = end else {
                self.held.extend_from_slice(&self.chunk);
                self.chunk = Bytes::new();
                self.scanned = self.held.len();
                return None;
            };
            let next = end + 1;
            self.scanned = next;
            let blank = end == self.line_start;
            if blank && end > 0 && self.byte(end) == b'\n' && self.byte(end - 1) == b'\r' {
                // CRLF: the line ended at the CR.
                self.line_start = next;
                continue;
            }
            if blank || self.first_line && self.line(end) == Some(Line::Comment) {
                return Some(self.take(next + self.idle_line_ends(next), true));
            }
            self.first_line = false;
            self.line_start = next;
        }
    }

    /// The stream is over: the pieces that are left. The last is not [`complete`](Piece::complete) if the stream ended
    /// inside an event.
    pub fn finish(&mut self) -> Option<Piece> {
        if let Some(piece) = self.next_piece() {
            return Some(piece);
        }
        if self.held.is_empty() {
            return None;
        }
        let rest = self.take(self.held.len(), true);
        Some(Piece {
            complete: false,
            ..rest
        })
    }

    /// Where the open piece has to be cut, if it is too long: the first offset that is not before `part_limit`, is
    /// inside the open line (which is known up to `line_end`), does not cut a character, and does not cut what
    /// [`parse`] needs in one piece. It depends on the bytes before it and on none behind.
    fn cut(&self, line_end: usize) -> Option<usize> {
        if line_end <= self.part_limit || line_end == self.line_start {
            return None;
        }
        if self.line_start >= self.part_limit {
            return Some(self.line_start);
        }
        let uncut = match self.line(line_end)? {
            Line::Data | Line::Comment | Line::Field if self.is_continued() => 0,
            Line::Data => PREFIX,
            Line::Comment => 1,
            Line::Field => LINE_LIMIT,
        };
        let first = self.part_limit.max(self.line_start + uncut);
        // The longest character has three bytes after its first; if there are more, it is no character.
        (first..line_end.min(first + 4)).find(|&at| at == first + 3 || !matches!(self.byte(at), 0x80..=0xbf))
    }

    /// What the open line is, if it is known up to `line_end` and that is enough.
    fn line(&self, line_end: usize) -> Option<Line> {
        if self.is_continued() {
            return self.carried.line;
        }
        if self.byte(self.line_start) == b':' {
            return Some(Line::Comment);
        }
        let mut start = [0; PREFIX];
        if line_end - self.line_start < start.len() {
            return None;
        }
        for (offset, byte) in start.iter_mut().enumerate() {
            *byte = self.byte(self.line_start + offset);
        }
        Some(Line::of(&start))
    }

    /// The open line began in the piece before.
    fn is_continued(&self) -> bool {
        self.line_start == 0 && self.carried.line.is_some()
    }

    fn byte(&self, at: usize) -> u8 {
        match at.checked_sub(self.held.len()) {
            None => self.held[at],
            Some(at) => self.chunk[at],
        }
    }

    fn starts_with_mark(&self) -> bool {
        self.held.len() + self.chunk.len() >= BYTE_ORDER_MARK.len()
            && BYTE_ORDER_MARK
                .iter()
                .enumerate()
                .all(|(at, &byte)| self.byte(at) == byte)
    }

    /// How many line ends stand at `from`, where an event has just ended, so that they mean nothing.
    fn idle_line_ends(&self, from: usize) -> usize {
        let rest = &self.chunk[from - self.held.len()..];
        rest.iter()
            .position(|byte| !matches!(byte, b'\n' | b'\r'))
            .unwrap_or(rest.len())
    }

    /// Ends the open piece after `length` bytes.
    fn take(&mut self, length: usize, last: bool) -> Piece {
        let wire = match length.checked_sub(self.held.len()) {
            Some(length) if self.held.is_empty() => self.chunk.split_to(length),
            Some(more) => {
                self.held.extend_from_slice(&self.chunk.split_to(more));
                self.held.split().freeze()
            }
            None => self.held.split_to(length).freeze(),
        };
        let mark = self.first_piece && wire.starts_with(BYTE_ORDER_MARK);
        let (piece, carried) = parse(&wire, if mark { BYTE_ORDER_MARK.len() } else { 0 }, self.carried);
        self.carried = if last { Carried::default() } else { carried };
        self.first_line |= last;
        self.first_piece = false;
        // What is left was searched already, and has no line end.
        self.scanned = self.held.len();
        self.line_start = 0;
        Piece { wire, last, ..piece }
    }
}
