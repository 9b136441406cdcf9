//! One connection's HTTP.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::Unreadable;
use super::stalled::Taken;
use crate::client_side::AnswerBody;
use crate::config::Limits;

/// Requests at once on one HTTP/2 connection.
const CONCURRENT_STREAMS: u32 = 250;
/// An HTTP/2 connection whose client does not answer pings is dead, and so are its streams.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// As the TLS handshake agreed (ALPN, RFC 7301).
    pub(super) fn negotiated(alpn: Option<&[u8]>) -> Self {
        if alpn == Some(b"h2") { Self::Http2 } else { Self::Http1 }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
        }
    }
}

/// Serves a connection to its end; once `stopping`, to the end of the answer that it is in. Says if it ended because what
/// came was no HTTP.
pub(super) async fn run<I, S>(
    protocol: Protocol,
    io: I,
    service: S,
    limits: Limits,
    stopping: CancellationToken,
) -> Option<Unreadable>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<AnswerBody>, Error = Infallible>,
    S::Future: Send + 'static,
{
    let io = TokioIo::new(Taken::new(io, limits.write_time));
    match protocol {
        Protocol::Http1 => {
            // It takes 100 fields at most by itself. Any number that is set, this one too, makes it write that many
            // empty ones for each request first.
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head_time)
                .max_buf_size(limits.request_head.max(8192))
                .serve_connection(io, service);
            finish(Box::pin(connection), http1::Connection::graceful_shutdown, stopping).await
        }
        Protocol::Http2 => {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(PING_INTERVAL)
                .max_concurrent_streams(CONCURRENT_STREAMS)
                .max_header_list_size(u32::try_from(limits.request_head).unwrap_or(u32::MAX))
                .serve_connection(io, service);
            finish(Box::pin(connection), http2::Connection::graceful_shutdown, stopping).await
        }
    }
}

/// The connection is boxed: each of the futures around it would have room for it once more, and for the other protocol's.
async fn finish<C>(
    mut connection: Pin<Box<C>>,
    shut: impl FnOnce(Pin<&mut C>),
    stopping: CancellationToken,
) -> Option<Unreadable>
where
    C: Future<Output = hyper::Result<()>>,
{
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        () = stopping.cancelled() => {
            shut(connection.as_mut());
            connection.await
        }
    };
    let error = outcome.err()?;
    tracing::debug!(%error, "a client's connection ended");
    if error.is_parse_too_large() {
        Some(Unreadable::HeadTooLarge)
    } else {
        error.is_parse().then_some(Unreadable::Malformed)
    }
}
