//! What passes, and how.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tapedeck_schemas::{Direction, End, Kind, MAX_PART, RpcKind};
use tokio::sync::Mutex;

use crate::rig;
use crate::rig::{Reply, Rig, TARGET_SECRET, Target, assert_at_most_one_end, joined, of_kind};
use crate::{RESULT, call, simple};

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
    // The last is no answer, so the end is not its.
    let end = of_kind(&frames, Kind::ExchangeEnd);
    assert_eq!(
        end.iter().map(|frame| frame.end).collect::<Vec<_>>(),
        [Some(End::Answered)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_stream_that_is_there_whole_the_answer_is_the_exchanges_end_if_it_is_the_last_event() {
    let body = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n\
                data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n";
    let followed = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n: bye\n\n";
    for (whole, is_own) in [(body, false), (followed, true), ("", true)] {
        let target = Target::start(move |_| async move { Reply::whole("text/event-stream", whole) });
        let rig = Rig::new(target.await).await;
        let answer = rig.post(call(1, "echo")).send().await;
        assert_eq!(answer.whole().await.expect("a clean end"), whole);
        let frames = rig.stop_and_read().await;
        assert_at_most_one_end(&frames);
        let ends: Vec<_> = frames.iter().filter(|frame| frame.end == Some(End::Answered)).collect();
        assert_eq!(ends.len(), 1, "it has an end");
        assert_eq!(
            ends[0].kind == Kind::ExchangeEnd,
            is_own,
            "only where the last is no answer"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_stream_that_comes_after_its_last_event_is_a_frame_of_its_own() {
    let (sender, reply) = Reply::events();
    let reply = Arc::new(Mutex::new(Some(reply)));
    let target = Target::start(move |_| {
        let reply = Arc::clone(&reply);
        async move { reply.lock().await.take().expect("one request") }
    });
    let rig = Rig::new(target.await).await;
    let mut answer = rig.post(call(1, "echo")).send().await;
    let event = b"data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n";
    sender
        .send(Ok(Bytes::from_static(event)))
        .await
        .expect("the proxy reads");
    answer
        .next()
        .await
        .expect("it is not held back for an end that may never come");
    drop(sender);
    answer.whole().await.expect("a clean end");
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let end = of_kind(&frames, Kind::ExchangeEnd);
    let ends: Vec<_> = end.iter().map(|frame| frame.end).collect();
    assert_eq!(ends, [Some(End::Answered)]);
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
    let metrics = rig.metrics().await;
    let counted = r#"tapedeck_proxy_requests_total{target="demo",method="POST",status="2xx"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_holds_its_target_back() {
    const PIECE: usize = 256 * 1024;
    let (sender, reply) = Reply::pieces("application/octet-stream");
    let reply = Arc::new(Mutex::new(Some(reply)));
    let target = Target::start(move |_| {
        let reply = Arc::clone(&reply);
        async move { reply.lock().await.take().expect("one request") }
    });
    let rig = Rig::new(target.await).await;
    let answering = tokio::spawn(rig.post(call(1, "endless")).send());
    let piece = Bytes::from(vec![b'x'; PIECE]);
    let mut sent = 0;
    // Sockets hold some megabytes, the proxy two; nobody takes more.
    while let Ok(taken) = tokio::time::timeout(Duration::from_secs(3), sender.send(Ok(piece.clone()))).await {
        taken.expect("the proxy reads");
        sent += PIECE;
        assert!(sent < 64 * 1024 * 1024, "the proxy takes without end");
    }
    drop(sender);
    let answer = answering.await.expect("no panic");
    assert_eq!(answer.whole().await.expect("not cut").len(), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_small_events_passes_however_many_there_are() {
    // More in one write than may be on their way at once.
    let events = "data: 1\n\n".repeat(2_000);
    let body = events.clone();
    let target = Target::start(move |_| {
        let body = body.clone();
        async { Reply::whole("text/event-stream", body) }
    });
    let rig = Rig::new(target.await).await;
    let answer = rig.post(call(1, "burst")).send().await;
    assert_eq!(answer.whole().await.expect("not cut"), events);
    let frames = rig.stop_and_read().await;
    assert_eq!(joined(&frames, Direction::ToClient).len(), 2_000);
    let ends: Vec<_> = frames.iter().filter_map(|frame| frame.end).collect();
    assert_eq!(ends, [End::Answered]);
}
