//! Requests to one target over HTTP/1.1 or HTTP/2, on kept connections, each sent at most once.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::net::TcpStream;

use super::bridge::{Lost, Pipe};
use super::connect::{ConnectError, Connector};
use super::credential::CredentialError;
use super::http2::Stream;
use super::listening::{self, Listening, ListeningError};
use super::pool::{Alone, Connection, Pool};

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
    Lost(#[source] BodyError),
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
    pool: Arc<Pool>,
}

impl Client {
    pub(crate) fn new(connector: Connector) -> Self {
        Self {
            connector,
            pool: Arc::default(),
        }
    }

    /// Sends the request on a kept connection or a new one, and waits for the answer's head as long as it takes.
    ///
    /// Only a request that hyper gives back, because no byte of it was written, is tried on another connection: a
    /// request is never sent twice. That one which an HTTP/2 target refused (RFC 9113, section 8.7) was not acted on is
    /// the target's word alone: it is lost, too. Dropping the future closes the connection, or resets the stream.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<UpstreamAnswer, SendError> {
        if request.method() == Method::GET
            && let Some(connected) = Box::pin(self.connector.plain()).await
        {
            let tcp = connected.map_err(SendError::NotSent)?;
            return Box::pin(self.listen(tcp, &request)).await;
        }
        loop {
            let (connection, is_kept) = match self.pool.take() {
                Some(connection) => (connection, true),
                None => (Box::pin(self.connect()).await.map_err(SendError::NotSent)?, false),
            };
            let mut failed = match self.on(connection, request).await {
                Ok((response, kept)) => {
                    let (head, body) = response.into_parts();
                    if head.status == StatusCode::SWITCHING_PROTOCOLS {
                        return Err(SendError::Switched);
                    }
                    let body = UpstreamBody {
                        source: Source::Http(body),
                        kept: Some(kept),
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
                Some(unsent) if is_kept => request = unsent,
                Some(_) => return Err(SendError::NotSent(ConnectError::Http(failed.into_error()))),
                None => return Err(SendError::Lost(failed.into_error().into())),
            }
        }
    }

    /// Asks for a stream, on a connection of its own.
    async fn listen(&self, tcp: TcpStream, request: &Request<Full<Bytes>>) -> Result<UpstreamAnswer, SendError> {
        let answered = listening::listen(tcp, request, self.connector.authority()).await;
        let (status, headers, body) = answered.map_err(|error| SendError::Lost(error.into()))?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(SendError::Switched);
        }
        let body = UpstreamBody {
            source: Source::Listening(body),
            kept: None,
        };
        Ok(UpstreamAnswer { status, headers, body })
    }

    async fn connect(&self) -> Result<Connection, ConnectError> {
        let opened = self.connector.connect().await?;
        self.pool.add(opened).ok_or(ConnectError::NoStream)
    }

    /// Sends the request on this connection, in the form that its protocol has.
    async fn on(
        &self,
        connection: Connection,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Kept), TrySendError<Request<Full<Bytes>>>> {
        let authority = self.connector.authority();
        match connection {
            Connection::Http1(mut sender) => {
                let response = sender.try_send_request(for_http1(request, authority)).await?;
                Ok((response, Kept::Alone(sender, Arc::clone(&self.pool))))
            }
            Connection::Http2(mut sender, stream) => {
                let response = sender.try_send_request(for_http2(request, authority)).await?;
                stream.heard();
                Ok((response, Kept::Shared(stream)))
            }
        }
    }
}

/// A request whose target is a path, and whose host is a field (RFC 9112, section 3.2.1).
fn for_http1(mut request: Request<Full<Bytes>>, authority: &Authority) -> Request<Full<Bytes>> {
    let host = HeaderValue::from_str(authority.as_str()).expect("an authority is visible ASCII");
    *request.uri_mut() = Uri::from(path_of(&request));
    *request.version_mut() = Version::HTTP_11;
    request.headers_mut().insert(HOST, host);
    request
}

/// A request whose target is a URL, of which the protocol makes `:scheme`, `:authority` and `:path`, in the place of the host
/// field (RFC 9113, section 8.3.1). It is spoken over TLS only.
fn for_http2(mut request: Request<Full<Bytes>>, authority: &Authority) -> Request<Full<Bytes>> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = Some(authority.clone());
    parts.path_and_query = Some(path_of(&request));
    *request.uri_mut() = Uri::from_parts(parts).expect("scheme, authority and path are there");
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(HOST);
    request
}

fn path_of(request: &Request<Full<Bytes>>) -> PathAndQuery {
    let path = request.uri().path_and_query().cloned();
    path.unwrap_or_else(|| PathAndQuery::from_static("/"))
}

/// A target's answer: its head, and its body to be read.
pub(crate) struct UpstreamAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: UpstreamBody,
}

/// The body of an answer. Its connection takes another request once it was read to the end. If it is dropped before, an
/// HTTP/1.1 connection is closed, and an HTTP/2 stream reset.
pub(crate) struct UpstreamBody {
    source: Source,
    kept: Option<Kept>,
}

/// The connection on which an answer comes.
enum Kept {
    Alone(Alone, Arc<Pool>),
    /// Its place is free when this is dropped.
    Shared(Stream),
}

impl Kept {
    /// The answer was read to its end.
    fn release(self) {
        match self {
            Self::Alone(sender, pool) => pool.put(sender),
            Self::Shared(stream) => drop(stream),
        }
    }
}

enum Source {
    Http(Incoming),
    Listening(Listening),
    Whole(Bytes),
    Pipe(Pipe),
}

/// Why a body broke off, or did not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Listening(#[from] ListeningError),
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
            Source::Listening(body) => return Ok(body.next().await?),
            Source::Whole(bytes) if bytes.is_empty() => return Ok(None),
            Source::Whole(bytes) => return Ok(Some(std::mem::take(bytes))),
            Source::Pipe(pipe) => return Ok(pipe.next().await?),
        };
        loop {
            let Some(frame) = body.frame().await else {
                if let Some(kept) = self.kept.take() {
                    kept.release();
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
            Source::Listening(body) => body.is_over(),
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Pipe(_) => false,
        };
        if over && let Some(kept) = self.kept.take() {
            kept.release();
        }
        over
    }

    /// Length, where the target declared it.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.source {
            Source::Http(body) => body.size_hint().exact(),
            Source::Listening(body) => body.length(),
            Source::Whole(bytes) => Some(bytes.len() as u64),
            Source::Pipe(_) => None,
        }
    }
}
