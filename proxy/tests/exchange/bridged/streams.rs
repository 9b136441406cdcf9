//! A server of the revision 2024-11-05 as a target.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tapedeck_schemas::End;
use tokio::sync::Mutex;

use super::{Client, initialize, tool_call};
use crate::rig::{Reply, Rig, TARGET_SECRET, Target, assert_at_most_one_end};

/// A server whose answers to posted messages come on its stream, which it begins with `endpoint`.
async fn server(endpoint: &'static str) -> Target {
    let streams = Arc::new(Mutex::new(Vec::new()));
    let server = Target::start(move |seen| {
        let streams = Arc::clone(&streams);
        async move {
            let mut streams = streams.lock().await;
            if seen.method == "GET" {
                let (sender, reply) = Reply::events();
                let first = format!("event: endpoint\r\ndata: {endpoint}{}\r\n\r\n", streams.len());
                streams.push(sender.clone());
                tokio::spawn(async move {
                    // The proxy may not want it.
                    let _ = sender.send(Ok(Bytes::from(first))).await;
                });
                return reply;
            }
            let at: usize = seen
                .path
                .rsplit('=')
                .next()
                .and_then(|at| at.parse().ok())
                .expect("a stream");
            let message: Value = serde_json::from_slice(&seen.body).expect("JSON");
            let result = match message["method"].as_str() {
                Some("initialize") => json!({ "protocolVersion": "2025-06-18" }),
                _ => json!({ "content": [{ "type": "text", "text": format!("on stream {at}") }] }),
            };
            if let Some("die") = message["params"]["name"].as_str() {
                let _ = streams[at].send(Err(crate::rig::Broken)).await;
            } else if message.get("id").is_some_and(|_| message.get("method").is_some()) {
                let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
                let event = format!("event: message\ndata: {answer}\n\n");
                streams[at].send(Ok(Bytes::from(event))).await.expect("the proxy reads");
            }
            Reply::whole("text/plain", "Accepted").status(202)
        }
    });
    server.await
}

async fn rig(endpoint: &'static str) -> Rig {
    Rig::with(server(endpoint).await, "http://127.0.0.1:9", "transport = \"sse\"").await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_streamable_http_use_a_server_of_2024() {
    let rig = rig("/messages?session=").await;
    let (one, two) = (Client::opened(&rig, "alice").await, Client::opened(&rig, "bob").await);
    assert_eq!(one.says(1, "x", json!({})).await, "on stream 0");
    assert_eq!(two.says(1, "x", json!({})).await, "on stream 1");
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let accepted = one.post(&told).send().await;
    assert_eq!(accepted.status, 202);
    assert_eq!(accepted.whole().await.expect("whole"), "");
    assert_eq!(one.request("DELETE").send().await.status, 204);
    assert_eq!(one.post(&tool_call(2, "x", json!({}))).send().await.status, 404);

    let seen = rig.target.seen();
    assert_eq!(seen.iter().filter(|seen| seen.method == "GET").count(), 2);
    for request in &seen {
        assert_eq!(request.headers["authorization"], format!("Bearer {TARGET_SECRET}"));
        assert_eq!(request.headers["host"], rig.target.address().to_string());
    }
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let ends: Vec<_> = frames.iter().filter_map(|frame| frame.end).collect();
    assert!(
        ends.iter().all(|end| matches!(end, End::Answered | End::Accepted)),
        "{ends:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_cuts_the_answer_that_was_to_come_on_it() {
    let rig = rig("/messages?session=").await;
    let client = Client::opened(&rig, "alice").await;
    let calling = client.post(&tool_call(1, "die", json!({}))).send().await;
    calling.whole().await.expect_err("a cut, not a clean end");
    assert_eq!(client.post(&tool_call(2, "x", json!({}))).send().await.status, 404);
    let frames = rig.stop_and_read().await;
    assert!(frames.iter().any(|frame| frame.end == Some(End::UpstreamLost)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_names_somebody_elses_url_gets_no_message_sent_there() {
    let rig = rig("http://elsewhere.example/messages?session=").await;
    let refused = Client::of(&rig, "alice").post(&initialize()).send().await;
    assert_eq!(refused.status, 502);
    assert_eq!(refused.json().await["error"]["data"]["reason"], "target_unreachable");
    assert_eq!(rig.target.seen().len(), 1);
}
