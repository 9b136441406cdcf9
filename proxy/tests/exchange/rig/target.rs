//! A target that answers as a test tells it to, and remembers what it saw.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// With the query, if there is one.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer. An error in its body breaks the connection.
pub(crate) struct Reply(Response<BoxBody<Bytes, Broken>>);

/// What breaks a connection.
#[derive(Debug, thiserror::Error)]
#[error("broken on purpose")]
pub(crate) struct Broken;

impl Reply {
    /// A whole body with its length.
    pub(crate) fn whole(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::of(
            content_type,
            Full::new(body.into()).map_err(|never| match never {}).boxed(),
        )
    }

    pub(crate) fn json(body: impl Into<Bytes>) -> Self {
        Self::whole("application/json", body)
    }

    pub(crate) fn accepted() -> Self {
        let mut reply = Self::json("").status(202);
        reply.0.headers_mut().remove("content-type");
        reply
    }

    /// A body in pieces, without a length, as they are sent.
    pub(crate) fn pieces(content_type: &str) -> (mpsc::Sender<Result<Bytes, Broken>>, Self) {
        let (sender, mut receiver) = mpsc::channel::<Result<Bytes, Broken>>(1);
        let stream = futures_util::stream::poll_fn(move |cx| {
            receiver
                .poll_recv(cx)
                .map(|piece| piece.map(|piece| piece.map(Frame::data)))
        });
        (sender, Self::of(content_type, BodyExt::boxed(StreamBody::new(stream))))
    }

    pub(crate) fn events() -> (mpsc::Sender<Result<Bytes, Broken>>, Self) {
        Self::pieces("text/event-stream")
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        *self.0.status_mut() = StatusCode::from_u16(status).expect("a status");
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().insert(name, value.parse().expect("a header"));
        self
    }

    fn of(content_type: &str, body: BoxBody<Bytes, Broken>) -> Self {
        let mut response = Response::new(body);
        response
            .headers_mut()
            .insert("content-type", content_type.parse().expect("a header"));
        Self(response)
    }
}

/// The server.
pub(crate) struct Target {
    address: SocketAddr,
    scheme: &'static str,
    seen: Arc<Mutex<Vec<Seen>>>,
    _held: Option<TcpSocket>,
}

type Answering = Pin<Box<dyn Future<Output = Reply> + Send>>;

impl Target {
    /// Answers each request with what `answer` makes of it.
    pub(crate) async fn start<F>(answer: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::start_behind(None, answer).await
    }

    /// As [`Target::start`], behind TLS.
    pub(crate) async fn start_behind<F>(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(Seen) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let answer: Arc<dyn Fn(Seen) -> Answering + Send + Sync> = Arc::new(move |seen| Box::pin(answer(seen)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, all) = (Arc::clone(&answer), Arc::clone(&all));
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let (answer, all) = (Arc::clone(&answer), Arc::clone(&all));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.expect("a whole body").to_bytes();
                        let seen = Seen {
                            method: head.method.to_string(),
                            path: head.uri.to_string(),
                            headers: head.headers,
                            body,
                        };
                        all.lock().expect("no panic").push(seen.clone());
                        Ok::<_, Infallible>(answer(seen).await.0)
                    }
                });
                let http = http1::Builder::new();
                let Some(tls) = tls.clone() else {
                    tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
                    continue;
                };
                tokio::spawn(async move {
                    // A client that does not trust it goes away.
                    if let Ok(stream) = tls.accept(stream).await {
                        let _ = http.serve_connection(TokioIo::new(stream), service).await;
                    }
                });
            }
        });
        Self {
            address,
            scheme,
            seen,
            _held: None,
        }
    }

    /// A target that is away: its port is held, and nobody listens on it.
    pub(crate) fn nowhere() -> Self {
        let held = TcpSocket::new_v4().expect("a socket");
        held.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let address = held.local_addr().expect("an address");
        Self {
            address,
            scheme: "http",
            seen: Arc::default(),
            _held: Some(held),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its MCP endpoint.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}/mcp", self.scheme, self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }
}
