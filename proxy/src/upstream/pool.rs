//! The connections of one target that can take another request.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};

use super::http2::{Multiplexed, Stream};
use super::idle::IdleConnections;
use crate::workers;

/// An HTTP/1.1 connection: one request at a time.
pub(super) type Alone = http1::SendRequest<Full<Bytes>>;

/// A connection that was just opened.
pub(super) enum Opened {
    Alone(Alone),
    Shared(Multiplexed),
}

/// A connection with room for a request.
pub(super) enum Connection {
    Http1(Alone),
    Http2(http2::SendRequest<Full<Bytes>>, Stream),
}

/// The connections of one target, apart for each thread that serves clients: one that another thread reads would have to wake
/// that for every piece of an answer.
pub(super) struct Pool(Box<[Kept]>);

#[derive(Default)]
struct Kept {
    idle: IdleConnections,
    /// HTTP/2, whatever is going on on them.
    shared: Mutex<Vec<Multiplexed>>,
}

impl Default for Pool {
    fn default() -> Self {
        Self((0..workers::places()).map(|_| Kept::default()).collect())
    }
}

impl Pool {
    /// A place on a connection that is kept: an HTTP/2 one, or the most recently used that is idle.
    pub(super) fn take(&self) -> Option<Connection> {
        let own = self.own();
        own.place().or_else(|| own.idle.take().map(Connection::Http1))
    }

    /// A place on a connection that was just opened. None: it takes no request at all.
    pub(super) fn add(&self, opened: Opened) -> Option<Connection> {
        match opened {
            Opened::Alone(sender) => Some(Connection::Http1(sender)),
            Opened::Shared(connection) => {
                let placed = connection.place();
                let mut shared = self.own().shared.lock().unwrap_or_else(PoisonError::into_inner);
                shared.push(connection);
                placed
            }
        }
    }

    /// Keeps an HTTP/1.1 connection whose answer was read to its end.
    pub(super) fn put(&self, sender: Alone) {
        self.own().idle.put(sender);
    }

    fn own(&self) -> &Kept {
        // Threads that serve no clients share the first place.
        &self.0[workers::place() % self.0.len()]
    }
}

impl Kept {
    fn place(&self) -> Option<Connection> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(Multiplexed::is_usable);
        shared.iter().find_map(Multiplexed::place)
    }
}
