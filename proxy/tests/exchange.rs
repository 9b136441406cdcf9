//! Exchanges through the proxy, with a real broker, issuer and target: what passes, and what is on record.

mod rig;

use std::sync::Arc;

use bytes::Bytes;
use rig::{GROUP, Reply, Rig, TARGET_SECRET, Target, assert_at_most_one_end, frames, joined, of_kind};
use serde_json::{Value, json};
use tapedeck_schemas::{Direction, End, Kind, MAX_PART, RpcKind};
use tokio::sync::{Mutex, Notify, mpsc};

fn call(id: u32, tool: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": {} } })
        .to_string()
}

const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;

async fn simple() -> Rig {
    Rig::new(Target::start(|_| async { Reply::json(RESULT) }).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_pass_byte_for_byte_whatever_they_are() {
    let bodies: [&[u8]; 6] = [
        b" {\"id\" : 1,\r\n\t\"jsonrpc\":\"2.0\", \"result\":{\"n\":1e400,\"n\":\"\\u00e9\xc3\xa9\"}} \n",
        RESULT.as_bytes(),
        b"[]",
        b"not JSON at all",
        b"\xff\xfe\x00",
        b"",
    ];
    let target = Target::start(move |seen| async move {
        let request: Value = serde_json::from_slice(&seen.body).expect("JSON");
        let which = request["id"].as_u64().expect("a number") as usize;
        Reply::json(bodies[which])
    });
    let rig = Rig::new(target.await).await;
    for (which, body) in bodies.iter().enumerate() {
        let answer = rig.post(call(which as u32, "odd")).send().await;
        assert_eq!(answer.headers["content-length"], body.len().to_string());
        assert_eq!(answer.whole().await.expect("not cut"), body);
    }
    let sent: Vec<u8> = rig.target.seen().iter().flat_map(|seen| seen.body.to_vec()).collect();
    let frames = rig.stop_and_read().await;
    assert_eq!(joined(&frames, Direction::ToTarget), sent);
    assert_eq!(joined(&frames, Direction::ToClient), bodies.concat());
    let ends: Vec<_> = frames.iter().filter_map(|frame| frame.end).collect();
    assert_eq!(ends, [End::Answered; 6]);
    let answers = frames.iter().filter(|frame| frame.direction == Direction::ToClient);
    let mut rpcs = answers.map(|frame| frame.rpc.as_ref().expect("an envelope, or that there is none"));
    let foreign = rpcs.next().expect("an answer");
    assert_eq!(
        (foreign.id.as_deref(), foreign.method.as_deref()),
        (Some("1"), None),
        "it answers another request"
    );
    let own = rpcs.next().expect("an answer");
    assert_eq!(
        (own.method.as_deref(), own.name.as_deref()),
        (Some("tools/call"), Some("odd"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_pass_one_by_one_as_they_come_and_byte_for_byte() {
    let pieces: [&[u8]; 5] = [
        b"id: 7\r\nretry: 100\r\ndata:\r\n\r\n",
        b": still here\n\n",
        b"event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\ndata: \"params\":{}}\n\n",
        b"x-unknown: 1\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"isError\":true}}\n\n",
        b"data: an event without its end",
    ];
    let (sender, reply) = Reply::events();
    let reply = Arc::new(Mutex::new(Some(reply)));
    let target = Target::start(move |_| {
        let reply = Arc::clone(&reply);
        async move { reply.lock().await.take().expect("one request") }
    });
    let rig = Rig::new(target.await).await;
    let mut answer = rig.post(call(1, "slow")).send().await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    for piece in &pieces[..4] {
        sender
            .send(Ok(Bytes::from_static(piece)))
            .await
            .expect("the proxy reads");
        let mut come = Vec::new();
        while come.len() < piece.len() {
            come.extend_from_slice(&answer.next().await.expect("the stream is open"));
        }
        assert_eq!(&come, piece, "an event is released before the next one comes");
    }
    sender
        .send(Ok(Bytes::from_static(pieces[4])))
        .await
        .expect("the proxy reads");
    drop(sender);
    assert_eq!(answer.whole().await.expect("a clean end"), pieces[4]);

    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let events: Vec<_> = frames
        .iter()
        .filter(|frame| frame.direction == Direction::ToClient)
        .collect();
    assert_eq!(events.len(), pieces.len());
    let sse: Vec<_> = events
        .iter()
        .map(|frame| frame.sse.as_ref().expect("an event"))
        .collect();
    assert_eq!((sse[0].id.as_deref(), sse[0].retry), (Some("7"), Some(100)));
    assert_eq!(sse[1].comment.as_deref().map(str::trim), Some("still here"));
    assert!(
        events[..2]
            .iter()
            .all(|frame| frame.payload.is_none() && frame.rpc.is_none())
    );
    assert_eq!(events[2].rpc.as_ref().expect("an envelope").kind, RpcKind::Notification);
    let result = events[3].rpc.as_ref().expect("an envelope");
    assert_eq!(
        (result.kind, result.is_error, result.name.as_deref()),
        (RpcKind::Response, Some(true), Some("slow"))
    );
    assert!(!sse[4].complete);
    let end = of_kind(&frames, Kind::ExchangeEnd);
    assert_eq!(
        end.iter().map(|frame| frame.end).collect::<Vec<_>>(),
        [Some(End::Answered)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_any_size_comes_whole_and_in_parts_on_record() {
    let body = Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"image":"{}"}}}}"#,
        "A".repeat(5_000_000)
    ));
    let sent = body.clone();
    let rig = Rig::new(
        Target::start(move |_| {
            let body = body.clone();
            async { Reply::json(body) }
        })
        .await,
    )
    .await;
    let answer = rig.post(call(1, "image")).send().await;
    assert_eq!(answer.whole().await.expect("not cut"), sent);
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    assert_eq!(joined(&frames, Direction::ToClient), sent);
    let parts: Vec<_> = frames
        .iter()
        .filter(|frame| frame.direction == Direction::ToClient)
        .collect();
    assert_eq!(parts.len(), sent.len().div_ceil(MAX_PART));
    for (at, frame) in parts.iter().enumerate() {
        assert_eq!(frame.part.index as usize, at);
        assert_eq!(frame.part.last, at + 1 == parts.len());
        assert_eq!(frame.rpc.is_some(), frame.part.last);
    }
    let last = parts.last().expect("parts");
    assert_eq!(last.end, Some(End::Answered));
    assert_eq!(last.rpc.as_ref().expect("an envelope").kind, RpcKind::Response);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_is_recorded_in_parts_and_forwarded_whole() {
    let rig = simple().await;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "big", "arguments": { "text": "B".repeat(2 * MAX_PART) } } })
    .to_string();
    assert_eq!(rig.post(body.clone()).send().await.status, 200);
    let too_large = rig.post(vec![b' '; 4 * 1024 * 1024 + 1]).send().await;
    assert_eq!(too_large.status, 413);
    let seen = rig.target.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].body, body);
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    assert_eq!(joined(&frames, Direction::ToTarget), body.as_bytes());
    assert_eq!(
        of_kind(&frames, Kind::Refused)[0]
            .decision
            .as_ref()
            .expect("a reason")
            .rule,
        "body_too_large"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_in_the_log_before_its_target_sees_it() {
    let (ask, mut asked) = mpsc::channel::<(Bytes, Arc<Notify>)>(1);
    let target = Target::start(move |seen| {
        let ask = ask.clone();
        async move {
            let go_on = Arc::new(Notify::new());
            ask.send((seen.body, Arc::clone(&go_on))).await.expect("the test waits");
            go_on.notified().await;
            Reply::json(RESULT)
        }
    });
    let rig = Rig::new(target.await).await;
    let sent = call(1, "now");
    let answer = tokio::spawn(rig.post(sent.clone()).send());
    let (seen, go_on) = asked.recv().await.expect("the target is asked");
    let on_record = frames(&rig.bootstrap, &rig.prefix).await;
    assert_eq!(joined(&on_record, Direction::ToTarget), seen);
    assert_eq!(seen, sent);
    go_on.notify_one();
    assert_eq!(answer.await.expect("no panic").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_a_call_is_refused_and_the_target_sees_nothing() {
    // Bound and never listened on: nobody answers there.
    let nobody = tokio::net::TcpSocket::new_v4().expect("a socket");
    nobody.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let bootstrap = nobody.local_addr().expect("an address").to_string();
    let rig = Rig::start(
        &bootstrap,
        "away",
        Target::start(|_| async { Reply::json(RESULT) }).await,
    )
    .await;
    let answer = rig.post(call(41, "lost")).send().await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.contains_key("retry-after"));
    let body = answer.json().await;
    assert_eq!(body["id"], 41);
    assert!(body["error"]["data"]["reason"].is_string());
    assert!(rig.target.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_recorded_is_withheld() {
    let arrived = Arc::new(Notify::new());
    let go_on = Arc::new(Notify::new());
    let target = {
        let (arrived, go_on) = (Arc::clone(&arrived), Arc::clone(&go_on));
        Target::start(move |_| {
            let (arrived, go_on) = (Arc::clone(&arrived), Arc::clone(&go_on));
            async move {
                arrived.notify_one();
                go_on.notified().await;
                Reply::json(r#"{"jsonrpc":"2.0","id":1,"result":"nobody may see this"}"#)
            }
        })
    };
    let broker = rig::own_broker().await;
    let rig = Rig::on(&broker.bootstrap(), target.await).await;
    let answer = tokio::spawn(rig.post(call(1, "once")).send());
    arrived.notified().await;
    broker.kill();
    go_on.notify_one();
    let answer = answer.await.expect("no panic");
    assert_eq!(answer.status, 502);
    let text = String::from_utf8(answer.whole().await.expect("a whole body").to_vec()).expect("text");
    assert!(
        text.contains("answer withheld") && text.contains("answer_withheld"),
        "{text}"
    );
    assert!(!text.contains("nobody may see this"));
    let next = rig.post(call(2, "twice")).send().await;
    assert_eq!(next.status, 503);
    assert_eq!(rig.target.seen().len(), 1, "nothing is forwarded while Kafka is away");

    broker.restart().await.expect("the broker comes back");
    rig.ready().await;
    go_on.notify_one();
    let again = rig.post(call(3, "again")).send().await;
    let status = again.status;
    assert_eq!(status, 200, "{:?}", again.whole().await);
    let frames = rig.stop_and_read().await;
    let answered = frames.iter().filter(|frame| frame.end == Some(End::Answered)).count();
    assert!(
        (1..=2).contains(&answered),
        "the last call's, and perhaps the one that Kafka took without saying so"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_client_that_goes_away_leaves_its_answer_to_the_record() {
    let arrived = Arc::new(Notify::new());
    let (sender, reply) = Reply::pieces("application/json");
    let reply = Arc::new(Mutex::new(Some(reply)));
    let target = {
        let arrived = Arc::clone(&arrived);
        Target::start(move |_| {
            let (arrived, reply) = (Arc::clone(&arrived), Arc::clone(&reply));
            async move {
                arrived.notify_one();
                reply.lock().await.take().expect("one request")
            }
        })
    };
    let rig = Rig::new(target.await).await;
    let client = tokio::spawn(rig.post(call(1, "slow")).send());
    arrived.notified().await;
    client.abort();
    let _ = client.await;
    sender
        .send(Ok(Bytes::from_static(RESULT.as_bytes())))
        .await
        .expect("the proxy still reads");
    drop(sender);
    let frames = rig.stop_and_read().await;
    assert_eq!(joined(&frames, Direction::ToClient), RESULT.as_bytes());
    assert_eq!(
        frames.iter().filter_map(|frame| frame.end).collect::<Vec<_>>(),
        [End::Answered]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modern_client_that_goes_away_cancels_and_so_does_a_listener() {
    let (give, given) = mpsc::unbounded_channel();
    let target = Target::start(move |_| {
        let (sender, reply) = Reply::events();
        give.send(sender).expect("the test holds it");
        async { reply }
    });
    let rig = Rig::new(target.await).await;
    let mut given = given;
    let modern = rig.post(call(1, "slow")).header("mcp-protocol-version", "2026-07-28");
    for request in [modern, rig.request("GET").header("accept", "text/event-stream")] {
        let answer = request.send().await;
        assert_eq!(answer.status, 200, "the head is released before the first event");
        let sender = given.recv().await.expect("the target was asked");
        answer.vanish().await;
        sender.closed().await;
    }
    let frames = rig.stop_and_read().await;
    assert_eq!(
        frames.iter().filter_map(|frame| frame.end).collect::<Vec<_>>(),
        [End::Cancelled; 2]
    );
    assert_eq!(of_kind(&frames, Kind::ExchangeStart).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_gets_its_own_credential_and_never_the_clients() {
    let rig = simple().await;
    let token = rig.token();
    let request = rig
        .post(call(1, "who"))
        .header("authorization", &format!("Bearer {token}"))
        .header("cookie", "a=b");
    assert_eq!(
        request
            .header("x-custom", "kept")
            .header("accept-encoding", "gzip")
            .send()
            .await
            .status,
        200
    );
    let seen = &rig.target.seen()[0];
    assert_eq!(seen.headers["authorization"], format!("Bearer {TARGET_SECRET}"));
    assert_eq!(seen.headers["host"], rig.target.address().to_string());
    assert_eq!(seen.headers["x-custom"], "kept");
    assert!(!format!("{seen:?}").contains(&token));
    assert!(!seen.headers.contains_key("cookie") && !seen.headers.contains_key("accept-encoding"));
    let frames = rig.stop_and_read().await;
    assert!(!format!("{frames:?}").contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_on_record_and_reach_no_target() {
    let rig = simple().await;
    let stranger = rig.post(call(1, "secret-name")).without("authorization").send().await;
    assert_eq!(stranger.status, 401);
    assert!(
        stranger.headers["www-authenticate"]
            .to_str()
            .expect("text")
            .contains("resource_metadata=")
    );
    let outsider = format!("Bearer {}", rig.issuer.token("mallory", &["guests"]));
    assert_eq!(
        rig.post(call(2, "forbidden-tool"))
            .header("authorization", &outsider)
            .send()
            .await
            .status,
        403
    );
    let twice = r#"{"jsonrpc":"2.0","id":3,"method":"tools/list","method":"tools/call"}"#;
    let answer = rig.post(twice).send().await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json().await["error"]["code"], -32600);
    assert_eq!(rig.post("{").send().await.json().await["error"]["code"], -32700);
    assert_eq!(
        rig.post(call(4, "x"))
            .header("mcp-session-id", "not-ours")
            .send()
            .await
            .status,
        404
    );
    assert_eq!(
        rig.post(call(5, "x"))
            .header("origin", "https://evil.example")
            .send()
            .await
            .status,
        403
    );
    assert_eq!(rig.request("PUT").send().await.status, 405);
    assert!(rig.target.seen().is_empty());

    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let refused = of_kind(&frames, Kind::Refused);
    let rule = |rule: &str| {
        *refused
            .iter()
            .find(|frame| frame.decision.as_ref().is_some_and(|one| one.rule == rule))
            .expect(rule)
    };
    let stranger = rule("missing");
    assert!(stranger.principal.is_none() && stranger.payload.is_none() && stranger.rpc.is_none());
    let forbidden = rule("forbidden");
    assert_eq!(forbidden.principal.as_ref().expect("known").subject, "mallory");
    assert_eq!(
        forbidden.rpc.as_ref().expect("an envelope").name.as_deref(),
        Some("forbidden-tool")
    );
    assert_eq!(forbidden.http.status, Some(403));
    assert_eq!(rule("ambiguous_message").payload.as_ref().expect("evidence").0, twice);
    for name in [
        "malformed_message",
        "unknown_session",
        "origin_not_allowed",
        "method_not_allowed",
    ] {
        assert_eq!(rule(name).end, Some(End::Refused));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_belongs_to_who_opened_it_and_its_target_sees_its_own_id() {
    let target = Target::start(|seen| async move {
        if seen.method == "DELETE" {
            return Reply::accepted().status(200);
        }
        Reply::json(RESULT).header("mcp-session-id", "the-targets-id")
    });
    let rig = Rig::new(target.await).await;
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "claimed", "version": "1" } } });
    let opened = rig.post(initialize.to_string()).send().await;
    let tagged = opened.headers["mcp-session-id"].to_str().expect("text").to_owned();
    assert!(tagged.starts_with("the-targets-id."));
    let inside = rig
        .post(call(2, "inside"))
        .header("mcp-session-id", &tagged)
        .send()
        .await;
    assert_eq!(
        inside.headers["mcp-session-id"], tagged,
        "a target that repeats its id changes nothing"
    );
    assert_eq!(
        rig.request("DELETE")
            .header("mcp-session-id", &tagged)
            .send()
            .await
            .status,
        200
    );
    let other = format!("Bearer {}", rig.issuer.token("bob", &[GROUP]));
    let stolen = rig
        .post(call(3, "stolen"))
        .header("mcp-session-id", &tagged)
        .header("authorization", &other)
        .send()
        .await;
    assert_eq!(stolen.status, 404);
    let seen = rig.target.seen();
    assert_eq!(seen.len(), 3);
    assert!(
        seen[1..]
            .iter()
            .all(|seen| seen.headers["mcp-session-id"] == "the-targets-id")
    );

    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let first = frames
        .iter()
        .find(|frame| frame.kind == Kind::Message)
        .expect("the initialize");
    assert_eq!(first.client.claimed_name.as_deref(), Some("claimed"));
    assert_eq!(first.protocol.revision.as_deref(), Some("2025-06-18"));
    let of_session = frames
        .iter()
        .filter(|frame| frame.session_id == Some(first.exchange_id))
        .count();
    assert_eq!(
        of_session, 5,
        "the initialize's answer, the call and its answer, the DELETE and its answer"
    );
    let rules: Vec<_> = frames
        .iter()
        .filter_map(|frame| frame.decision.as_ref())
        .map(|one| one.rule.as_str())
        .collect();
    assert_eq!(rules, ["foreign_session"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_goes_away_cuts_its_answer_and_the_record_says_so() {
    let (sender, reply) = Reply::events();
    let reply = Arc::new(Mutex::new(Some(reply)));
    let target = Target::start(move |_| {
        let reply = Arc::clone(&reply);
        async move { reply.lock().await.take().unwrap_or_else(Reply::accepted) }
    });
    let rig = Rig::new(target.await).await;
    let mut answer = rig.post(call(1, "breaks")).send().await;
    let event = Bytes::from_static(b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n");
    sender.send(Ok(event.clone())).await.expect("the proxy reads");
    let mut come = Vec::new();
    while come.len() < event.len() {
        come.extend_from_slice(&answer.next().await.expect("the stream is open"));
    }
    sender.send(Err(rig::Broken)).await.expect("the proxy reads");
    assert_eq!(answer.whole().await.expect_err("a cut, not a clean end"), "");
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let accepted = rig.post(notification).send().await;
    assert_eq!(accepted.status, 202);
    assert_eq!(accepted.whole().await.expect("an empty body"), "");
    let frames = rig.stop_and_read().await;
    assert_eq!(
        frames.iter().filter_map(|frame| frame.end).collect::<Vec<_>>(),
        [End::UpstreamLost, End::Accepted]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_reached_was_not_sent_anything() {
    let target = Target::nowhere();
    let rig = Rig::new(target).await;
    let answer = rig.post(call(1, "nobody")).send().await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json().await["error"]["data"]["reason"], "target_unreachable");
    let frames = rig.stop_and_read().await;
    assert_eq!(
        frames.iter().filter_map(|frame| frame.end).collect::<Vec<_>>(),
        [End::NotForwarded]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_and_strangers_find_what_is_theirs() {
    let rig = simple().await;
    let metadata = rig::Request::new(rig.address(), "GET", "/.well-known/oauth-protected-resource/demo/mcp")
        .send()
        .await;
    assert_eq!(
        metadata.json().await["authorization_servers"],
        json!([rig.issuer.url()])
    );
    for path in ["/", "/metrics", "/demo", "/demo/mcp/", "/other/mcp"] {
        assert_eq!(
            rig::Request::new(rig.address(), "GET", path).send().await.status,
            404,
            "{path}"
        );
    }
    assert_eq!(rig.post(call(1, "x")).send().await.status, 200);
    let admin = rig.running.admin_address();
    assert_eq!(rig::Request::new(admin, "GET", "/healthz").send().await.status, 200);
    let metrics = rig::Request::new(admin, "GET", "/metrics")
        .send()
        .await
        .whole()
        .await
        .expect("a page");
    let metrics = String::from_utf8(metrics.to_vec()).expect("text");
    let counted = r#"tapedeck_proxy_requests_total{target="demo",method="POST",status="2xx"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}
