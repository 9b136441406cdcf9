//! A target whose answers are event streams. It can die, be held, and says what reached it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Events before the result of each call.
pub(crate) const EVENTS: usize = 8;
/// Events that are sent while the target is held.
pub(crate) const FIRST: usize = 3;
/// Between two events.
const PAUSE: Duration = Duration::from_millis(3);

/// What reached the target, and what became of it there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Streams whose connection went away before they ended.
    pub(crate) abandoned: usize,
    /// Streams that were sent to their end.
    pub(crate) finished: usize,
}

/// The target.
#[derive(Debug)]
pub(crate) struct Streamer {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: Mutex<Option<(CancellationToken, JoinHandle<()>)>>,
}

#[derive(Debug)]
struct Shared {
    texts: Mutex<Vec<String>>,
    counts: watch::Sender<Counts>,
    /// Whether streams stop after their [`FIRST`] events.
    held: watch::Sender<bool>,
}

impl Streamer {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let this = Self {
            address: listener.local_addr()?,
            shared: Arc::new(Shared {
                texts: Mutex::default(),
                counts: watch::Sender::default(),
                held: watch::Sender::default(),
            }),
            running: Mutex::default(),
        };
        this.serve(listener);
        Ok(this)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// As `kill -9` of a server looks to its peers: every connection is gone, and nobody listens.
    pub(crate) async fn kill(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((alive, listening)) = running {
            alive.cancel();
            // The port is free then.
            let _ = listening.await;
        }
    }

    /// Listens again, where it did.
    pub(crate) fn restart(&self) -> anyhow::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address).context("the port that it had")?;
        self.serve(socket.listen(1024)?);
        Ok(())
    }

    /// From now on streams stop after [`FIRST`] events, or go on.
    pub(crate) fn hold(&self, held: bool) {
        self.shared.held.send_replace(held);
    }

    pub(crate) fn counts(&self) -> watch::Receiver<Counts> {
        self.shared.counts.subscribe()
    }

    /// The texts of all calls that arrived, in their order, repeated if they came twice.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.shared.texts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn serve(&self, listener: TcpListener) {
        let (alive, shared) = (CancellationToken::new(), Arc::clone(&self.shared));
        let listening = tokio::spawn(accept(listener, shared, alive.clone()));
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = Some((alive, listening));
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, alive: CancellationToken) {
    while let Some(Ok((stream, _))) = alive.run_until_cancelled(listener.accept()).await {
        let _ = stream.set_nodelay(true);
        let (shared, alive) = (Arc::clone(&shared), alive.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&shared)));
            let connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            // How it ended is what the test looks at from the other side.
            let _ = alive.run_until_cancelled(connection).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible> + use<>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = message["params"]["arguments"]["text"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    shared
        .texts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(text.clone());
    let (events, mut sent) = mpsc::channel::<Bytes>(1);
    tokio::spawn(send(text, message["id"].clone(), events, shared));
    let stream = futures_util::stream::poll_fn(move |cx| {
        let event = sent.poll_recv(cx);
        event.map(|event| event.map(|event| Ok::<_, Infallible>(Frame::data(event))))
    });
    let mut response = Response::new(StreamBody::new(stream));
    let events = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, events);
    Ok(response)
}

async fn send(text: String, id: Value, events: mpsc::Sender<Bytes>, shared: Arc<Shared>) {
    let mut held = shared.held.subscribe();
    for number in 0..=EVENTS {
        if number == FIRST {
            tokio::select! {
                _ = held.wait_for(|held| !held) => {}
                () = events.closed() => {}
            }
        }
        let message = match number {
            EVENTS => {
                json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": text }] } })
            }
            _ => {
                json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": format!("{text}: {number}") } })
            }
        };
        if events.send(format!("data: {message}\n\n").into()).await.is_err() {
            return shared.counts.send_modify(|counts| counts.abandoned += 1);
        }
        tokio::time::sleep(PAUSE).await;
    }
    shared.counts.send_modify(|counts| counts.finished += 1);
}
