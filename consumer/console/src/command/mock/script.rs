//! What a recording answers.

use std::collections::HashMap;

use serde_json::Value;

use crate::command::arguments::Fill;
use crate::command::failure::Failure;
use crate::command::masks::Message;
use crate::command::messages::Exchange;

/// Answers by what was asked: method and parameters, without what differs from run to run.
pub(super) struct Script {
    answers: HashMap<String, Answers>,
    len: usize,
}

/// What the same question was answered, one time after another.
#[derive(Default)]
struct Answers {
    all: Vec<Vec<Value>>,
    next: usize,
}

impl Script {
    /// # Errors
    /// An answer, or a request, that holds masks for which there is no value.
    pub(super) fn new(exchanges: &[Exchange<'_>], fill: &Fill) -> Result<Self, Failure> {
        let mut answers: HashMap<String, Answers> = HashMap::new();
        let mut len = 0;
        for exchange in exchanges {
            if exchange.answer().is_none() {
                continue;
            }
            let Message::Whole(request) = fill.message(exchange.request, &exchange.text)? else {
                continue;
            };
            let mut messages = Vec::new();
            for (frame, text) in &exchange.answers {
                if let Message::Whole(text) = fill.message(frame, text)?
                    && let Ok(message) = serde_json::from_str::<Value>(&text)
                {
                    messages.push(message);
                }
            }
            let has_answer = messages.iter().any(|message| message.get("method").is_none());
            let Ok(request) = serde_json::from_str::<Value>(&request) else {
                continue;
            };
            if has_answer {
                len += 1;
                answers.entry(question(&request)).or_default().all.push(messages);
            }
        }
        Ok(Self { answers, len })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Requests that have an answer.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What came back when this was asked, in the order of the recording; the last answer again where it is asked more
    /// often. None where it never was.
    pub(super) fn answer(&mut self, request: &Value) -> Option<Vec<Value>> {
        let answers = self.answers.get_mut(&question(request))?;
        let place = answers.next.min(answers.all.len() - 1);
        answers.next = place + 1;
        let mut messages = answers.all[place].clone();
        for message in &mut messages {
            if message.get("method").is_none() {
                message["id"] = request["id"].clone();
            } else if let Some(token) = request.pointer("/params/_meta/progressToken")
                && message.pointer("/params/progressToken").is_some()
            {
                message["params"]["progressToken"] = token.clone();
            }
        }
        Some(messages)
    }
}

/// A request without its id and progress token; of `initialize`, only that it is one: clients differ in what they say of
/// themselves. Keys are in one order, whatever it was.
fn question(request: &Value) -> String {
    let method = request["method"].as_str().unwrap_or_default();
    if method == "initialize" {
        return method.to_owned();
    }
    let mut params = request["params"].clone();
    if let Some(params) = params.as_object_mut() {
        params.remove("_meta");
    }
    let params = match &params {
        Value::Object(members) if members.is_empty() => Value::Null,
        _ => params,
    };
    // serde_json's maps are sorted by key.
    format!("{method} {params}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::question;

    #[test]
    fn the_same_question_is_the_same_whatever_its_id_and_order() {
        let first =
            json!({ "id": 1, "method": "tools/call", "params": { "name": "a", "arguments": { "x": 1, "y": 2 } } });
        let again = json!({ "method": "tools/call", "id": "b",
            "params": { "_meta": { "progressToken": 7 }, "arguments": { "y": 2, "x": 1 }, "name": "a" } });
        assert_eq!(question(&first), question(&again));
        let empty = [
            json!({ "method": "tools/list" }),
            json!({ "method": "tools/list", "params": {} }),
        ];
        assert_eq!(question(&empty[0]), question(&empty[1]));
        let other = json!({ "method": "tools/call", "params": { "name": "b" } });
        assert_ne!(question(&first), question(&other));
    }
}
