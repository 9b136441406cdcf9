//! Pieces between "handed to the recorder" and "taken by the client", in order.

use std::collections::VecDeque;

use bytes::Bytes;
use http::Response;

use super::{IN_FLIGHT, PIECES_IN_FLIGHT};
use crate::client_side::{ClientSide, Outlet};
use crate::metrics::Flow;
use crate::record::{NotRecorded, Pending};

/// Where the head and the pieces of an answer go.
pub(super) enum Exit<'a> {
    /// The head waits for the first durable piece.
    Closed {
        client: &'a mut ClientSide,
        head: Response<()>,
        length: Option<u64>,
    },
    /// The head was released.
    Open(Outlet),
    /// All was released.
    Over,
}

impl Exit<'_> {
    /// Releases the head, if it was not.
    pub(super) fn open(&mut self) -> &mut Outlet {
        if let Self::Closed { .. } = self
            && let Self::Closed { client, head, length } = std::mem::replace(self, Self::Over)
        {
            *self = Self::Open(client.open(head, length));
        }
        match self {
            Self::Open(outlet) => outlet,
            Self::Closed { .. } => unreachable!("a closed exit was opened above"),
            Self::Over => unreachable!("nothing follows what was the last"),
        }
    }

    /// Whether nothing was released yet.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// Releases the head with all of its body at once, if nothing was released: most answers come in one piece, which
    /// then needs no channel and is one write. Else gives the piece back.
    fn release_whole(&mut self, body: Bytes) -> Result<(), Bytes> {
        match std::mem::replace(self, Self::Over) {
            Self::Closed { client, head, .. } => {
                client.respond(head.map(|()| body));
                Ok(())
            }
            other => {
                *self = other;
                Err(body)
            }
        }
    }

    /// All was released, which may be nothing: the client's body ends cleanly.
    pub(super) fn finish(self) {
        match self {
            Self::Open(outlet) => outlet.finish(),
            Self::Closed { client, head, .. } => client.respond(head.map(|()| Bytes::new())),
            Self::Over => {}
        }
    }
}

/// The queue.
pub(super) struct Releases<'a> {
    /// In order: the record that a piece waits for, if any, and its bytes. One without bytes has only to become durable.
    waiting: VecDeque<(Option<Pending>, Bytes)>,
    /// Durable, to be released next.
    ready: Option<Bytes>,
    /// Invariant: the bytes of `waiting` and `ready`.
    bytes: usize,
    flow: &'a Flow,
}

impl<'a> Releases<'a> {
    pub(super) fn new(flow: &'a Flow) -> Self {
        Self {
            waiting: VecDeque::new(),
            ready: None,
            bytes: 0,
            flow,
        }
    }

    /// A piece whose recording has begun.
    pub(super) fn push(&mut self, pending: Pending, bytes: Bytes) {
        self.bytes += bytes.len();
        self.waiting.push_back((Some(pending), bytes));
    }

    /// A piece in which there is nothing to record: it waits only for its turn.
    pub(super) fn push_unrecorded(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        self.waiting.push_back((None, bytes));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.ready.is_none()
    }

    /// Whether another piece may be recorded. Where there is no room the queue is not empty.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < IN_FLIGHT && self.waiting.len() < PIECES_IN_FLIGHT
    }

    /// Waits until the oldest piece is durable, then releases it, and before the first the head. Safe to cancel: no
    /// piece is lost or released twice. `is_complete`: what is here ends the answer as its target meant it to end.
    ///
    /// The queue must not be empty.
    pub(super) async fn step(&mut self, exit: &mut Exit<'_>, is_complete: bool) -> Result<(), NotRecorded> {
        if self.ready.is_none()
            && let Some((pending, _)) = self.waiting.front_mut()
        {
            let outcome = match pending {
                Some(pending) => pending.await.map(drop),
                None => Ok(()),
            };
            let (_, bytes) = self
                .waiting
                .pop_front()
                .expect("it was awaited just now, and nothing else takes from the front");
            outcome?;
            self.ready = Some(bytes);
        }
        let size = self.ready.as_ref().map_or(0, Bytes::len);
        if is_complete && self.waiting.is_empty() {
            self.ready = self.ready.take().and_then(|piece| exit.release_whole(piece).err());
        }
        if size == 0 {
            self.ready = None;
            return Ok(());
        }
        if self.ready.is_some() {
            exit.open().release(&mut self.ready).await;
        }
        self.bytes -= size;
        self.flow.to_client(size);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt as _;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::client_side;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn small_pieces_fill_the_room_by_their_number_and_large_ones_by_their_bytes() {
        let flow = Metrics::new(&mut Registry::default()).flow("demo");
        let (mut client, _awaited) = client_side::pair(|_| {});
        let mut exit = Exit::Closed {
            client: &mut client,
            head: Response::new(()),
            length: None,
        };
        let mut releases = Releases::new(&flow);
        for _ in 0..PIECES_IN_FLIGHT {
            assert!(releases.has_room());
            releases.push_unrecorded(Bytes::from_static(b"\n"));
        }
        assert!(!releases.has_room(), "a frame costs more than the bytes in it");
        releases
            .step(&mut exit, false)
            .await
            .expect("there is nothing to record");
        assert!(releases.has_room());

        let mut releases = Releases::new(&flow);
        releases.push_unrecorded(Bytes::from(vec![0; IN_FLIGHT]));
        assert!(!releases.has_room());
        assert!(!releases.is_empty());
    }

    /// What comes out when these pieces go in, all of which are there before the first is released.
    async fn released(pieces: &[&'static str]) -> (Option<u64>, String) {
        let flow = Metrics::new(&mut Registry::default()).flow("demo");
        let (mut client, awaited) = client_side::pair(|_| {});
        let mut exit = Exit::Closed {
            client: &mut client,
            head: Response::new(()),
            length: None,
        };
        let mut releases = Releases::new(&flow);
        for piece in pieces {
            releases.push_unrecorded(Bytes::from_static(piece.as_bytes()));
        }
        let releasing = async {
            while !releases.is_empty() {
                releases
                    .step(&mut exit, true)
                    .await
                    .expect("there is nothing to record");
            }
            exit.finish();
        };
        let taking = async {
            let body = awaited.answer().await.expect("an answer").into_body();
            let length = body.size_hint().exact();
            (length, body.collect().await.expect("it is not cut").to_bytes())
        };
        let ((), (length, body)) = tokio::join!(releasing, taking);
        assert_eq!(releases.bytes, 0);
        (length, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn an_answer_of_one_piece_is_released_at_once_and_one_of_several_piece_by_piece() {
        assert_eq!(released(&["one"]).await, (Some(3), "one".to_owned()));
        assert_eq!(released(&[""]).await, (Some(0), String::new()));
        // Frames of a batch: their bytes are in the last.
        assert_eq!(released(&["", "", "all"]).await, (Some(3), "all".to_owned()));
        assert_eq!(released(&["one", "two"]).await, (None, "onetwo".to_owned()));
    }
}
