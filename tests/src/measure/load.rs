//! Calls of 1 KiB: one after the other on each connection, or as many as are due.

mod events;
mod held;
mod pace;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use url::Url;

use super::Summary;
use super::answers::{Answer, KIBIBYTE};
use super::target::TOOL;
use pace::Pace;

pub use events::delays;
pub use held::{HELD, hold};
pub(super) use pace::punctual;

/// The variable that carries the access token, if one is needed: arguments are seen by everyone.
pub const TOKEN: &str = "TAPEDECK_MEASURE_TOKEN";

/// The variable that carries a session id, if one is needed.
pub const SESSION: &str = "TAPEDECK_MEASURE_SESSION";

/// The variable that carries the tool's name, if it is not `echo`.
pub const TOOL_NAME: &str = "TAPEDECK_MEASURE_TOOL";

/// How a call of this load begins, byte for byte: a target tells it from others without reading it.
pub(super) const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","#;

/// How much of the time goes before what counts: connections, caches, the target's heap.
const WARMING_UP: f64 = 0.2;

/// What to do.
#[derive(Debug)]
pub struct Load {
    /// The MCP endpoint; its path says what is to be answered.
    pub url: Url,
    /// How many calls may be under way.
    pub connections: usize,
    /// For how long.
    pub within: Duration,
    /// Calls a second, all connections together. Latencies then count from the moment at which a call was due, so that
    /// one that is late because others were slow is slow itself ("coordinated omission"). None: as many as there can be.
    pub rate: Option<f64>,
}

/// Calls for so long; every call must be answered with 200 and the whole text of the answer.
///
/// # Errors
/// The first call that was not.
pub fn run(load: &Load) -> anyhow::Result<Summary> {
    let client = Client::of(&load.url)?;
    let named_by = format!("{}/{}", load.url.path(), tool());
    let answer = Answer::at(&format!("/{}", named_by.split('/').find_map(named).unwrap_or_default()));
    let caller = Caller {
        client,
        at_least: answer.text().len(),
        counts_from: Instant::now() + load.within.mul_f64(WARMING_UP),
        until: Instant::now() + load.within,
        pace: load.rate.map(|rate| Arc::new(Pace::start(rate, load.within))),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut callers = JoinSet::new();
        for _ in 0..load.connections {
            callers.spawn(caller.clone().call());
        }
        let (mut latencies, mut warming_up) = (Vec::new(), 0);
        while let Some(called) = callers.join_next().await {
            let (of_one, before) = called??;
            latencies.extend(of_one);
            warming_up += before;
        }
        Ok(Summary::of(
            latencies,
            load.within.mul_f64(1.0 - WARMING_UP),
            warming_up,
        ))
    })
}

/// Reads one answer to its end, whatever its size, and keeps nothing of it.
///
/// # Errors
/// It broke off.
pub fn read(url: &Url) -> anyhow::Result<()> {
    let client = Client::of(url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut sender = client.connect().await?;
        let mut body = client.ask(&mut sender, Method::POST).await?.into_body();
        while body.frame().await.transpose()?.is_some() {}
        Ok(())
    })
}

/// The place of an answer that ends this part of a path or of a tool's name: targets of a proxy are named by mode and
/// place.
fn named(part: &str) -> Option<String> {
    let places = Answer::ALL.map(Answer::place);
    places.into_iter().find(|place| part.ends_with(place.as_str()))
}

fn tool() -> String {
    std::env::var(TOOL_NAME).unwrap_or_else(|_| TOOL.to_owned())
}

fn body() -> Bytes {
    let tool = tool();
    let head =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{"text":""#);
    let tail = r#""}}}"#;
    let text = "say ".repeat(KIBIBYTE);
    Bytes::from(format!("{head}{}{tail}", &text[..KIBIBYTE - head.len() - tail.len()]))
}

/// Whom to call, and what to say.
#[derive(Clone)]
struct Client {
    authority: String,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Client {
    fn of(url: &Url) -> anyhow::Result<Self> {
        let host = url.host_str().context("the URL has no host")?;
        let port = url.port_or_known_default().context("the URL has no port")?;
        let authority = format!("{host}:{port}");
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(&authority)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert("mcp-protocol-version", HeaderValue::from_static("2025-11-25"));
        if let Ok(token) = std::env::var(TOKEN) {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
        }
        if let Ok(session) = std::env::var(SESSION) {
            headers.insert("mcp-session-id", HeaderValue::from_str(&session)?);
        }
        Ok(Self {
            authority,
            path: url.path().to_owned(),
            headers,
            body: body(),
        })
    }

    /// A connection of its own.
    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// A call, or with GET a stream to listen to; answered with 200.
    async fn ask(&self, sender: &mut SendRequest<Full<Bytes>>, method: Method) -> anyhow::Result<Response<Incoming>> {
        let body = if method == Method::POST {
            self.body.clone()
        } else {
            Bytes::new()
        };
        let mut request = Request::builder()
            .method(method)
            .uri(&self.path)
            .body(Full::new(body))?;
        *request.headers_mut() = self.headers.clone();
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        ensure!(status == StatusCode::OK, "a call was answered with {status}");
        Ok(answer)
    }
}

#[derive(Clone)]
struct Caller {
    client: Client,
    at_least: usize,
    counts_from: Instant,
    until: Instant,
    pace: Option<Arc<Pace>>,
}

impl Caller {
    /// The latencies that count, and how many calls came before.
    async fn call(self) -> anyhow::Result<(Vec<Duration>, u64)> {
        let mut sender = self.client.connect().await?;
        let (mut latencies, mut before) = (Vec::with_capacity(1 << 16), 0);
        while let Some(due) = self.due().await {
            let answer = self.client.ask(&mut sender, Method::POST).await?;
            let body = answer.into_body().collect().await?.to_bytes();
            ensure!(
                body.len() >= self.at_least,
                "a call was answered with {} bytes",
                body.len()
            );
            if due >= self.counts_from {
                latencies.push(due.elapsed());
            } else {
                before += 1;
            }
            sender.ready().await?;
        }
        Ok((latencies, before))
    }

    /// When the next call is due, once it is; none at the end.
    async fn due(&self) -> Option<Instant> {
        match &self.pace {
            Some(pace) => pace.next().await,
            None => Some(Instant::now()).filter(|now| *now < self.until),
        }
    }
}
