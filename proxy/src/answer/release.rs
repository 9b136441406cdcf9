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
    /// Between the two.
    Opening,
}

impl Exit<'_> {
    /// Releases the head, if it was not.
    pub(super) fn open(&mut self) -> &mut Outlet {
        if let Self::Closed { .. } = self
            && let Self::Closed { client, head, length } = std::mem::replace(self, Self::Opening)
        {
            *self = Self::Open(client.open(head, length));
        }
        match self {
            Self::Open(outlet) => outlet,
            Self::Closed { .. } | Self::Opening => unreachable!("a closed exit was opened above, within one call"),
        }
    }

    /// All was released: the client's body ends cleanly.
    pub(super) fn finish(mut self) {
        self.open();
        if let Self::Open(outlet) = self {
            outlet.finish();
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

    /// Whether the newest piece is not known to be durable yet.
    pub(super) fn awaits_the_record(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Waits until the oldest piece is durable, then releases it, and before the first the head. Safe to cancel: no
    /// piece is lost or released twice.
    ///
    /// The queue must not be empty.
    pub(super) async fn step(&mut self, exit: &mut Exit<'_>) -> Result<(), NotRecorded> {
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
        let outlet = exit.open();
        let size = self.ready.as_ref().map_or(0, Bytes::len);
        if size == 0 {
            self.ready = None;
            return Ok(());
        }
        outlet.release(&mut self.ready).await;
        self.bytes -= size;
        self.flow.to_client(size);
        Ok(())
    }

    /// After a failed [`step`](Self::step): whether the newest piece came to be durable all the same. None is released.
    pub(super) async fn last_is_durable(&mut self) -> bool {
        let mut durable = false;
        while let Some((pending, _)) = self.waiting.pop_front() {
            durable = match pending {
                Some(pending) => pending.await.is_ok(),
                None => durable,
            };
        }
        durable
    }
}

#[cfg(test)]
mod tests {
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
        releases.step(&mut exit).await.expect("there is nothing to record");
        assert!(releases.has_room());

        let mut releases = Releases::new(&flow);
        releases.push_unrecorded(Bytes::from(vec![0; IN_FLIGHT]));
        assert!(!releases.has_room());
        assert!(!releases.is_empty());
    }
}
