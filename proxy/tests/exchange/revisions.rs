//! What the revisions of the protocol have that others have not.

use serde_json::{Value, json};
use tapedeck_schemas::{Direction, End, Frame, Kind, RpcKind};

use crate::rig::{Reply, Request, Rig, Target, assert_at_most_one_end, joined, of_kind};
use crate::{RESULT, call, simple};

const MODERN: &str = "2026-07-28";

fn modern_message(name: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": name, "arguments": {},
        "_meta": { "io.modelcontextprotocol/protocolVersion": MODERN } } })
    .to_string()
}

fn modern(rig: &Rig, name: &str) -> Request {
    rig.post(modern_message(name))
        .header("mcp-protocol-version", MODERN)
        .header("mcp-method", "tools/call")
        .header("mcp-name", name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modern_request_passes_if_its_headers_and_its_body_say_the_same() {
    let rig = simple().await;
    let answer = modern(&rig, "echo").header("mcp-param-region", "eu").send().await;
    assert_eq!(answer.status, 200);
    let encoded = modern(&rig, "h\u{e4}llo")
        .header("mcp-name", "=?base64?aMOkbGxv?=")
        .send()
        .await;
    assert_eq!(encoded.status, 200);
    let seen = rig.target.seen();
    assert_eq!(seen[0].headers["mcp-param-region"], "eu");
    assert_eq!(seen[1].headers["mcp-name"], "=?base64?aMOkbGxv?=");

    for (name, value) in [
        ("mcp-method", "tools/list"),
        ("mcp-name", "delete_everything"),
        ("mcp-name", "=?base64?!!!?="),
        ("mcp-protocol-version", "2025-11-25"),
    ] {
        let answer = modern(&rig, "echo").header(name, value).send().await;
        assert_eq!(answer.status, 400, "{name}: {value}");
        let error = answer.json().await;
        assert_eq!((&error["error"]["code"], &error["id"]), (&json!(-32020), &json!(1)));
    }
    for name in ["mcp-method", "mcp-name", "mcp-protocol-version"] {
        assert_eq!(
            modern(&rig, "echo").without(name).send().await.status,
            400,
            "without {name}"
        );
    }
    let twice = modern(&rig, "echo").and_header("mcp-method", "tools/call").send().await;
    assert_eq!(twice.status, 400);
    assert_eq!(rig.target.seen().len(), 2, "the others reached nothing");

    let frames = rig.stop_and_read().await;
    let refused = of_kind(&frames, Kind::Refused);
    assert_eq!(refused.len(), 8);
    for frame in refused {
        assert_eq!(frame.decision.as_ref().expect("a reason").rule, "header_mismatch");
        assert_eq!(frame.rpc.as_ref().expect("an envelope").name.as_deref(), Some("echo"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_modern_revision_has_no_sessions_no_resumption_and_nothing_but_post() {
    let target = Target::start(|_| async { Reply::json(RESULT).header("mcp-session-id", "minted-all-the-same") });
    let rig = Rig::new(target.await).await;
    let answer = modern(&rig, "echo")
        .header("mcp-session-id", "anything")
        .header("last-event-id", "7")
        .send()
        .await;
    assert_eq!(answer.status, 200, "what claims a session is ignored, not refused");
    assert!(!answer.headers.contains_key("mcp-session-id"));
    let seen = &rig.target.seen()[0];
    assert!(!seen.headers.contains_key("mcp-session-id") && !seen.headers.contains_key("last-event-id"));
    for method in ["GET", "DELETE"] {
        let answer = rig.request(method).header("mcp-protocol-version", MODERN).send().await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers["allow"], "POST");
    }
    assert_eq!(rig.target.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_is_legacy_whatever_revision_it_asks_for() {
    let target = Target::start(|_| async { Reply::json(RESULT).header("mcp-session-id", "the-targets-id") });
    let rig = Rig::new(target.await).await;
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": MODERN, "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } } });
    let answer = rig.post(initialize.to_string()).send().await;
    assert_eq!(answer.status, 200);
    let tagged = answer.headers["mcp-session-id"].to_str().expect("text");
    assert!(
        tagged.starts_with("the-targets-id."),
        "the target negotiates down and opens a session"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_is_none_is_refused_and_an_unknown_one_is_the_targets_to_judge() {
    let rig = simple().await;
    for bad in ["", "2025 06 18", "x\u{e9}", &"9".repeat(65)] {
        let answer = rig.post(call(1, "x")).header("mcp-protocol-version", bad).send().await;
        assert_eq!(answer.status, 400, "{bad:?}");
    }
    assert!(rig.target.seen().is_empty());
    assert_eq!(
        rig.post(call(1, "x"))
            .header("mcp-protocol-version", "1999-01-01")
            .send()
            .await
            .status,
        200
    );
    assert_eq!(rig.target.seen()[0].headers["mcp-protocol-version"], "1999-01-01");
    assert_eq!(
        rig.post(call(1, "x")).send().await.status,
        200,
        "none stands for 2025-03-26"
    );
}

fn members(frames: &[Frame], direction: Direction) -> Vec<&Frame> {
    let of = frames
        .iter()
        .filter(|frame| frame.kind == Kind::Message && frame.direction == direction);
    of.filter(|frame| frame.rpc.as_ref().is_some_and(|rpc| rpc.kind != RpcKind::Batch))
        .collect()
}

fn batch() -> String {
    let messages: Vec<Value> = [call(1, "first"), call(2, "second")]
        .iter()
        .map(|text| serde_json::from_str(text).expect("JSON"))
        .chain([json!({ "jsonrpc": "2.0", "method": "notifications/progress" })])
        .collect();
    json!(messages).to_string()
}

const ANSWERS: &str = r#"[ {"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"no"}},
    {"jsonrpc":"2.0","id":1,"result":{"isError":true}} ]"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_passes_as_it_is_and_each_call_in_it_is_on_record_with_its_answer() {
    let rig = Rig::new(Target::start(|_| async { Reply::json(ANSWERS) }).await).await;
    let answer = rig.post(batch()).send().await;
    assert_eq!(answer.whole().await.expect("whole"), ANSWERS);
    assert_eq!(rig.target.seen()[0].body, batch());

    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    assert_eq!(
        joined(&frames, Direction::ToTarget),
        batch().as_bytes(),
        "its bytes are on record once"
    );
    assert_eq!(joined(&frames, Direction::ToClient), ANSWERS.as_bytes());
    let asked: Vec<_> = members(&frames, Direction::ToTarget)
        .into_iter()
        .map(|frame| frame.rpc.as_ref().expect("an envelope"))
        .map(|rpc| (rpc.kind, rpc.id.as_deref(), rpc.name.as_deref()))
        .collect();
    assert_eq!(
        asked,
        [
            (RpcKind::Request, Some("1"), Some("first")),
            (RpcKind::Request, Some("2"), Some("second")),
            (RpcKind::Notification, None, None),
        ]
    );
    let answers = members(&frames, Direction::ToClient);
    let told: Vec<_> = answers
        .iter()
        .map(|frame| frame.rpc.as_ref().expect("an envelope"))
        .map(|rpc| {
            (
                rpc.kind,
                rpc.id.as_deref(),
                rpc.name.as_deref(),
                rpc.error_code,
                rpc.is_error,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (RpcKind::Error, Some("2"), Some("second"), Some(-32602), None),
            (RpcKind::Response, Some("1"), Some("first"), None, Some(true)),
        ]
    );
    assert_eq!(
        answers[1].end,
        Some(End::Answered),
        "the exchange ends by the last frame of all"
    );
    assert_eq!(answers[1].counters.requests, 2);
    assert_eq!((answers[1].counters.answers, answers[1].counters.errors), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_may_be_answered_by_a_stream_and_each_answer_finds_its_call() {
    let events = "data: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n\n\
                  data: [{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]\n\n";
    let rig = Rig::new(Target::start(move |_| async move { Reply::whole("text/event-stream", events) }).await).await;
    assert_eq!(rig.post(batch()).send().await.whole().await.expect("whole"), events);
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let names: Vec<_> = members(&frames, Direction::ToClient)
        .into_iter()
        .filter_map(|frame| frame.rpc.as_ref()?.name.as_deref())
        .collect();
    assert_eq!(names, ["second", "first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_to_a_batch_is_in_parts_and_then_call_by_call() {
    let large = format!(
        r#"[{{"jsonrpc":"2.0","id":1,"result":{{"text":"{}"}}}}]"#,
        "A".repeat(1_500_000)
    );
    let body = large.clone();
    let rig = Rig::new(
        Target::start(move |_| {
            let body = body.clone();
            async { Reply::json(body) }
        })
        .await,
    )
    .await;
    assert_eq!(rig.post(batch()).send().await.whole().await.expect("whole"), large);
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    assert_eq!(joined(&frames, Direction::ToClient), large.as_bytes());
    let last = frames
        .iter()
        .rfind(|frame| frame.direction == Direction::ToClient)
        .expect("frames");
    assert_eq!(last.end, Some(End::Answered));
    assert_eq!(last.rpc.as_ref().expect("an envelope").name.as_deref(), Some("first"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_resumes_where_the_client_says_and_what_comes_again_is_recorded_again() {
    let target = Target::start(|seen| async move {
        // Whatever follows event 1, from the beginning if nothing was seen.
        let all = ["id: 1\ndata: {\"n\":1}\n\n", "id: 2\ndata: {\"n\":2}\n\n"];
        let from = seen.headers.get("last-event-id").map_or(0, |_| 1);
        Reply::whole("text/event-stream", all[from..].concat())
    });
    let rig = Rig::new(target.await).await;
    let first = rig.request("GET").header("accept", "text/event-stream").send().await;
    first.whole().await.expect("a clean end");
    let again = rig
        .request("GET")
        .header("accept", "text/event-stream")
        .header("last-event-id", "1");
    assert_eq!(
        again.send().await.whole().await.expect("a clean end"),
        "id: 2\ndata: {\"n\":2}\n\n"
    );
    assert_eq!(rig.target.seen()[1].headers["last-event-id"], "1");

    let frames = rig.stop_and_read().await;
    let ids: Vec<_> = frames
        .iter()
        .filter(|frame| frame.direction == Direction::ToClient)
        .filter_map(|frame| frame.sse.as_ref()?.id.as_deref())
        .collect();
    assert_eq!(ids, ["1", "2", "2"]);
    let starts: Vec<_> = of_kind(&frames, Kind::ExchangeStart)
        .into_iter()
        .map(|frame| frame.sse.as_ref().and_then(|sse| sse.id.as_deref()))
        .collect();
    assert_eq!(starts, [None, Some("1")], "the record says what the client had seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_primed_and_closed_is_polled_on_and_its_session_goes_on() {
    let target = Target::start(|seen| async move {
        match (seen.method.as_str(), seen.headers.contains_key("last-event-id")) {
            ("POST", _) => {
                Reply::whole("text/event-stream", "id: 0\nretry: 5\ndata:\n\n").header("mcp-session-id", "s")
            }
            (_, true) => Reply::whole("text/event-stream", format!("id: 1\ndata: {RESULT}\n\n")),
            _ => Reply::json("").status(405),
        }
    });
    let rig = Rig::new(target.await).await;
    let primed = rig.post(json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {} }).to_string());
    let primed = primed.send().await;
    let session = primed.headers["mcp-session-id"].to_str().expect("text").to_owned();
    assert_eq!(primed.whole().await.expect("a clean end"), "id: 0\nretry: 5\ndata:\n\n");
    let polled = rig
        .request("GET")
        .header("mcp-session-id", &session)
        .header("last-event-id", "0");
    let polled = polled.send().await;
    assert_eq!(
        polled.whole().await.expect("a clean end"),
        format!("id: 1\ndata: {RESULT}\n\n")
    );
    let frames = rig.stop_and_read().await;
    let sessions: std::collections::BTreeSet<_> = frames
        .iter()
        .filter(|frame| frame.direction == Direction::ToClient)
        .map(|frame| frame.session_id)
        .collect();
    assert_eq!(sessions.len(), 1);
    assert!(sessions.iter().all(Option::is_some));
}
