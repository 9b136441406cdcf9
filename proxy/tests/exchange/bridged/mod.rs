//! Targets that are not spoken to in streamable HTTP: processes, and event streams of the revision 2024-11-05.

mod processes;
mod streams;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::rig::{GROUP, Request, Rig};

/// A client of one session, or of none.
struct Client<'a> {
    rig: &'a Rig,
    token: String,
    session: Option<String>,
}

impl<'a> Client<'a> {
    fn of(rig: &'a Rig, subject: &str) -> Self {
        Self {
            rig,
            token: format!("Bearer {}", rig.issuer.token(subject, &[GROUP])),
            session: None,
        }
    }

    /// One that has initialized.
    async fn opened(rig: &'a Rig, subject: &str) -> Self {
        let mut client = Self::of(rig, subject);
        let answer = client.post(&initialize()).send().await;
        assert_eq!(answer.status, 200);
        client.session = answer
            .headers
            .get("mcp-session-id")
            .map(|id| id.to_str().expect("text").to_owned());
        let messages = messages(&answer.whole().await.expect("a clean end"));
        assert_eq!(messages[0]["result"]["protocolVersion"], "2025-06-18");
        client
    }

    fn request(&self, method: &str) -> Request {
        let request = self.rig.request(method).header("authorization", &self.token);
        match &self.session {
            Some(session) => request.header("mcp-session-id", session),
            None => request,
        }
    }

    fn post(&self, message: &Value) -> Request {
        // Pretty, as some clients write it: its line breaks must not become the line's end.
        let text = serde_json::to_string_pretty(message).expect("JSON");
        self.request("POST")
            .body(text)
            .header("content-type", "application/json")
    }

    /// What the tool says.
    async fn says(&self, id: u32, tool: &str, arguments: Value) -> String {
        let answer = self.post(&tool_call(id, tool, arguments)).send().await;
        assert_eq!(answer.status, 200);
        let messages = messages(&answer.whole().await.expect("a clean end"));
        let last = messages.last().expect("an answer");
        assert_eq!(last["id"], json!(id));
        last["result"]["content"][0]["text"].as_str().expect("text").to_owned()
    }
}

fn initialize() -> Value {
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } } })
}

fn tool_call(id: u32, tool: &str, arguments: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
}

/// The messages on a stream.
fn messages(stream: &Bytes) -> Vec<Value> {
    let text = std::str::from_utf8(stream).expect("UTF-8");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|message| serde_json::from_str(message).expect("JSON"))
        .collect()
}
