//! Both ends of event streams on which nothing happens: a target that is silent until it is told to speak, and clients that
//! listen.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use super::load::TOKEN;

/// POST here makes the target speak on all of its streams.
pub(super) const SPEAK: &str = "/speak";

const EVENT: &[u8] =
    b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"data\":\"awake\"}}\n\n";
/// Streams that are opened at once: so many more wait in no queue of the operating system's.
const AT_ONCE: usize = 64;

/// What all listeners have heard.
#[derive(Debug, Serialize, Deserialize)]
pub struct Heard {
    /// Streams on which an event came.
    pub events: usize,
}

/// Answers every GET with a stream that is silent until somebody POSTs to `/speak`; then one event comes on each.
///
/// # Errors
/// When the address is taken.
pub fn silent(address: SocketAddr) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(4096)?;
        let speaks = watch::Sender::new(false);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let speaks = speaks.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                if request.method() == Method::POST {
                    speaks.send_replace(true);
                }
                let mut spoken = speaks.subscribe();
                let event = async move {
                    // Its sender is in every connection.
                    let _ = spoken.wait_for(|speaks| *speaks).await;
                    Ok::<_, Infallible>(Frame::data(Bytes::from_static(EVENT)))
                };
                let mut response = Response::new(StreamBody::new(futures_util::stream::once(Box::pin(event))));
                let events = HeaderValue::from_static("text/event-stream");
                response.headers_mut().insert(CONTENT_TYPE, events);
                std::future::ready(Ok::<_, Infallible>(response))
            });
            // A connection that fails is its client's to report.
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    })
}

/// Opens so many streams, each on a connection of its own, and listens until an event has come on each.
///
/// # Errors
/// A stream that does not open, or ends before its event.
pub fn listen(url: &Url, streams: usize) -> anyhow::Result<Heard> {
    let authority = url.authority().to_owned();
    let mut request = Request::get(url.path())
        .header(HOST, &authority)
        .header(ACCEPT, "text/event-stream")
        .header("mcp-protocol-version", "2025-11-25");
    if let Ok(token) = std::env::var(TOKEN) {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let places = std::sync::Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        let mut listeners = JoinSet::new();
        for _ in 0..streams {
            let (authority, request, places) = (authority.clone(), request.clone(), places.clone());
            listeners.spawn(async move {
                let place = places.acquire_owned().await?;
                let stream = TcpStream::connect(&authority).await.context("no connection")?;
                let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                let answer = sender.send_request(request).await?;
                ensure!(
                    answer.status() == StatusCode::OK,
                    "a stream is answered with {}",
                    answer.status()
                );
                drop(place);
                let frame = answer.into_body().frame().await.context("a stream ended")??;
                let data = frame.into_data().unwrap_or_default();
                ensure!(
                    data.starts_with(b"data: "),
                    "a stream carried something else than its event"
                );
                Ok(())
            });
        }
        let mut events = 0;
        while let Some(listened) = listeners.join_next().await {
            listened??;
            events += 1;
        }
        Ok(Heard { events })
    })
}
