//! An answer that is a stream of server-sent events: each is recorded, and released when it is durable.

use std::pin::Pin;

use http::Response;
use tapedeck_schemas::{End, MAX_PART, Part, Sse};
use tapedeck_wire::envelope::{EnvelopeScanner, Limits};
use tapedeck_wire::events::{LINE_LIMIT, Piece, Splitter};

use super::release::{Exit, Releases};
use super::{Interrupted, record_whole, rpc_of_answer};
use crate::client_side::ClientSide;
use crate::ends::{AnswerPiece, Tape};
use crate::metrics::Flow;
use crate::record::NotRecorded;
use crate::upstream::UpstreamBody;

/// Size from which on an event is cut: a piece may be longer by a line, and a payload has at most [`MAX_PART`] bytes.
const PART_LIMIT: usize = MAX_PART - 2 * LINE_LIMIT;

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

    /// Records a piece of it; after the last the next event begins.
    fn record(&mut self, piece: Piece, tape: &mut Tape, releases: &mut Releases<'_>) -> Result<(), NotRecorded> {
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
            end: None,
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

/// Records and releases a stream to its end, unless `ended` says that the exchange has to end before. The head is released
/// at once: a listening stream is open before its first event.
pub(crate) async fn relay_events(
    tape: &mut Tape,
    mut body: UpstreamBody,
    head: Response<()>,
    client: &mut ClientSide,
    mut ended: Pin<&mut impl Future<Output = Interrupted>>,
    flow: &Flow,
) -> Result<(), Interrupted> {
    let mut exit = Exit::Closed {
        client,
        head,
        length: body.length(),
    };
    exit.open();
    let mut releases = Releases::new(flow);
    let mut splitter = Splitter::new(PART_LIMIT);
    let mut event = Event::new();
    let mut reading = true;
    let mut lost = false;
    // Whether the splitter may hold pieces: one read can bring more events than may be on their way at once.
    let mut split = false;
    loop {
        while split && releases.has_room() {
            let piece = if reading {
                splitter.next_piece()
            } else {
                splitter.finish()
            };
            match piece {
                Some(piece) => event
                    .record(piece, tape, &mut releases)
                    .map_err(Interrupted::NotRecorded)?,
                None => split = false,
            }
        }
        if !reading && !split && releases.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            released = releases.step(&mut exit, false), if !releases.is_empty() => {
                released.map_err(Interrupted::NotRecorded)?;
            }
            read = body.next(), if reading && !split && releases.has_room() => {
                split = true;
                match read {
                    Ok(Some(bytes)) => splitter.push(bytes),
                    Ok(None) => reading = false,
                    Err(error) => {
                        tracing::debug!(exchange = %tape.exchange_id(), %error, "a target's stream broke off");
                        (reading, lost) = (false, true);
                    }
                }
            }
            why = &mut ended => return Err(why),
        }
    }
    if lost {
        return Err(Interrupted::UpstreamLost);
    }
    tape.end(End::Answered);
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
