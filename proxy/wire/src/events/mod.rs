//! The pieces of a server-sent-events stream (WHATWG HTML, section 9.2.6, "Interpreting an event stream").
//!
//! [`Splitter`] says where each event ends, so that it can be recorded before its bytes are released, and takes out what
//! it holds. It never changes a byte: the [`wire`](Piece::wire) of all pieces, joined, is the input.
//!
//! **Nothing is lost.** Whatever content a line can carry is in exactly one field of its piece: [`data`](Piece::data),
//! [`event`](Piece::event), [`id`](Piece::id), [`retry`](Piece::retry), [`comment`](Piece::comment), and, for all that
//! the specification ignores or lets a later line replace, [`other`](Piece::other). Only line ends, the colon, one space
//! after it and a byte order mark at the start are left out.
//!
//! **Nothing waits for a byte that may not come.** A blank line ends its event at its first byte: where it ends in CR,
//! an LF that is not here yet does not hold it back. A comment line outside of an event is a piece of its own as soon
//! as it ends, since some servers send keep-alive comments without a blank line. Line ends that mean nothing (that LF,
//! further blank lines) go with the piece before if they are here already, and are a piece of their own otherwise, for
//! which [`is_blank`](Piece::is_blank) holds. CRLF is kept together where it can be: some client libraries do not
//! act on a CR before they know what follows.
//!
//! **Memory is bounded.** A piece never has much more than `part_limit` bytes ([`Splitter::new`]). A longer event, or a
//! line without an end, comes in several pieces, cut between characters and, unless a line is longer than
//! [`LINE_LIMIT`], before a line that is not data.

mod line;
mod parse;
mod splitter;

#[cfg(test)]
mod tests;

use bytes::Bytes;
pub use splitter::{LINE_LIMIT, Splitter};

/// The bytes to release next, and what is in them.
///
/// How many pieces an event has, and what is in each, depends only on the stream and `part_limit`, not on how the
/// stream was split into pushes; only line ends that mean nothing may belong to one piece or the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// Exactly the bytes of this piece.
    pub wire: Bytes,
    /// The content of the data lines, with LF between them. Of an event in several pieces: the next part, so that all
    /// parts joined are the event's data. Bytes, since a target may send what is not UTF-8.
    pub data: Bytes,
    /// `event:`, the last in this piece. Invalid UTF-8 is replaced, as in all that follow: a client decodes so, too.
    pub event: Option<String>,
    /// `id:`, the last in this piece. Empty is a value: it resets the client's last event id.
    pub id: Option<String>,
    /// `retry:` in milliseconds, the last in this piece.
    pub retry: Option<u64>,
    /// The comment lines less their colon, with LF between them.
    pub comment: Option<String>,
    /// The lines, as sent, that mean nothing to a client and yet reach it, with LF between them: unknown fields, an `id`
    /// with NUL, a `retry` that is not a number, `event`, `id` and `retry` lines that a later one replaces, and field
    /// lines that were cut.
    pub other: Option<String>,
    /// The last piece of its event. False: more of the same event follows.
    pub last: bool,
    /// False only if the stream ended inside this event: a client ignores what it has of it.
    pub complete: bool,
}

impl Piece {
    /// Nothing but line ends: there is nothing to record, and nothing to wait for.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        let Self {
            wire: _,
            data,
            event,
            id,
            retry,
            comment,
            other,
            last,
            complete,
        } = self;
        data.is_empty()
            && event.is_none()
            && id.is_none()
            && retry.is_none()
            && comment.is_none()
            && other.is_none()
            && *last
            && *complete
    }
}
