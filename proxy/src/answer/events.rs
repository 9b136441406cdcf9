//! An answer that is a stream of server-sent events: each is recorded, and released when it is durable.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::Response;
use tapedeck_schemas::{End, MAX_PART, Part, Rpc, RpcKind, Sse};
use tapedeck_wire::envelope::{EnvelopeScanner, Limits};
use tapedeck_wire::events::{LINE_LIMIT, Piece, Splitter};

use super::release::{Exit, Releases};
use super::{Interrupted, record_whole, rpc_of_answer};
use crate::client_side::ClientSide;
use crate::ends::{AnswerPiece, Tape};
use crate::metrics::Flow;
use crate::record::NotRecorded;
use crate::upstream::{BodyError, UpstreamBody};
use crate::workers;

/// Size from which on an event is cut: a piece may be longer by a line, and a payload has at most [`MAX_PART`] bytes.
const PART_LIMIT: usize = MAX_PART - 2 * LINE_LIMIT;

/// What is taken of a body at once, in bytes, before events are looked for in it: what is more is copied, and answers
/// that are longer are not much dearer for being released in pieces.
const AT_ONCE: usize = 16 * 1024;

/// The event that the stream is in.
struct Event {
    scanner: EnvelopeScanner,
    index: i32,
    has_data: bool,
}

impl Event {
    fn new() -> Self {
        Self {
            scanner: EnvelopeScanner::new(Limits::TARGET),
            index: 0,
            has_data: false,
        }
    }

    /// Records a piece of it; after the last the next event begins. `end`: of the exchange, if nothing follows; it is
    /// recorded with the piece if that is an answer.
    fn record(
        &mut self,
        piece: Piece,
        end: Option<End>,
        tape: &mut Tape,
        releases: &mut Releases<'_>,
    ) -> Result<(), NotRecorded> {
        if piece.is_blank() {
            releases.push_unrecorded(piece.wire);
            return Ok(());
        }
        if !piece.data.is_empty() {
            self.has_data = true;
            // An event that is no JSON-RPC is recorded all the same.
            let _ = self.scanner.push(&piece.data);
        }
        let part = Part {
            index: self.index,
            last: piece.last,
        };
        self.index += 1;
        let over = piece.last.then(|| std::mem::replace(self, Self::new()));
        // An event without data carries no message: it primes the stream, or keeps it alive.
        let message = over
            .filter(|event| event.has_data)
            .map(|event| event.scanner.finish().ok());
        let rpc = message.as_ref().map(|envelope| rpc_of_answer(envelope.as_ref(), tape));
        // Only an answer's frame ends its exchange: whoever reads the end of another one would take that for the answer.
        let answers = |rpc: &Rpc| matches!(rpc.kind, RpcKind::Response | RpcKind::Error) && rpc.method.is_some();
        let end = end.filter(|_| rpc.as_ref().is_some_and(answers));
        let payload = (!piece.data.is_empty()).then_some(piece.data);
        let sse = Sse {
            id: piece.id,
            event: piece.event,
            retry: piece.retry.map(|retry| i64::try_from(retry).unwrap_or(i64::MAX)),
            comment: joined(piece.comment, piece.other),
            complete: piece.complete,
        };
        let frame = AnswerPiece {
            payload,
            part,
            rpc,
            sse: Some(sse),
            end,
        };
        record_whole(frame, message.flatten().as_ref(), piece.wire, tape, releases)
    }
}

/// What is no field of an event and yet reaches the client.
fn joined(comment: Option<String>, other: Option<String>) -> Option<String> {
    match (comment, other) {
        (Some(comment), Some(other)) => Some(format!("{comment}\n{other}")),
        (comment, other) => comment.or(other),
    }
}

/// The stream as it comes, cut into pieces.
struct Stream {
    splitter: Splitter,
    /// The piece after the one that was given last, once the stream is over. Boxed: a stream that lasts should be small.
    ahead: Option<Box<Piece>>,
    /// Whether there may be more to read.
    reading: bool,
    /// Whether it broke off.
    lost: bool,
    /// Whether there may be pieces: one read can bring more events than may be on their way at once.
    split: bool,
}

impl Stream {
    fn new() -> Self {
        Self {
            splitter: Splitter::new(PART_LIMIT),
            ahead: None,
            reading: true,
            lost: false,
            split: false,
        }
    }

    fn take(&mut self, read: Result<Option<Bytes>, BodyError>, tape: &Tape) {
        self.split = true;
        match read {
            Ok(Some(bytes)) => self.splitter.push(bytes),
            Ok(None) => self.reading = false,
            Err(error) => {
                tracing::debug!(exchange = %tape.exchange_id(), %error, "a target's stream broke off");
                (self.reading, self.lost) = (false, true);
            }
        }
    }

    /// Takes what has come already, and its end, if that has: an answer that is here whole is one write, and its last event
    /// carries the end. Whoever reads the connection is let on between, for it hands over one piece after the other.
    async fn take_what_is_here(&mut self, body: &mut UpstreamBody, tape: &Tape) {
        let (mut taken, mut is_second_look) = (0, false);
        while self.reading && taken < AT_ONCE {
            if body.is_over() {
                self.reading = false;
            } else if let Some(read) = body.next().now_or_never() {
                taken += read.as_ref().map_or(0, |bytes| bytes.as_ref().map_or(0, Bytes::len));
                self.take(read, tape);
                is_second_look = false;
            } else if is_second_look {
                return;
            } else {
                workers::let_others_go_on().await;
                is_second_look = true;
            }
        }
    }

    /// Whether it ended as its target meant it to end, and all of its pieces were given.
    fn is_complete(&self) -> bool {
        !self.reading && !self.split && !self.lost
    }

    /// The next piece, and the exchange's end if it is known that nothing follows.
    fn next_piece(&mut self) -> Option<(Piece, Option<End>)> {
        if self.reading {
            let piece = self.splitter.next_piece();
            self.split = piece.is_some();
            return piece.map(|piece| (piece, None));
        }
        let piece = match self.ahead.take() {
            Some(ahead) => Some(*ahead),
            None => self.splitter.finish(),
        };
        self.ahead = self.splitter.finish().map(Box::new);
        self.split = self.ahead.is_some();
        let end = (!self.split && !self.lost).then_some(End::Answered);
        piece.map(|piece| (piece, end))
    }
}

/// Records and releases a stream to its end, unless `ended` says that the exchange has to end before. The head is
/// released as soon as the target says no more for now: a listening stream is open before its first event. What comes
/// with the head goes with it, and an answer that is there whole is one write.
pub(crate) async fn relay_events(
    tape: &mut Tape,
    mut body: UpstreamBody,
    head: Response<()>,
    client: &mut ClientSide,
    mut ended: Pin<&mut impl Future<Output = Interrupted>>,
    flow: &Flow,
) -> Result<(), Interrupted> {
    let length = body.length();
    let mut exit = Exit::Closed { client, head, length };
    let mut releases = Releases::new(flow);
    let mut stream = Stream::new();
    let mut event = Event::new();
    stream.take_what_is_here(&mut body, tape).await;
    loop {
        while stream.split && releases.has_room() {
            if let Some((piece, end)) = stream.next_piece() {
                event
                    .record(piece, end, tape, &mut releases)
                    .map_err(Interrupted::NotRecorded)?;
            }
        }
        if !stream.reading && !stream.split && releases.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            // First: what is handed to a client that has gone is not given to anybody.
            why = &mut ended => return Err(why),
            released = releases.step(&mut exit, stream.is_complete()), if !releases.is_empty() => {
                released.map_err(Interrupted::NotRecorded)?;
            }
            read = body.next(), if stream.reading && !stream.split && releases.has_room() => {
                stream.take(read, tape);
                stream.take_what_is_here(&mut body, tape).await;
            }
            () = std::future::ready(()), if exit.is_closed() && releases.is_empty() => {
                exit.open();
            }
        }
    }
    if stream.lost {
        return Err(Interrupted::UpstreamLost);
    }
    tape.released();
    exit.finish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn comments_and_unknown_lines_are_both_kept() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(joined(text("ping"), text("x: 1")), text("ping\nx: 1"));
        assert_eq!(joined(None, text("x: 1")), text("x: 1"));
        assert_eq!(joined(text("ping"), None), text("ping"));
        assert_eq!(joined(None, None), None);
    }
}
