//! Connections that wait for their next request.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;

/// Most idle connections kept per target.
const MOST: usize = 256;
/// Longest time a connection waits. Below the 5 s after which common servers (Node, uvicorn) close theirs: a request that
/// meets such a close on its way may have been seen, so it could not be tried again.
pub(super) const LONGEST: Duration = Duration::from_secs(4);

struct Idle {
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

/// The idle connections of one target, the most recently used last.
#[derive(Default)]
pub(super) struct IdleConnections(Mutex<VecDeque<Idle>>);

impl IdleConnections {
    /// The most recently used connection that is ready.
    pub(super) fn take(&self) -> Option<SendRequest<Full<Bytes>>> {
        let now = Instant::now();
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Oldest first: a look at all of them would cost each request more than the rest of this.
        while idle.front().is_some_and(|one| now.duration_since(one.since) >= LONGEST) {
            idle.pop_front();
        }
        let mut index = idle.len();
        while index > 0 {
            index -= 1;
            let sender = &idle[index].sender;
            // One whose last answer was read a moment ago may not be ready yet: it stays.
            if sender.is_ready() || sender.is_closed() {
                let taken = idle.remove(index)?.sender;
                if !taken.is_closed() {
                    return Some(taken);
                }
            }
        }
        None
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn put(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= MOST {
            idle.retain(|one| !one.sender.is_closed() && one.since.elapsed() < LONGEST);
        }
        if idle.len() < MOST && !sender.is_closed() {
            idle.push_back(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }
}
