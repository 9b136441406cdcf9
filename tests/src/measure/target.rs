//! An MCP server that does nothing but answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::answers::{Answer, PARTS};
use super::load::CALL;

/// An answer of events that say when they were sent, [`TICK`] apart.
pub(super) const TICKS: &str = "ticks";
/// An answer of 1 GiB.
pub(super) const WHOLE: &str = "whole";
/// An answer of a sixteenth of that.
pub(super) const PART: &str = "part";

/// Time between two events of [`TICKS`].
pub(super) const TICK: Duration = Duration::from_millis(10);
/// How many of them there are before the answer's last event.
pub(super) const TICK_COUNT: u32 = 100;
/// What stands in such an event before the microseconds since 1970.
pub(super) const STAMP: &str = r#""data":""#;

/// The tool that a call names.
pub(super) const TOOL: &str = "echo";

/// Of [`WHOLE`], but for what is around the text.
const WHOLE_BYTES: usize = 1 << 30;
const CHUNK: usize = 64 * 1024;

type Chunks = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;
type Body = Either<Full<Bytes>, StreamBody<Chunks>>;

/// Answers every call, once it is read, with what is at its path: a tool's result for the call with id 1, of 1 KiB
/// unless the path asks for another. A GET opens a stream in which nothing happens. To those that begin with
/// `initialize`, it is a server with one tool, `echo`, whose answers have the id of their call.
///
/// # Errors
/// When the address is taken.
pub fn serve(address: SocketAddr) -> std::io::Result<()> {
    let answers = Answer::ALL.map(|answer| (answer, answer.body()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answers = answers.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let answers = answers.clone();
                async move {
                    let (head, body) = request.into_parts();
                    // A body that breaks off has no one left to be answered.
                    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
                    let answer = match body.starts_with(CALL) || head.method != Method::POST {
                        true => answer(&answers, &head.method, head.uri.path()),
                        false => converse(&body, Answer::at(head.uri.path())),
                    };
                    Ok::<_, Infallible>(answer)
                }
            });
            // A connection that fails is its client's to report.
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    })
}

fn answer(answers: &[(Answer, Bytes)], method: &Method, path: &str) -> Response<Body> {
    let (json, events) = ("application/json", "text/event-stream");
    if method == Method::GET {
        return response(events, Either::Right(StreamBody::new(silence())));
    }
    match path.trim_start_matches('/') {
        TICKS => response(events, Either::Right(StreamBody::new(ticks()))),
        WHOLE => response(json, Either::Right(StreamBody::new(text(WHOLE_BYTES)))),
        PART => response(json, Either::Right(StreamBody::new(text(WHOLE_BYTES / 16)))),
        _ => {
            let asked = Answer::at(path);
            let body = answers.iter().find(|(answer, _)| *answer == asked);
            let body = body.map_or_else(Bytes::new, |(_, body)| body.clone());
            let body = match asked.is_stream {
                // Servers do not know how long a stream will be.
                true => Either::Right(StreamBody::new(Box::pin(stream::iter([chunk(body)])) as Chunks)),
                false => Either::Left(Full::new(body)),
            };
            response(asked.content_type(), body)
        }
    }
}

/// As a server would: for a client that is one itself and makes every message anew.
fn converse(body: &[u8], asked: Answer) -> Response<Body> {
    let message: Value = serde_json::from_slice(body).unwrap_or_default();
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "target", "version": "1" },
        }),
        Some("tools/list") => json!({ "tools": [{ "name": TOOL, "inputSchema": { "type": "object" } }] }),
        Some("tools/call") => json!({ "content": [{ "type": "text", "text": asked.text() }] }),
        _ => json!({}),
    };
    let Some(id) = message.get("id") else {
        let mut accepted = Response::new(Either::Left(Full::default()));
        *accepted.status_mut() = StatusCode::ACCEPTED;
        return accepted;
    };
    let answer = json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
    let (content_type, answer) = match asked.is_stream {
        true => ("text/event-stream", format!("event: message\ndata: {answer}\n\n")),
        false => ("application/json", answer),
    };
    response(content_type, Either::Left(Full::from(answer)))
}

fn response(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A stream that is open, and no more.
fn silence() -> Chunks {
    let opened = stream::iter([chunk(": open\n\n".into())]);
    Box::pin(opened.chain(stream::pending()))
}

fn ticks() -> Chunks {
    let mut pace = tokio::time::interval(TICK);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let ticks = stream::unfold((pace, TICK_COUNT), async |(mut pace, left)| {
        let left = left.checked_sub(1)?;
        pace.tick().await;
        let event = format!(
            "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\
             \"params\":{{\"level\":\"info\",{STAMP}{}\"}}}}\n\n",
            micros()
        );
        Some((chunk(event.into()), (pace, left)))
    });
    let last = Answer {
        is_stream: true,
        ..Answer::SMALL
    };
    Box::pin(ticks.chain(stream::iter([chunk(last.body())])))
}

/// One message with so much text.
fn text(bytes: usize) -> Chunks {
    let [head, tail] = [PARTS.0, PARTS.1].map(|part| chunk(Bytes::from_static(part.as_bytes())));
    let text = Bytes::from(vec![b'x'; CHUNK]);
    let text = (0..bytes / CHUNK).map(move |_| chunk(text.clone()));
    Box::pin(stream::iter([head].into_iter().chain(text).chain([tail])))
}

fn chunk(bytes: Bytes) -> Result<Frame<Bytes>, Infallible> {
    Ok(Frame::data(bytes))
}

/// Since 1970, by the clock that all processes of the machine share.
pub(super) fn micros() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
