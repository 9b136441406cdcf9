//! An answer that comes from a conversation, as an event stream.

use bytes::Bytes;
use tokio::sync::mpsc;

/// What a conversation sends on a stream.
#[derive(Debug)]
pub(super) enum Piece {
    /// An event, as it stands on the wire.
    Event(Bytes),
    /// Nothing follows. A stream that ends without it was lost.
    End,
}

/// The reading end.
pub(crate) struct Pipe {
    pieces: mpsc::Receiver<Piece>,
    /// Where the target hears that nobody waits any more, and what it is told.
    cancel: Option<(mpsc::Sender<Bytes>, Bytes)>,
    over: bool,
}

impl Pipe {
    pub(super) fn new(pieces: mpsc::Receiver<Piece>, cancel: Option<(mpsc::Sender<Bytes>, Bytes)>) -> Self {
        Self {
            pieces,
            cancel,
            over: false,
        }
    }

    /// The next event; none at the end. Err: the conversation is over, and this stream is not. Safe to cancel.
    pub(in crate::upstream) async fn next(&mut self) -> Result<Option<Bytes>, Lost> {
        if self.over {
            return Ok(None);
        }
        match self.pieces.recv().await {
            Some(Piece::Event(event)) => Ok(Some(event)),
            Some(Piece::End) => {
                self.over = true;
                Ok(None)
            }
            None => {
                self.over = true;
                Err(Lost)
            }
        }
    }
}

/// The target ended in the middle of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the target ended in the middle of its answer")]
pub(crate) struct Lost;

impl Drop for Pipe {
    fn drop(&mut self) {
        // Dropped before its end: the client's going was a cancellation, or the proxy stops. Where the target is not
        // read from there is no room, and it hears nothing.
        if let Some((outgoing, message)) = self.cancel.take().filter(|_| !self.over) {
            let _ = outgoing.try_send(message);
        }
    }
}

/// A message as an event. Line breaks between the members of a message mean nothing, and would end the line.
pub(super) fn event(message: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(message.len() + 8);
    event.extend_from_slice(b"data: ");
    event.extend(on_one_line(message));
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// A message without line breaks: inside strings they are escaped, elsewhere they are space (RFC 8259, sections 2 and 7).
pub(super) fn on_one_line(message: &[u8]) -> impl Iterator<Item = u8> {
    let space = |byte: u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte };
    message.iter().copied().map(space)
}
