//! HTTP/2 to a target: one connection, and how many requests are on it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body_util::Full;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::idle::LONGEST;
use super::pool::Connection;

/// Most requests at once on one connection; where the target allows fewer, so many. Servers should allow a hundred
/// (RFC 9113, section 6.5.2). One connection that is lost takes no more than these with it.
const STREAMS: usize = 64;
/// What a target may send of one answer that the proxy has not taken yet: what a slow client's answer waits in.
const STREAM_WINDOW: u32 = 256 * 1024;
/// So that answers that nobody takes hold up no other on their connection: there is room for all of them.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS as u32;
/// The longest head of an answer, as the protocol counts it. HTTP/1.1 has 100 fields.
const LONGEST_HEAD: u32 = 64 * 1024;
/// A target that answers no ping while requests are on their way is gone, and so are their answers.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// A connection that many requests share.
pub(super) struct Multiplexed {
    sender: SendRequest<Full<Bytes>>,
    load: Arc<Load>,
}

struct Load {
    /// Requests whose answers are not over.
    open: AtomicUsize,
    /// As many as there may be: [`STREAMS`], or fewer where the target allows fewer. One, until it has said.
    most: AtomicUsize,
    /// Whether an answer has begun. What the target allows is said before that (RFC 9113, section 3.4).
    heard: AtomicBool,
    /// The task that reads the connection, to be told of that.
    reader: AtomicWaker,
    /// When the last answer was over.
    idle_since: Mutex<Instant>,
}

/// One request's place on a connection, until its answer is over.
pub(super) struct Stream(Arc<Load>);

impl Stream {
    /// The answer has begun.
    pub(super) fn heard(&self) {
        if !self.0.heard.swap(true, Ordering::AcqRel) {
            self.0.reader.wake();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Before it counts as idle: whoever sees it so must see since when.
        *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.open.fetch_sub(1, Ordering::Release);
    }
}

impl Multiplexed {
    /// Begins HTTP/2 on a connection that was agreed to speak it.
    pub(super) async fn handshake<T>(io: T) -> hyper::Result<Self>
    where
        T: Read + Write + Unpin + Send + 'static,
    {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(LONGEST_HEAD)
            .keep_alive_interval(PING_INTERVAL)
            .handshake(io)
            .await?;
        let load = Arc::new(Load {
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(1),
            heard: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            idle_since: Mutex::new(Instant::now()),
        });
        let counted = Arc::clone(&load);
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            // It is polled whenever a request is handed over, too: the limit is as of then.
            let ended = poll_fn(|cx| {
                counted.reader.register(cx.waker());
                let polled = connection.as_mut().poll(cx);
                if counted.heard.load(Ordering::Acquire) {
                    let allowed = connection.current_max_send_streams();
                    counted.most.store(allowed.min(STREAMS), Ordering::Relaxed);
                }
                polled
            });
            if let Err(error) = ended.await {
                // The requests that were on it see the same and report it.
                tracing::debug!(%error, "a connection to a target ended");
            }
        });
        Ok(Self { sender, load })
    }

    /// Whether it takes requests, now or later. One that the target said goodbye on (GOAWAY) takes none.
    pub(super) fn is_usable(&self) -> bool {
        let is_old = || {
            let since = self.load.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
            since.elapsed() >= LONGEST
        };
        !self.sender.is_closed() && (self.load.open.load(Ordering::Acquire) > 0 || !is_old())
    }

    /// A place for one more request. None: there are as many as there may be. A request beyond them would wait for another
    /// to end, and a listening stream never does.
    pub(super) fn place(&self) -> Option<Connection> {
        let most = self.load.most.load(Ordering::Relaxed);
        let more = |open: usize| (open < most).then_some(open + 1);
        self.load
            .open
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()?;
        Some(Connection::Http2(self.sender.clone(), Stream(Arc::clone(&self.load))))
    }
}
