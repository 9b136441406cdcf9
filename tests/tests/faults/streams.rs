//! Clients of event streams, who may go away, and the judge of what they saw.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tapedeck_dev::identity::AccessToken;
use tapedeck_schemas::{Direction, End, Frame, Kind};
use tapedeck_tests::Tape;
use tapedeck_tests::oracle::Wrong;
use tokio::net::TcpStream;
use url::Url;
use uuid::Uuid;

use crate::streamer::EVENTS;

/// What a client's going means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// Nothing: its answer is read for the record.
    Legacy,
    /// That it has cancelled.
    Modern,
}

impl Era {
    fn revision(self) -> &'static str {
        match self {
            Self::Legacy => "2025-11-25",
            Self::Modern => "2026-07-28",
        }
    }
}

/// How a stream came to an end for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// As streams end.
    Clean,
    /// By an error.
    Cut,
    /// The client went away.
    Left,
    /// There was none: another status, with its reason.
    Refused(StatusCode, String),
    /// There was no answer.
    Broken(String),
}

/// One call as its client knows it.
#[derive(Debug, Clone)]
pub(crate) struct Streamed {
    pub(crate) text: String,
    pub(crate) era: Era,
    request: Bytes,
    /// The data of each whole event.
    events: Vec<String>,
    pub(crate) ended: Ended,
}

impl fmt::Display for Streamed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            text,
            era,
            events,
            ended,
            ..
        } = self;
        write!(formatter, "“{text}” ({era:?}, {} events, {ended:?})", events.len())
    }
}

/// Calls on a connection of its own, and goes away after so many events, if after any.
pub(crate) async fn call(
    endpoint: &Url,
    token: &AccessToken,
    era: Era,
    text: String,
    leave_after: Option<usize>,
) -> Streamed {
    let mut params = json!({ "name": "stream", "arguments": { "text": text } });
    if era == Era::Modern {
        params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": era.revision() });
    }
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let mut streamed = Streamed {
        text,
        era,
        request: Bytes::from(body.to_string()),
        events: Vec::new(),
        ended: Ended::Cut,
    };
    if let Err(error) = exchange(endpoint, token, &mut streamed, leave_after).await {
        streamed.ended = Ended::Broken(format!("{error:#}"));
    }
    streamed
}

async fn exchange(
    endpoint: &Url,
    token: &AccessToken,
    streamed: &mut Streamed,
    leave_after: Option<usize>,
) -> anyhow::Result<()> {
    let stream = TcpStream::connect(endpoint.authority()).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Aborted when it goes out of scope: the client is gone then.
    let _connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
    let mut request = Request::post(endpoint.path())
        .header(HOST, endpoint.authority())
        .header(AUTHORIZATION, format!("Bearer {}", token.as_str()))
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .header("mcp-protocol-version", streamed.era.revision());
    if streamed.era == Era::Modern {
        request = request.header("mcp-method", "tools/call").header("mcp-name", "stream");
    }
    let answer = sender
        .send_request(request.body(Full::new(streamed.request.clone()))?)
        .await?;
    let status = answer.status();
    let mut body = answer.into_body();
    if status != StatusCode::OK {
        let said: Value = serde_json::from_slice(&body.collect().await?.to_bytes()).context("a refusal is JSON")?;
        let reason = said["error"]["data"]["reason"].as_str().unwrap_or_default();
        streamed.ended = Ended::Refused(status, reason.to_owned());
        return Ok(());
    }
    let mut unread = String::new();
    loop {
        if leave_after.is_some_and(|events| streamed.events.len() >= events) {
            streamed.ended = Ended::Left;
            return Ok(());
        }
        let Some(frame) = body.frame().await else {
            streamed.ended = Ended::Clean;
            return Ok(());
        };
        // What was released before is there.
        let Ok(frame) = frame else { return Ok(()) };
        unread += std::str::from_utf8(&frame.into_data().unwrap_or_default())?;
        while let Some((event, rest)) = unread.split_once("\n\n") {
            let data = event.strip_prefix("data: ").context("the target's events are data")?;
            streamed.events.push(data.to_owned());
            unread = rest.to_owned();
        }
    }
}

/// How an exchange is on record.
#[derive(Debug, Default)]
struct OnRecord {
    events: BTreeMap<i64, String>,
    ends: Vec<(i64, End)>,
}

/// Holds what clients saw, and what reached the target, against the raw topic.
pub(crate) fn judge(tape: &Tape, calls: &[Streamed], received: &[String]) -> anyhow::Result<()> {
    let mut wrong = Wrong::default();
    let (mut exchanges, mut on_record) = (
        HashMap::<Vec<u8>, HashSet<Uuid>>::new(),
        HashMap::<Uuid, OnRecord>::new(),
    );
    for frame in tape.recorded.iter().map(|recorded| &recorded.frame) {
        let exchange = on_record.entry(frame.exchange_id).or_default();
        let payload = frame.payload.as_ref().map(|payload| payload.0.to_vec());
        match (frame.kind, frame.direction, payload) {
            (Kind::Message, Direction::ToTarget, Some(payload)) => {
                exchanges.entry(payload).or_default().insert(frame.exchange_id);
            }
            (Kind::Message, Direction::ToClient, Some(payload)) => {
                let text = String::from_utf8(payload).context("the target's events are text")?;
                exchange.events.insert(frame.writer_seq, text);
            }
            _ => {}
        }
        exchange.ends.extend(end_of(frame));
    }
    let arrived: HashSet<&str> = received.iter().map(String::as_str).collect();
    wrong.unless(arrived.len() == received.len(), || {
        "a call was forwarded twice".to_owned()
    });
    let known: HashSet<&str> = calls.iter().map(|call| call.text.as_str()).collect();
    for text in arrived.difference(&known) {
        wrong.add(format!("“{text}” reached the target, and no client sent it"));
    }
    for call in calls {
        let found: Vec<Uuid> = exchanges
            .get(call.request.as_ref())
            .into_iter()
            .flatten()
            .copied()
            .collect();
        wrong.unless(found.len() <= 1, || {
            format!("{call} is on record {} times", found.len())
        });
        let has_arrived = arrived.contains(call.text.as_str());
        wrong.unless(!has_arrived || !found.is_empty(), || {
            format!("{call} reached the target unrecorded")
        });
        let recorded = found.first().and_then(|exchange| on_record.get(exchange));
        judge_one(call, has_arrived, recorded, &mut wrong);
    }
    wrong.verdict("streams and their record")
}

/// The end of several that counts is the last; the caller looks for it.
fn end_of(frame: &Frame) -> Option<(i64, End)> {
    frame.end.map(|end| (frame.writer_seq, end))
}

fn judge_one(call: &Streamed, has_arrived: bool, recorded: Option<&OnRecord>, wrong: &mut Wrong) {
    if let Ended::Refused(status, reason) = &call.ended {
        let saw_nothing = *status == StatusCode::SERVICE_UNAVAILABLE || reason == "target_unreachable";
        wrong.unless(!(saw_nothing && has_arrived), || {
            format!("{call} reached the target all the same")
        });
        return;
    }
    if matches!(call.ended, Ended::Broken(_)) {
        return wrong.add(format!("{call}: the proxy was there all the time"));
    }
    let Some(recorded) = recorded else {
        return wrong.add(format!("{call} is not on record"));
    };
    let events: Vec<&String> = recorded.events.values().collect();
    let is_prefix =
        events.len() >= call.events.len() && events.iter().zip(&call.events).all(|(one, other)| *one == other);
    wrong.unless(is_prefix, || {
        format!("{call}: {} events are on record, or others", events.len())
    });
    let end = recorded
        .ends
        .iter()
        .max_by_key(|(number, _)| *number)
        .map(|(_, end)| *end);
    let is_whole = events.len() == EVENTS + 1;
    let expected = match (&call.ended, call.era) {
        (Ended::Clean, _) => {
            wrong.unless(events.len() == call.events.len(), || {
                format!("{call}: the record has more")
            });
            is_whole && end == Some(End::Answered)
        }
        // It may have died between its last event and the end.
        (Ended::Cut, _) => end == Some(End::UpstreamLost),
        (Ended::Left, Era::Legacy) => is_whole && end == Some(End::Answered),
        (Ended::Left, Era::Modern) => !is_whole && end == Some(End::Cancelled),
        (Ended::Refused(..) | Ended::Broken(_), _) => true,
    };
    wrong.unless(expected, || {
        format!("{call} has {} events on record and ended by {end:?}", events.len())
    });
}
