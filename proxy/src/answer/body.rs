//! An answer that is one message: JSON, or whatever else is no event stream.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use tapedeck_schemas::{End, MAX_PART, Part};
use tapedeck_wire::envelope::{EnvelopeScanner, Limits};

use super::release::{Exit, Releases};
use super::{Interrupted, record_whole, rpc_of_answer};
use crate::client_side::ClientSide;
use crate::ends::{AnswerPiece, Tape};
use crate::metrics::Flow;
use crate::record::NotRecorded;
use crate::upstream::UpstreamBody;

/// Collects what arrives into parts of at most [`MAX_PART`], without copying what arrives in one piece.
#[derive(Default)]
struct Collected {
    first: Bytes,
    more: BytesMut,
}

impl Collected {
    fn len(&self) -> usize {
        if self.more.is_empty() {
            self.first.len()
        } else {
            self.more.len()
        }
    }

    fn push(&mut self, bytes: Bytes) {
        if self.len() == 0 {
            self.first = bytes;
            return;
        }
        if self.more.is_empty() {
            self.more.reserve(self.first.len() + bytes.len());
            self.more.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.more.extend_from_slice(&bytes);
    }

    fn take(&mut self) -> Bytes {
        if self.more.is_empty() {
            std::mem::take(&mut self.first)
        } else {
            self.more.split().freeze()
        }
    }
}

/// The message as it comes, cut into parts.
struct Parts {
    scanner: EnvelopeScanner,
    collected: Collected,
    index: i32,
    is_accepted: bool,
}

impl Parts {
    /// Takes bytes; records every part that is full and not the last.
    fn push(&mut self, mut bytes: Bytes, tape: &mut Tape, releases: &mut Releases<'_>) -> Result<(), NotRecorded> {
        // An answer that is no JSON-RPC is recorded all the same: the scanner then only remembers that.
        let _ = self.scanner.push(&bytes);
        while self.collected.len() + bytes.len() > MAX_PART {
            self.collected.push(bytes.split_to(MAX_PART - self.collected.len()));
            let part = Part {
                index: self.index,
                last: false,
            };
            let payload = self.collected.take();
            let piece = AnswerPiece {
                payload: Some(payload.clone()),
                part,
                rpc: None,
                sse: None,
                end: None,
            };
            releases.push(tape.answer(piece)?, payload);
            self.index += 1;
        }
        if !bytes.is_empty() {
            self.collected.push(bytes);
        }
        Ok(())
    }

    /// Records the last part: with the whole envelope and the end if the body is complete, else as far as it came.
    fn finish(mut self, complete: bool, tape: &mut Tape, releases: &mut Releases<'_>) -> Result<(), NotRecorded> {
        let rest = self.collected.take();
        if rest.is_empty() && !complete {
            return Ok(());
        }
        let envelope = complete.then(|| self.scanner.finish().ok()).flatten();
        let is_empty = rest.is_empty() && self.index == 0;
        let end = if is_empty && self.is_accepted {
            End::Accepted
        } else {
            End::Answered
        };
        let piece = AnswerPiece {
            payload: (!rest.is_empty()).then(|| rest.clone()),
            part: Part {
                index: self.index,
                last: true,
            },
            rpc: Some(rpc_of_answer(envelope.as_ref(), tape)),
            sse: None,
            end: complete.then_some(end),
        };
        record_whole(piece, envelope.as_ref(), rest, tape, releases)
    }
}

/// Records and releases a body to its end, unless `ended` says that the exchange has to end before. The head is released
/// with the first durable part.
pub(crate) async fn relay_body(
    tape: &mut Tape,
    mut body: UpstreamBody,
    head: Response<()>,
    client: &mut ClientSide,
    mut ended: Pin<&mut impl Future<Output = Interrupted>>,
    flow: &Flow,
) -> Result<(), Interrupted> {
    let is_accepted = head.status() == StatusCode::ACCEPTED;
    let length = body.length();
    let mut exit = Exit::Closed { client, head, length };
    let mut releases = Releases::new(flow);
    let mut parts = Some(Parts {
        scanner: EnvelopeScanner::new(Limits::TARGET),
        collected: Collected::default(),
        index: 0,
        is_accepted,
    });
    let mut lost = false;
    loop {
        // Known without waiting where the target declared a length: the common answer is one read.
        if parts.is_some() && body.is_over() {
            let parts = parts.take().expect("it was there a line above");
            parts
                .finish(true, tape, &mut releases)
                .map_err(Interrupted::NotRecorded)?;
        }
        if parts.is_none() && releases.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            // First: what is handed to a client that has gone is not given to anybody.
            why = &mut ended => return Err(why),
            released = releases.step(&mut exit, parts.is_none() && !lost), if !releases.is_empty() => {
                released.map_err(Interrupted::NotRecorded)?;
            }
            read = body.next(), if parts.is_some() && releases.has_room() => match (read, &mut parts) {
                (Ok(Some(bytes)), Some(parts)) => parts.push(bytes, tape, &mut releases).map_err(Interrupted::NotRecorded)?,
                (Ok(None), parts) => if let Some(parts) = parts.take() {
                    parts.finish(true, tape, &mut releases).map_err(Interrupted::NotRecorded)?;
                },
                (Err(error), parts) => {
                    tracing::debug!(exchange = %tape.exchange_id(), %error, "a target's answer broke off");
                    lost = true;
                    if let Some(parts) = parts.take() {
                        parts.finish(false, tape, &mut releases).map_err(Interrupted::NotRecorded)?;
                    }
                }
                (Ok(Some(_)), None) => {}
            },
        }
    }
    if lost {
        return Err(Interrupted::UpstreamLost);
    }
    tape.released();
    exit.finish();
    Ok(())
}
