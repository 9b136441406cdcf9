//! Requests to one target over HTTP/1.1, on kept connections, each sent at most once.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use super::bridge::{Lost, Pipe};
use super::connect::{ConnectError, Connector};
use super::credential::CredentialError;
use super::idle::IdleConnections;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The target was sent nothing.
    #[error("the target cannot be reached: {0}")]
    NotSent(#[source] ConnectError),
    /// The target was sent nothing: there is nothing to show to it.
    #[error(transparent)]
    NoCredential(CredentialError),
    /// Bytes of the request may have reached the target; it may have acted on them.
    #[error("the target's connection was lost before its answer began: {0}")]
    Lost(#[source] hyper::Error),
    /// The target answered 101: from there on its connection is nothing that could be recorded.
    #[error("the target switched protocols, which nobody asked for")]
    Switched,
    /// The target's process or stream has ended; it may have acted.
    #[error("the target ended")]
    Over,
}

/// The connections of one target.
pub(crate) struct Client {
    connector: Connector,
    idle: Arc<IdleConnections>,
}

impl Client {
    pub(crate) fn new(connector: Connector) -> Self {
        Self {
            connector,
            idle: Arc::default(),
        }
    }

    /// Sends the request on a kept connection or a new one, and waits for the answer's head as long as it takes.
    ///
    /// Only a request that hyper gives back, because no byte of it was written, is tried on another connection: a
    /// request is never sent twice. Dropping the future closes the connection.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<UpstreamAnswer, SendError> {
        loop {
            let (mut sender, kept) = match self.idle.take() {
                Some(sender) => (sender, true),
                None => (self.connector.connect().await.map_err(SendError::NotSent)?, false),
            };
            let mut failed = match sender.try_send_request(request).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    if head.status == StatusCode::SWITCHING_PROTOCOLS {
                        return Err(SendError::Switched);
                    }
                    let body = UpstreamBody {
                        source: Source::Http(body),
                        kept: Some((sender, Arc::clone(&self.idle))),
                    };
                    return Ok(UpstreamAnswer {
                        status: head.status,
                        headers: head.headers,
                        body,
                    });
                }
                Err(failed) => failed,
            };
            match failed.take_message() {
                // At most once per kept connection, each of which is gone by then.
                Some(unsent) if kept => request = unsent,
                Some(_) => return Err(SendError::NotSent(ConnectError::Http(failed.into_error()))),
                None => return Err(SendError::Lost(failed.into_error())),
            }
        }
    }
}

/// A target's answer: its head, and its body to be read.
pub(crate) struct UpstreamAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: UpstreamBody,
}

/// The body of an answer. Its connection is kept once it was read to the end, and closed if it is dropped before.
pub(crate) struct UpstreamBody {
    source: Source,
    kept: Option<(SendRequest<Full<Bytes>>, Arc<IdleConnections>)>,
}

enum Source {
    Http(Incoming),
    Whole(Bytes),
    Pipe(Pipe),
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl UpstreamBody {
    /// A body that is here already.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self {
            source: Source::Whole(bytes),
            kept: None,
        }
    }

    pub(super) fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    /// A body that comes from a conversation.
    pub(super) fn piped(pipe: Pipe) -> Self {
        Self {
            source: Source::Pipe(pipe),
            kept: None,
        }
    }

    /// The next bytes; none at the end. Trailers are dropped: nothing of MCP is in them. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let body = match &mut self.source {
            Source::Http(body) => body,
            Source::Whole(bytes) if bytes.is_empty() => return Ok(None),
            Source::Whole(bytes) => return Ok(Some(std::mem::take(bytes))),
            Source::Pipe(pipe) => return Ok(pipe.next().await?),
        };
        loop {
            let Some(frame) = body.frame().await else {
                if let Some((sender, idle)) = self.kept.take() {
                    idle.put(sender);
                }
                return Ok(None);
            };
            if let Ok(data) = frame?.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
    }

    /// Whether it is known already that nothing follows.
    pub(crate) fn is_over(&mut self) -> bool {
        let over = match &self.source {
            Source::Http(body) => Pin::new(body).is_end_stream(),
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Pipe(_) => false,
        };
        if over && let Some((sender, idle)) = self.kept.take() {
            idle.put(sender);
        }
        over
    }

    /// Length, where the target declared it.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.source {
            Source::Http(body) => body.size_hint().exact(),
            Source::Whole(bytes) => Some(bytes.len() as u64),
            Source::Pipe(_) => None,
        }
    }
}
