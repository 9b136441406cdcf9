//! An MCP server that answers as it was told to, byte by byte and piece by piece.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::messages::{Exchange, Reply, result};

type Body = StreamBody<Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>>;

/// It is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Target {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Target {
    /// Serves on a free port of 127.0.0.1, and answers each request of these with its reply.
    ///
    /// # Errors
    /// When there is no port.
    pub(super) async fn start(exchanges: &[Exchange]) -> std::io::Result<Self> {
        let replies: HashMap<String, Reply> = exchanges
            .iter()
            .map(|exchange| (exchange.id.clone(), exchange.reply.clone()))
            .collect();
        let replies = Arc::new(replies);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let replies = Arc::clone(&replies);
                let service = service_fn(move |request: Request<Incoming>| {
                    let replies = Arc::clone(&replies);
                    async move {
                        // A body that breaks off has no one left to be answered.
                        let body = request.into_body().collect().await.map(|body| body.to_bytes());
                        Ok::<_, Infallible>(answer(&replies, &body.unwrap_or_default()))
                    }
                });
                // A connection that fails is its client's to report.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, serving })
    }

    /// Its MCP endpoint.
    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

fn answer(replies: &HashMap<String, Reply>, request: &[u8]) -> Response<Body> {
    let id = serde_json::from_slice::<Head<'_>>(request)
        .ok()
        .and_then(|head| head.id);
    let unknown = |id: &str| Reply {
        status: 200,
        content_type: "application/json",
        chunks: vec![result(id, "{}").into()],
    };
    let reply = match id.map(RawValue::get) {
        // A notification.
        None => Reply {
            status: 202,
            content_type: "application/json",
            chunks: Vec::new(),
        },
        Some(id) => replies.get(id).cloned().unwrap_or_else(|| unknown(id)),
    };
    let chunks = reply.chunks.into_iter().map(|chunk| Ok(Frame::data(chunk)));
    let body: Body = StreamBody::new(Box::pin(stream::iter(chunks)));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    response
}
