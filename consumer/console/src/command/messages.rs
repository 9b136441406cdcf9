//! The messages of a recording, put together again: requests of the client with what came back on their exchanges.

use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

use crate::serve::Frame;

/// A message of the client's, and what came back.
pub(super) struct Exchange<'a> {
    /// The frame that holds its last part.
    pub(super) request: &'a Frame,
    /// Its whole text.
    pub(super) text: String,
    /// What came back on the same exchange, in order: a frame, and the whole text.
    pub(super) answers: Vec<(&'a Frame, String)>,
}

impl Exchange<'_> {
    /// The request's id; none for a notification, or an answer to the server.
    pub(super) fn id(&self) -> Option<Value> {
        match self.request.rpc_kind.as_str() {
            "request" => serde_json::from_str(&self.request.rpc_id).ok(),
            _ => None,
        }
    }

    /// The answer to its request, if one is on record and can be read.
    pub(super) fn answer(&self) -> Option<Value> {
        let id = self.id()?;
        let messages = self
            .answers
            .iter()
            .filter_map(|(_, text)| serde_json::from_str::<Value>(text).ok());
        messages
            .into_iter()
            .find(|message| message["id"] == id && (message.get("result").is_some() || message.get("error").is_some()))
    }
}

/// All messages of the client's that reached the server, in their order.
pub(super) fn exchanges(frames: &[Frame]) -> Vec<Exchange<'_>> {
    let mut exchanges: Vec<Exchange<'_>> = Vec::new();
    let mut places: HashMap<Uuid, usize> = HashMap::new();
    let mut parts: HashMap<(Uuid, &str), String> = HashMap::new();
    for frame in frames.iter().filter(|frame| frame.kind == "message") {
        let text = parts.entry((frame.exchange_id, &frame.direction)).or_default();
        text.push_str(&frame.payload);
        if !frame.part_last {
            continue;
        }
        let text = std::mem::take(text);
        match frame.direction.as_str() {
            "to_target" if frame.rpc_kind != "none" && !frame.rpc_kind.is_empty() => {
                places.insert(frame.exchange_id, exchanges.len());
                exchanges.push(Exchange {
                    request: frame,
                    text,
                    answers: Vec::new(),
                });
            }
            "to_client" if !text.is_empty() => {
                if let Some(exchange) = places
                    .get(&frame.exchange_id)
                    .and_then(|place| exchanges.get_mut(*place))
                {
                    exchange.answers.push((frame, text));
                }
            }
            _ => {}
        }
    }
    exchanges
}
