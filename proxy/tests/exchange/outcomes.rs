//! What targets answer, in all its variety, passes and is on record as what it is.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tapedeck_schemas::{Direction, End, Frame, Kind, RpcKind};
use tokio::sync::Mutex;

use crate::rig::{GROUP, Reply, Rig, Target, assert_at_most_one_end, joined, of_kind};
use crate::{RESULT, call, simple};

fn answers(frames: &[Frame]) -> Vec<&Frame> {
    let of = of_kind(frames, Kind::Message).into_iter();
    of.filter(|frame| frame.direction == Direction::ToClient).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_refuses_is_relayed_with_its_status_and_every_byte() {
    const UNSUPPORTED: &str =
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"no","data":{"supported":[]}}}"#;
    const NO_METHOD: &str = r#"{ "jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"} }"#;
    let statuses = [
        (405, ""),
        (404, "gone"),
        (400, "bad"),
        (404, NO_METHOD),
        (400, UNSUPPORTED),
        (500, "oops"),
    ];
    let at = Arc::new(Mutex::new(statuses.into_iter()));
    let target = Target::start(move |_| {
        let at = Arc::clone(&at);
        async move {
            let (status, body) = at.lock().await.next().expect("no more requests");
            Reply::json(body).status(status).header("allow", "POST")
        }
    });
    let rig = Rig::new(target.await).await;
    let requests = [
        // A server without a stream of its own, a session that is over, as some and as others say it.
        rig.request("GET").header("accept", "text/event-stream"),
        rig.request("DELETE"),
        rig.request("DELETE"),
        // What dual-era clients find out by.
        rig.post(call(1, "x")),
        rig.post(call(1, "x")),
        rig.post(call(1, "x")),
    ];
    for (request, (status, body)) in requests.into_iter().zip(statuses) {
        let answer = request.send().await;
        assert_eq!(
            (answer.status, &answer.headers["allow"]),
            (status, &"POST".parse().expect("a header"))
        );
        assert_eq!(answer.whole().await.expect("whole"), body);
    }
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let recorded: Vec<_> = answers(&frames)
        .iter()
        .map(|frame| {
            (
                frame.http.status.expect("a status"),
                frame.rpc.as_ref().and_then(|rpc| rpc.error_code),
            )
        })
        .collect();
    let expected = [
        (405, None),
        (404, None),
        (400, None),
        (404, Some(-32601)),
        (400, Some(-32022)),
        (500, None),
    ];
    assert_eq!(recorded, expected);
    assert!(
        frames
            .iter()
            .filter_map(|frame| frame.end)
            .all(|end| end == End::Answered)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_the_error_and_a_tools_own_failure_are_three_outcomes() {
    let bodies = [
        (200, RESULT),
        (
            200,
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#,
        ),
        (
            200,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}"#,
        ),
        (
            404,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"no session"}}"#,
        ),
    ];
    let at = Arc::new(Mutex::new(bodies.into_iter()));
    let target = Target::start(move |_| {
        let at = Arc::clone(&at);
        async move {
            let (status, body) = at.lock().await.next().expect("no more requests");
            Reply::json(body).status(status)
        }
    });
    let rig = Rig::new(target.await).await;
    for (status, _) in bodies {
        assert_eq!(rig.post(call(1, "x")).send().await.status, status);
    }
    let frames = rig.stop_and_read().await;
    let recorded: Vec<_> = answers(&frames)
        .into_iter()
        .map(|frame| {
            let rpc = frame.rpc.as_ref().expect("an envelope");
            (frame.http.status, rpc.kind, rpc.error_code, rpc.is_error)
        })
        .collect();
    assert_eq!(
        recorded,
        [
            (Some(200), RpcKind::Response, None, Some(false)),
            (Some(200), RpcKind::Response, None, Some(true)),
            (Some(200), RpcKind::Error, Some(-32602), None),
            (Some(404), RpcKind::Error, Some(-32001), None),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_answers_what_the_target_asked_of_it() {
    let rig = Rig::new(Target::start(|_| async { Reply::accepted() }).await).await;
    let sampled = r#"{"jsonrpc":"2.0","id":"s-1","result":{"role":"assistant","content":{"type":"text","text":"x"}}}"#;
    let declined = r#"{"jsonrpc":"2.0","id":"e-1","error":{"code":-1,"message":"the user said no"}}"#;
    for body in [sampled, declined] {
        let answer = rig.post(body).send().await;
        assert_eq!(answer.status, 202);
        assert_eq!(answer.whole().await.expect("whole"), "");
    }
    assert_eq!(rig.target.seen()[0].body, sampled);
    let frames = rig.stop_and_read().await;
    assert_eq!(
        joined(&frames, Direction::ToTarget),
        [sampled, declined].concat().as_bytes()
    );
    let kinds: Vec<_> = frames
        .iter()
        .filter(|frame| frame.direction == Direction::ToTarget)
        .filter_map(|frame| frame.rpc.as_ref())
        .map(|rpc| (rpc.kind, rpc.id.as_deref()))
        .collect();
    assert_eq!(
        kinds,
        [(RpcKind::Response, Some("\"s-1\"")), (RpcKind::Error, Some("\"e-1\""))]
    );
    let ends: Vec<_> = frames.iter().filter_map(|frame| frame.end).collect();
    assert_eq!(ends, [End::Accepted; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_come_again_are_exchanges_of_their_own_and_answers_are_shared_by_nobody() {
    let target = Target::start(|seen| async move {
        Reply::json(RESULT)
            .header("cache-control", "max-age=3600")
            .header("x-asked-with", seen.headers["x-who"].to_str().expect("text"))
    });
    let rig = Rig::new(target.await).await;
    let bob = format!("Bearer {}", rig.issuer.token("bob", &[GROUP]));
    let alice = format!("Bearer {}", rig.token());
    for (who, token) in [("alice", &alice), ("bob", &bob), ("alice", &alice)] {
        let answer = rig
            .post(call(1, "same"))
            .header("authorization", token)
            .header("x-who", who)
            .send()
            .await;
        assert_eq!(answer.headers["x-asked-with"], who);
    }
    assert_eq!(rig.target.seen().len(), 3);
    let frames = rig.stop_and_read().await;
    let exchanges: std::collections::BTreeSet<_> = answers(&frames).iter().map(|frame| frame.exchange_id).collect();
    assert_eq!(exchanges.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_needs_back_goes_back_exactly_and_what_a_client_claims_is_recorded_as_a_claim() {
    let rig = simple().await;
    // A retry after input was asked for: another id, and the target's state as it came.
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"x","requestState":"eyJ\/\u0061==  ","inputResponses":{{"a":{{"n":1.50}}}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"claims-to-be","version":"9"}},"traceparent":"{trace}"}}}}}}"#
    );
    let request = rig
        .post(body.clone())
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "x");
    assert_eq!(request.send().await.status, 200);
    assert_eq!(rig.target.seen()[0].body, body);
    let frames = rig.stop_and_read().await;
    let asked = of_kind(&frames, Kind::Message)[0];
    assert_eq!(asked.client.claimed_name.as_deref(), Some("claims-to-be"));
    assert_eq!(asked.principal.as_ref().expect("known").subject, "alice");
    assert_eq!(asked.traceparent.as_deref(), Some(trace));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_passes_in_whatever_form_and_size_it_comes() {
    let large = |size: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"text":"{}"}}}}"#,
            "A".repeat(size)
        )
    };
    let bodies = [RESULT.to_owned(), large(3_000), large(460_000)];
    let forms = ["length", "chunks", "stream", "stream with CRLF"];
    let (given, all) = (bodies.clone(), Arc::new(Mutex::new(0)));
    let target = Target::start(move |_| {
        let (given, all) = (given.clone(), Arc::clone(&all));
        async move {
            let mut at = all.lock().await;
            let (body, form) = (given[*at / forms.len()].clone(), forms[*at % forms.len()]);
            *at += 1;
            match form {
                "length" => Reply::json(body),
                "stream" => Reply::whole("text/event-stream", format!("data: {body}\n\n")),
                "stream with CRLF" => Reply::whole(
                    "text/event-stream; charset=utf-8",
                    format!("event: message\r\ndata: {body}\r\n\r\n"),
                ),
                _ => {
                    let (sender, reply) = Reply::pieces("application/json");
                    tokio::spawn(async move {
                        for piece in body.as_bytes().chunks(1_000) {
                            // A client that has gone is another test's.
                            let _ = sender.send(Ok(Bytes::copy_from_slice(piece))).await;
                        }
                    });
                    reply
                }
            }
        }
    });
    let rig = Rig::new(target.await).await;
    for body in &bodies {
        for form in forms {
            let expected = match form {
                "stream" => format!("data: {body}\n\n"),
                "stream with CRLF" => format!("event: message\r\ndata: {body}\r\n\r\n"),
                _ => body.clone(),
            };
            let answer = rig.post(call(1, form)).send().await;
            assert_eq!(answer.whole().await.expect("whole"), expected, "{form}");
        }
    }
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let whole: String = bodies.iter().map(|body| body.repeat(forms.len())).collect();
    assert_eq!(joined(&frames, Direction::ToClient), whole.as_bytes());
    let kinds: Vec<_> = answers(&frames)
        .iter()
        .filter_map(|frame| frame.rpc.as_ref())
        .map(|rpc| rpc.kind)
        .collect();
    assert_eq!(kinds, [RpcKind::Response; 12]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_could_not_be_read_on_record_is_withheld() {
    let target = Target::start(|_| async { Reply::json("\u{1f}compressed").header("content-encoding", "gzip") });
    let rig = Rig::new(target.await).await;
    let answer = rig.post(call(1, "x")).header("accept-encoding", "gzip").send().await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json().await["error"]["data"]["reason"], "encoded_answer");
    assert!(
        !rig.target.seen()[0].headers.contains_key("accept-encoding"),
        "nobody asked for it"
    );
    let frames = rig.stop_and_read().await;
    let ends: Vec<_> = frames.iter().filter_map(|frame| frame.end).collect();
    assert_eq!(ends, [End::Aborted]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_is_no_token_and_the_query_reaches_no_target() {
    let rig = simple().await;
    let token = rig.token();
    let asked = crate::rig::Request::new(rig.address(), "POST", &format!("/demo/mcp?access_token={token}"));
    assert_eq!(asked.body(call(1, "x")).send().await.status, 401);
    assert!(rig.target.seen().is_empty());
    let asked = crate::rig::Request::new(rig.address(), "POST", "/demo/mcp?admin=true")
        .header("authorization", &format!("Bearer {token}"))
        .body(json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string());
    assert_eq!(asked.send().await.status, 200);
    assert_eq!(rig.target.seen()[0].path, "/mcp");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_turns_the_proxy_away_is_not_taken_for_a_token_that_is_bad() {
    const SAID: &str = r#"{"error":"invalid_token"}"#;
    let target = Target::start(|_| async {
        Reply::json(SAID)
            .status(401)
            .header("www-authenticate", "Bearer realm=\"target\"")
    });
    let rig = Rig::new(target.await).await;
    let answer = rig.post(call(7, "x")).send().await;
    assert_eq!(answer.status, 502);
    assert!(!answer.headers.contains_key("www-authenticate"));
    let said: Value = serde_json::from_slice(&answer.whole().await.expect("whole")).expect("JSON");
    assert_eq!(
        (&said["id"], &said["error"]["data"]["reason"]),
        (&json!(7), &json!("target_unauthorized"))
    );
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let recorded = answers(&frames);
    let [answered] = recorded.as_slice() else {
        panic!("{recorded:?}");
    };
    let payload = answered.payload.as_ref().map(|payload| payload.0.as_ref());
    assert_eq!((answered.http.status, payload), (Some(401), Some(SAID.as_bytes())));
    assert_eq!(answered.end, Some(End::Answered));
    let rule = answered.decision.as_ref().map(|decision| decision.rule.as_str());
    assert_eq!(rule, Some("target_unauthorized"));
}
