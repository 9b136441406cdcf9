//! Canaries in JSON-RPC messages: what a client sends, and what the target answers.

use bytes::Bytes;
use tapedeck_schemas::MAX_PART;

use super::dice::Dice;
use super::forms::quoted;
use super::plan::{Canary, Place};

/// Canaries in one message, where it can hold several.
const TOGETHER: usize = 24;
/// The same for a message in three parts.
const IN_PARTS: usize = 120;
/// What fills a large message.
const FILLER: &str = "the tape goes round and round, and nothing that it says is anybody's secret";

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// A request, and how the target answers it.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    /// The request's JSON-RPC id, as it stands in it.
    pub(super) id: String,
    pub(super) request: String,
    pub(super) user_agent: Option<String>,
    pub(super) reply: Reply,
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    /// The body, in the pieces in which it is sent.
    pub(super) chunks: Vec<Bytes>,
}

impl Reply {
    fn json(body: String) -> Self {
        Self {
            status: 200,
            content_type: JSON,
            chunks: vec![body.into()],
        }
    }

    /// Cut anywhere, in the middle of lines and characters as well.
    fn cut(content_type: &'static str, body: String, longest: usize, dice: &mut Dice) -> Self {
        let mut body = Bytes::from(body);
        let mut chunks = Vec::new();
        while !body.is_empty() {
            let length = (1 + dice.below(longest)).min(body.len());
            chunks.push(body.split_to(length));
        }
        Self {
            status: 200,
            content_type,
            chunks,
        }
    }

    /// All of the body.
    pub(super) fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }
}

/// All canaries, each in the message that its place asks for.
pub(super) fn exchanges(canaries: &[Canary], dice: &mut Dice) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    for place in Place::ALL {
        let there: Vec<&Canary> = canaries.iter().filter(|canary| canary.place == place).collect();
        for together in there.chunks(capacity(place)) {
            let id = exchanges.len() + 1;
            exchanges.push(exchange(place, id, together, dice));
        }
    }
    exchanges
}

fn capacity(place: Place) -> usize {
    match place {
        Place::RequestParts | Place::AnswerParts | Place::EventParts => IN_PARTS,
        Place::Url
        | Place::Tool
        | Place::UserAgent
        | Place::ClientName
        | Place::EventId
        | Place::CallId
        | Place::Method => 1,
        _ => TOGETHER,
    }
}

fn exchange(place: Place, number: usize, canaries: &[&Canary], dice: &mut Dice) -> Exchange {
    let sources: Vec<String> = canaries.iter().map(|canary| canary.source()).collect();
    let first = &sources[0];
    let mut id = number.to_string();
    let mut user_agent = None;
    let call = |arguments: &str| tool_call(&number.to_string(), "\"plant\"", arguments);
    let done = |id: &str| result(id, r#"{"content":[]}"#);
    let (request, reply) = match place {
        Place::Arguments => {
            let arguments = format!("{{\"values\":[{}]}}", sources.join(", "));
            (call(&arguments), Reply::json(done(&id)))
        }
        Place::Text => {
            let blocks: Vec<String> = sources
                .iter()
                .map(|source| format!("{{\"type\":\"text\",\"text\":{}}}", as_string(source)))
                .collect();
            let answer = result(
                &id,
                &format!("{{\"content\":[{}],\"isError\":false}}", blocks.join(",")),
            );
            let reply = match number % 2 {
                0 => Reply::cut(JSON, answer, 700, dice),
                _ => Reply::cut(EVENTS, event(&answer), 300, dice),
            };
            (call("{}"), reply)
        }
        Place::Structured => {
            let structured = format!("{{\"rows\":[{}]}}", sources.join(","));
            let both = format!(
                "{{\"content\":[{{\"type\":\"text\",\"text\":{}}}],\"structuredContent\":{structured}}}",
                quoted(&structured)
            );
            (call("{}"), Reply::json(result(&id, &both)))
        }
        Place::Error => {
            let error = format!(
                "{{\"code\":-32000,\"message\":{},\"data\":{{\"why\":[{}]}}}}",
                as_string(first),
                sources[1..].join(",")
            );
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}");
            (call("{}"), Reply::json(answer))
        }
        Place::Progress => {
            let mut stream = String::new();
            for (step, source) in sources.iter().enumerate() {
                stream.push_str(&event(&notification(step, source)));
            }
            stream.push_str(&event(&done(&id)));
            (call("{}"), Reply::cut(EVENTS, stream, 400, dice))
        }
        Place::RequestParts => {
            let frame = tool_call(&id, "\"plant\"", "{\"values\":[]}");
            (parts(&frame, &sources), Reply::json(done(&id)))
        }
        Place::AnswerParts => {
            let frame = result(&id, "{\"content\":[],\"structuredContent\":{\"values\":[]}}");
            (call("{}"), Reply::cut(JSON, parts(&frame, &sources), 100_000, dice))
        }
        Place::EventParts => {
            let frame = result(&id, "{\"content\":[],\"structuredContent\":{\"values\":[]}}");
            (
                call("{}"),
                Reply::cut(EVENTS, event(&parts(&frame, &sources)), 100_000, dice),
            )
        }
        Place::PlainText => {
            let texts: Vec<String> = canaries.iter().map(|canary| canary.text()).collect();
            let reply = Reply {
                status: 500,
                content_type: "text/plain; charset=utf-8",
                chunks: vec![texts.join("\n\n-- \n\n").into()],
            };
            (call("{}"), reply)
        }
        Place::Url => {
            let request = format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"resources/read\",\"params\":{{\"uri\":{first}}}}}"
            );
            (request, Reply::json(result(&id, "{\"contents\":[]}")))
        }
        Place::Tool => (tool_call(&id, first, "{}"), Reply::json(done(&id))),
        Place::UserAgent => {
            user_agent = Some(canaries[0].text());
            (call("{}"), Reply::json(done(&id)))
        }
        Place::ClientName => {
            let request = format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"initialize\",\"params\":{{\"protocolVersion\":\"2025-06-18\",\
                 \"capabilities\":{{}},\"clientInfo\":{{\"name\":{first},\"version\":\"1\"}}}}}}"
            );
            let answer = result(
                &id,
                r#"{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"planter","version":"1"}}"#,
            );
            (request, Reply::json(answer))
        }
        Place::Comment => {
            let comments: String = canaries.iter().map(|canary| format!(": {}\n", canary.text())).collect();
            let stream = format!("{comments}{}", event(&done(&id)));
            (call("{}"), Reply::cut(EVENTS, stream, 50, dice))
        }
        Place::EventId => {
            let stream = format!("id: {}\n{}", canaries[0].text(), event(&done(&id)));
            (call("{}"), Reply::cut(EVENTS, stream, 50, dice))
        }
        Place::CallId => {
            id = first.clone();
            (tool_call(&id, "\"plant\"", "{}"), Reply::json(done(&id)))
        }
        Place::Method => {
            let request = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{first}}}");
            (request, Reply::json(result(&id, "{}")))
        }
    };
    Exchange {
        id,
        request,
        user_agent,
        reply,
    }
}

fn tool_call(id: &str, name: &str, arguments: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":{name},\"arguments\":{arguments}}}}}"
    )
}

pub(super) fn result(id: &str, result: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}")
}

fn notification(step: usize, source: &str) -> String {
    match step % 2 {
        0 => format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":\"t\",\
             \"progress\":{step},\"message\":{}}}}}",
            as_string(source)
        ),
        // On several lines, which the data of one event may have.
        _ => format!(
            "{{\"jsonrpc\":\"2.0\",\n\"method\":\"notifications/message\",\n\"params\":\n{{\"level\":\"info\",\n\"data\":{source}}}}}"
        ),
    }
}

/// A server-sent event.
fn event(data: &str) -> String {
    let lines: String = data.lines().map(|line| format!("data: {line}\n")).collect();
    format!("event: message\n{lines}\n")
}

/// A JSON string: the value itself, or one that holds it as JSON.
fn as_string(source: &str) -> String {
    match source.starts_with('"') {
        true => source.to_owned(),
        false => quoted(source),
    }
}

/// Values in the empty array of a message, as they are where the message is cut into parts; filler elsewhere.
fn parts(frame: &str, sources: &[String]) -> String {
    let (before, after) = frame.split_once("[]}").expect("the message has an empty array");
    let mut body = format!("{before}[{}", quoted(FILLER));
    let filler = quoted(FILLER);
    let (first, second) = sources.split_at(sources.len() / 2);
    for (cut, cluster) in [(MAX_PART, first), (2 * MAX_PART, second)] {
        let length: usize = cluster.iter().map(|source| source.len() + 1).sum();
        while body.len() + length / 2 + filler.len() < cut {
            body.push(',');
            body.push_str(&filler);
        }
        for source in cluster {
            body.push(',');
            body.push_str(source);
        }
    }
    format!("{body},{filler}]}}{after}")
}
