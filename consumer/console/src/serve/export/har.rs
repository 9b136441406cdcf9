//! An HTTP archive (HAR 1.2) of a recording: an entry for each exchange. What was recorded are messages and not HTTP
//! itself, so header fields that nobody recorded are not made up, and fields that HAR does not know begin with `_`.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};
use uuid::Uuid;

use super::Rendering;
use crate::serve::api::Frame;
use crate::serve::time::Time;

/// Exchanges that may be open at once; beyond, the one that began first is written as far as it is known.
const OPEN: usize = 512;
/// Bytes of payloads that are held for open exchanges; beyond, the same.
const HELD: usize = 32 << 20;

/// Writes an archive.
pub(in crate::serve) struct Har {
    target: String,
    begun: bool,
    has_entries: bool,
    open: HashMap<Uuid, Exchange>,
    order: VecDeque<Uuid>,
    held: usize,
}

/// An exchange whose end has not come yet.
struct Exchange {
    started: Time,
    latest: i64,
    http_method: String,
    status: i32,
    name: String,
    rpc_method: String,
    request: Body,
    answer: Body,
    ended: String,
    rule: String,
    rules: Vec<String>,
    frames: Vec<u64>,
    is_intact: bool,
}

#[derive(Default)]
struct Body {
    kind: String,
    text: String,
    size: i64,
}

impl Body {
    fn add(&mut self, frame: &Frame) {
        if self.kind.is_empty() {
            self.kind.clone_from(&frame.content_type);
        }
        let is_event = frame.content_type.starts_with("text/event-stream") && frame.part_index == 0;
        if is_event && !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&frame.payload);
        self.size += frame.payload_size;
    }
}

impl Har {
    pub(in crate::serve) fn new(target: &str) -> Self {
        Self {
            target: target.to_owned(),
            begun: false,
            has_entries: false,
            open: HashMap::new(),
            order: VecDeque::new(),
            held: 0,
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            let creator = json!({ "name": "tapedeck", "version": env!("CARGO_PKG_VERSION") });
            out.extend(format!("{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"entries\":[").as_bytes());
        }
    }

    fn close(&mut self, id: Uuid, out: &mut Vec<u8>) {
        let Some(exchange) = self.open.remove(&id) else { return };
        self.held -= exchange.request.text.len() + exchange.answer.text.len();
        let comma = if std::mem::replace(&mut self.has_entries, true) {
            ",\n"
        } else {
            "\n"
        };
        out.extend(comma.as_bytes());
        out.extend(entry(&self.target, id, &exchange).to_string().as_bytes());
    }
}

impl Rendering for Har {
    fn frame(&mut self, frame: Frame, out: &mut Vec<u8>) {
        self.begin(out);
        let id = frame.exchange_id;
        if id.is_nil() {
            return;
        }
        let order = &mut self.order;
        let exchange = self.open.entry(id).or_insert_with(|| {
            order.push_back(id);
            Exchange::new(&frame)
        });
        self.held += exchange.add(&frame);
        let is_over = !frame.ended.is_empty();
        if is_over {
            self.close(id, out);
        }
        while self.open.len() > OPEN || self.held > HELD {
            // Ids of exchanges that are closed stand in the queue until they come to its head.
            let Some(oldest) = self.order.pop_front() else { break };
            self.close(oldest, out);
        }
        while self.order.front().is_some_and(|id| !self.open.contains_key(id)) {
            self.order.pop_front();
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        while let Some(id) = self.order.pop_front() {
            self.close(id, out);
        }
        out.extend(b"\n]}}\n");
    }
}

impl Exchange {
    fn new(frame: &Frame) -> Self {
        Self {
            started: frame.time,
            latest: frame.time.microseconds(),
            http_method: frame.http_method.clone(),
            status: 0,
            name: String::new(),
            rpc_method: String::new(),
            request: Body::default(),
            answer: Body::default(),
            ended: String::new(),
            rule: String::new(),
            rules: Vec::new(),
            frames: Vec::new(),
            is_intact: true,
        }
    }

    /// How many bytes more are held.
    fn add(&mut self, frame: &Frame) -> usize {
        self.latest = self.latest.max(frame.time.microseconds());
        let set = |text: &mut String, from: &String| {
            if text.is_empty() {
                text.clone_from(from);
            }
        };
        set(&mut self.http_method, &frame.http_method);
        set(&mut self.rpc_method, &frame.rpc_method);
        set(&mut self.name, &frame.rpc_name);
        set(&mut self.rule, &frame.decision_rule);
        set(&mut self.ended, &frame.ended);
        if frame.http_status != 0 {
            self.status = frame.http_status;
        }
        for rule in &frame.redaction_rules {
            if !self.rules.contains(rule) {
                self.rules.push(rule.clone());
            }
        }
        self.is_intact &= frame.verdict == "intact";
        self.frames.push(frame.session_seq);
        let body = match frame.direction.as_str() {
            "to_target" => &mut self.request,
            "to_client" => &mut self.answer,
            _ => return 0,
        };
        let before = body.text.len();
        body.add(frame);
        body.text.len() - before
    }
}

fn entry(target: &str, id: Uuid, exchange: &Exchange) -> Value {
    let took = (exchange.latest - exchange.started.microseconds()).max(0) as f64 / 1e3;
    let nothing = json!([]);
    let mut request = json!({
        "method": exchange.http_method,
        "url": format!("mcp:{target}"),
        "httpVersion": "HTTP/1.1",
        "cookies": nothing,
        "headers": nothing,
        "queryString": nothing,
        "headersSize": -1,
        "bodySize": exchange.request.size,
    });
    if !exchange.request.text.is_empty() {
        request["postData"] = json!({ "mimeType": exchange.request.kind, "text": exchange.request.text });
    }
    json!({
        "startedDateTime": exchange.started,
        "time": took,
        "request": request,
        "response": {
            "status": exchange.status,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "cookies": nothing,
            "headers": nothing,
            "content": {
                "size": exchange.answer.size,
                "mimeType": exchange.answer.kind,
                "text": exchange.answer.text,
            },
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": exchange.answer.size,
        },
        "cache": {},
        "timings": { "send": 0, "wait": took, "receive": 0 },
        "_exchange": id,
        "_rpcMethod": exchange.rpc_method,
        "_rpcName": exchange.name,
        "_ended": exchange.ended,
        "_rule": exchange.rule,
        "_masked": exchange.rules,
        "_frames": exchange.frames,
        "_intact": exchange.is_intact,
    })
}
