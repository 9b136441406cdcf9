//! A program as a target.

use serde_json::json;
use tapedeck_schemas::{Direction, End, Frame, Kind, RpcKind};

use super::{Client, initialize, messages, tool_call};
use crate::rig::{Rig, assert_at_most_one_end};

async fn rig(settings: &str) -> Rig {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchange/bridged/server.mjs");
    let target = format!("command = \"node\"\nargs = [\"{server}\"]\nenv = [\"GIVEN=1\"]\n{settings}");
    Rig::bridged(&target).await
}

/// What the processes wrote to their standard error.
fn said(frames: &[Frame]) -> Vec<String> {
    frames
        .iter()
        .filter(|frame| frame.kind == Kind::Message && frame.direction == Direction::None)
        .filter_map(|frame| frame.payload.as_ref())
        .map(|payload| String::from_utf8_lossy(&payload.0).into_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_has_a_process_that_ends_with_it_and_whose_words_are_on_record() {
    let rig = rig("").await;
    let (one, two) = (Client::opened(&rig, "alice").await, Client::opened(&rig, "alice").await);
    let (first, second) = (one.says(1, "pid", json!({})).await, two.says(1, "pid", json!({})).await);
    assert_ne!(first, second);
    assert_eq!(one.says(2, "pid", json!({})).await, first, "it goes on");
    assert_eq!(
        one.says(3, "echo", json!({ "a": "\n\u{e9}" })).await,
        "{\"a\":\"\\n\u{e9}\"}"
    );
    assert_eq!(one.request("DELETE").send().await.status, 204);
    assert_eq!(one.post(&tool_call(4, "pid", json!({}))).send().await.status, 404);
    assert_eq!(
        two.says(5, "pid", json!({})).await,
        second,
        "the other session is not concerned"
    );

    let nobody = Client::of(&rig, "alice");
    assert_eq!(
        nobody.post(&tool_call(6, "pid", json!({}))).send().await.status,
        400,
        "there is no session"
    );
    let modern = nobody.post(&json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" }));
    let modern = modern
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/list");
    assert_eq!(
        modern.send().await.status,
        400,
        "a revision without sessions has no process"
    );

    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let said = said(&frames);
    for pid in [first, second] {
        assert!(said.contains(&format!("started as {pid}")), "{said:?}");
    }
    let sessions: std::collections::BTreeSet<_> = frames.iter().filter_map(|frame| frame.session_id).collect();
    assert_eq!(sessions.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_may_ask_its_client_and_both_ways_are_on_record() {
    let rig = rig("").await;
    let client = Client::opened(&rig, "alice").await;
    let mut calling = client.post(&tool_call(1, "ask", json!({}))).send().await;
    let question = messages(&calling.next().await.expect("the stream is open"));
    assert_eq!(question[0]["method"], "sampling/createMessage");
    let answer = json!({ "jsonrpc": "2.0", "id": question[0]["id"], "result": { "said": "yes" } });
    assert_eq!(client.post(&answer).send().await.status, 202);
    let rest = messages(&calling.whole().await.expect("a clean end"));
    assert_eq!(rest[0]["result"]["content"][0]["text"], "{\"said\":\"yes\"}");
    let frames = rig.stop_and_read().await;
    let kinds: Vec<_> = frames
        .iter()
        .filter(|frame| frame.direction == Direction::ToClient)
        .filter_map(|frame| frame.rpc.as_ref())
        .map(|rpc| rpc.kind)
        .collect();
    assert!(kinds.contains(&RpcKind::Request), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_reaches_whoever_listens_then_or_later() {
    let rig = rig("").await;
    let client = Client::opened(&rig, "alice").await;
    // A word that comes while something is asked goes to whoever asked.
    assert_eq!(client.says(1, "afterthought", json!({})).await, "done");
    let mut listening = client.request("GET").header("accept", "text/event-stream").send().await;
    assert_eq!(listening.status, 200);
    let said = messages(&listening.next().await.expect("the stream is open"));
    assert_eq!(said[0]["method"], "notifications/message", "it was kept");
    let make_it_speak = json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" });
    assert_eq!(client.post(&make_it_speak).send().await.status, 202);
    let said = messages(&listening.next().await.expect("the stream is open"));
    assert_eq!(said[0]["method"], "notifications/message");
    assert_eq!(client.request("DELETE").send().await.status, 204);
    assert!(listening.next().await.is_none(), "the stream ends with the session");
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_sessions_of_a_user_share_a_process_and_each_gets_its_own_answers() {
    let rig = rig("per = \"user\"").await;
    let (one, two) = (Client::opened(&rig, "alice").await, Client::opened(&rig, "alice").await);
    let other = Client::opened(&rig, "bob").await;
    assert!(one.session.is_none(), "there is nothing that a session would name");
    let pid = one.says(1, "pid", json!({})).await;
    assert_eq!(two.says(1, "pid", json!({})).await, pid);
    assert_ne!(other.says(1, "pid", json!({})).await, pid);
    // The same id at the same time.
    let (first, second) = tokio::join!(
        one.says(7, "together", json!({ "text": "first" })),
        two.says(7, "together", json!({ "text": "second" })),
    );
    assert_eq!((first.as_str(), second.as_str()), ("first", "second"));
    let call = json!({ "jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": {
        "name": "progress", "_meta": { "progressToken": "mine" } } });
    let progress = messages(&one.post(&call).send().await.whole().await.expect("a clean end"));
    assert_eq!(progress[0]["params"]["progressToken"], "mine");
    assert_eq!(progress[1]["id"], 8);

    let modern = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": { "name": "pid",
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } } });
    let modern = Client::of(&rig, "alice")
        .post(&modern)
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "pid");
    let said = messages(&modern.send().await.whole().await.expect("a clean end"));
    assert_eq!(said[0]["result"]["content"][0]["text"], pid.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cancels_is_heard_by_the_process() {
    let rig = rig("per = \"user\"").await;
    let client = Client::of(&rig, "alice");
    let modern = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": { "name": "hold",
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } } });
    let modern = client
        .post(&modern)
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "hold");
    let answer = modern.send().await;
    assert_eq!(answer.status, 200);
    answer.vanish().await;
    // What comes after it on the same pipe shows that it was heard.
    assert!(!client.says(1, "pid", json!({})).await.is_empty());
    let frames = rig.stop_and_read().await;
    assert!(frames.iter().any(|frame| frame.end == Some(End::Cancelled)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_all_share_cannot_ask_any_of_them() {
    let rig = rig("per = \"shared\"").await;
    let (alice, bob) = (Client::opened(&rig, "alice").await, Client::opened(&rig, "bob").await);
    assert_eq!(
        alice.says(1, "pid", json!({})).await,
        bob.says(1, "pid", json!({})).await
    );
    assert!(alice.says(2, "ask", json!({})).await.contains("-32601"));
    assert_eq!(alice.request("GET").send().await.status, 405);
    let (first, second) = tokio::join!(
        alice.says(3, "together", json!({ "text": "alice's" })),
        bob.says(3, "together", json!({ "text": "bob's" })),
    );
    assert_eq!((first.as_str(), second.as_str()), ("alice's", "bob's"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_cuts_its_answer_and_is_not_started_again_at_once() {
    let rig = rig("").await;
    let client = Client::opened(&rig, "alice").await;
    let calling = client.post(&tool_call(1, "die", json!({}))).send().await;
    calling.whole().await.expect_err("a cut, not a clean end");
    assert_eq!(
        client.post(&tool_call(2, "pid", json!({}))).send().await.status,
        404,
        "its session is over"
    );
    let again = Client::of(&rig, "alice").post(&initialize()).send().await;
    assert_eq!(again.status, 502);
    assert_eq!(again.json().await["error"]["data"]["reason"], "target_unreachable");
    Client::opened(&rig, "bob").await;
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let ends: Vec<_> = frames.iter().filter_map(|frame| frame.end).collect();
    assert_eq!(
        ends,
        [
            End::Answered,
            End::UpstreamLost,
            End::Answered,
            End::NotForwarded,
            End::Answered,
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_has_the_environment_and_the_limits_that_it_is_given_and_no_other() {
    let rig = rig("memory = \"3GiB\"\nopen_files = 123\nprocesses = 1").await;
    let client = Client::opened(&rig, "alice").await;
    let environment = client.says(1, "environment", json!({})).await;
    assert!(
        environment.contains("GIVEN") && environment.contains("PATH"),
        "{environment}"
    );
    assert!(
        !environment.contains("CARGO") && !environment.contains("SECRET"),
        "{environment}"
    );
    let limits = client.says(2, "limits", json!({})).await;
    let limit = |name: &str| {
        limits
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a limit")
            .to_owned()
    };
    assert!(limit("Max open files").contains("123"), "{limits}");
    assert!(limit("Max data size").contains("3221225472"), "{limits}");
    assert!(limit("Max core file size").contains(" 0 "), "{limits}");
    let one_too_many = Client::of(&rig, "bob").post(&initialize()).send().await;
    assert_eq!(one_too_many.status, 502);
}
