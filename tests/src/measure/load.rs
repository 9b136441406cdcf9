//! Calls of 1 KiB, one after the other on each connection.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use url::Url;

use super::Summary;

/// Bytes of each call, and of each answer.
pub(super) const KIBIBYTE: usize = 1024;

/// The variable that carries the access token, if one is needed: arguments are seen by everyone.
pub const TOKEN: &str = "TAPEDECK_MEASURE_TOKEN";

/// How much of the time goes before what counts: connections, caches, the target's heap.
const WARMING_UP: f64 = 0.2;

/// Calls for so long; every call must be answered with 200 and 1 KiB.
///
/// # Errors
/// The first call that was not.
pub fn run(url: &Url, connections: usize, within: Duration) -> anyhow::Result<Summary> {
    let mut headers = HeaderMap::new();
    let host = url.host_str().context("the URL has no host")?;
    let port = url.port_or_known_default().context("the URL has no port")?;
    let authority = format!("{host}:{port}");
    headers.insert(HOST, HeaderValue::from_str(&authority)?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert("mcp-protocol-version", HeaderValue::from_static("2025-11-25"));
    if let Ok(token) = std::env::var(TOKEN) {
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
    }
    let caller = Caller {
        authority,
        path: url.path().to_owned(),
        headers,
        body: body(),
        counts_from: Instant::now() + within.mul_f64(WARMING_UP),
        until: Instant::now() + within,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut callers = JoinSet::new();
        for _ in 0..connections {
            callers.spawn(caller.clone().call());
        }
        let (mut latencies, mut warming_up) = (Vec::new(), 0);
        while let Some(called) = callers.join_next().await {
            let (of_one, before) = called??;
            latencies.extend(of_one);
            warming_up += before;
        }
        Ok(Summary::of(latencies, within.mul_f64(1.0 - WARMING_UP), warming_up))
    })
}

fn body() -> Bytes {
    let (head, tail) = (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":""#,
        r#""}}}"#,
    );
    let text = "say ".repeat(KIBIBYTE);
    Bytes::from(format!("{head}{}{tail}", &text[..KIBIBYTE - head.len() - tail.len()]))
}

#[derive(Clone)]
struct Caller {
    authority: String,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    counts_from: Instant,
    until: Instant,
}

impl Caller {
    /// The latencies that count, and how many calls came before.
    async fn call(self) -> anyhow::Result<(Vec<Duration>, u64)> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (mut latencies, mut before) = (Vec::with_capacity(1 << 16), 0);
        loop {
            let began = Instant::now();
            if began >= self.until {
                return Ok((latencies, before));
            }
            let mut request = Request::post(&self.path).body(Full::new(self.body.clone()))?;
            *request.headers_mut() = self.headers.clone();
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            ensure!(
                status == StatusCode::OK && body.len() == KIBIBYTE,
                "a call was answered with {status} and {} bytes",
                body.len()
            );
            if began >= self.counts_from {
                latencies.push(began.elapsed());
            } else {
                before += 1;
            }
            sender.ready().await?;
        }
    }
}
