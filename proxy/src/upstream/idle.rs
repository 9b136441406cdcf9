//! Connections that wait for their next request.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;

/// Most idle connections kept per target.
const MOST: usize = 256;
/// Longest time a connection waits. Below the 5 s after which common servers (Node, uvicorn) close theirs: a request that
/// meets such a close on its way may have been seen, so it could not be tried again.
const LONGEST: Duration = Duration::from_secs(4);

struct Idle {
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

/// The idle connections of one target, the most recently used last.
#[derive(Default)]
pub(super) struct IdleConnections(Mutex<Vec<Idle>>);

impl IdleConnections {
    /// The most recently used connection that is ready.
    pub(super) fn take(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|one| !one.sender.is_closed() && one.since.elapsed() < LONGEST);
        // One whose last answer was read a moment ago may not be ready yet: it stays.
        let index = idle.iter().rposition(|one| one.sender.is_ready())?;
        Some(idle.remove(index).sender)
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn put(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= MOST {
            idle.retain(|one| !one.sender.is_closed() && one.since.elapsed() < LONGEST);
        }
        if idle.len() < MOST && !sender.is_closed() {
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }
}
