//! What clients may cost, and how long they may take.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use tapedeck_schemas::{End, Frame, Kind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

use crate::rig::{Broken, GROUP, Reply, Rig, Target, assert_at_most_one_end, of_kind};
use crate::{RESULT, call};

type Sender = mpsc::Sender<Result<Bytes, Broken>>;

/// A target whose every answer is an event stream that the test feeds, or JSON for those who want nothing else.
async fn streaming() -> (Target, mpsc::UnboundedReceiver<Sender>) {
    let (give, given) = mpsc::unbounded_channel();
    let target = Target::start(move |seen| {
        let wants_events = seen
            .headers
            .get("accept")
            .is_some_and(|accept| accept == "text/event-stream");
        let reply = if wants_events {
            let (sender, reply) = Reply::events();
            give.send(sender).expect("the test holds it");
            reply
        } else {
            Reply::json(RESULT)
        };
        async { reply }
    });
    (target.await, given)
}

async fn limited(target: Target, limits: &str) -> Rig {
    Rig::with(target, "http://127.0.0.1:9", &format!("[limits]\n{limits}")).await
}

fn rules(frames: &[Frame]) -> Vec<&str> {
    of_kind(frames, Kind::Refused)
        .into_iter()
        .filter_map(|frame| frame.decision.as_ref().map(|decision| decision.rule.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_at_once_is_refused_and_fits_again_later() {
    let (target, mut given) = streaming().await;
    let rig = limited(target, "in_flight = 2").await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let listening = rig.request("GET").header("accept", "text/event-stream").send().await;
        assert_eq!(listening.status, 200);
        open.push((listening, given.recv().await.expect("the target was asked")));
    }
    let refused = rig.post(call(1, "x")).send().await;
    assert_eq!(refused.status, 503);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.json().await["error"]["data"]["reason"], "busy");
    for (listening, sender) in open {
        drop(sender);
        listening.whole().await.expect("a clean end");
    }
    assert_eq!(rig.post(call(2, "x")).send().await.status, 200);
    assert_eq!(rules(&rig.stop_and_read().await), ["busy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_its_limit_or_over_that_of_all_bodies_is_refused() {
    let (target, _given) = streaming().await;
    let rig = limited(target, "request_body = \"64KiB\"\nrequest_bodies = \"64KiB\"").await;
    let sized = |size: usize| {
        let padding = "x".repeat(size);
        json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": { "x": padding } }).to_string()
    };
    assert_eq!(rig.post(sized(65_536)).send().await.status, 413);
    assert_eq!(rig.post(sized(60_000)).send().await.status, 200);

    // One that is still coming holds what it has sent.
    let head = format!(
        "POST /demo/mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 60001\r\n\r\n",
        rig.token()
    );
    let sending = async || {
        let mut slow = TcpStream::connect(rig.address()).await.expect("the proxy listens");
        slow.write_all(head.as_bytes()).await.expect("the proxy reads");
        slow.write_all(&vec![b' '; 60_000]).await.expect("the proxy reads");
        slow
    };
    let mut slow = sending().await;
    loop {
        let answer = rig.post(sized(10_000)).send().await;
        if answer.status == 503 {
            assert_eq!(answer.json().await["error"]["data"]["reason"], "busy");
            break;
        }
        assert_eq!(answer.status, 200, "the slow one has not been read yet");
        // Or it came while the other one had its room, and was refused itself.
        let mut refused = [0; 12];
        if slow.try_read(&mut refused).is_ok() {
            assert_eq!(&refused, b"HTTP/1.1 503");
            slow = sending().await;
        }
    }
    slow.write_all(b" ").await.expect("the proxy reads");
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 400");
    assert_eq!(rig.post(sized(10_000)).send().await.status, 200, "and gives it back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_slowly_is_not_waited_for() {
    let (target, _given) = streaming().await;
    let rig = limited(target, "head_time = \"500ms\"\nbody_time = \"500ms\"").await;
    let began = Instant::now();
    let mut slow = TcpStream::connect(rig.address()).await.expect("the proxy listens");
    slow.write_all(b"POST /demo/mcp HTTP/1.1\r\nhost: 127")
        .await
        .expect("the proxy reads");
    let mut answer = Vec::new();
    // Closed, with or without a word.
    let _ = slow.read_to_end(&mut answer).await;
    assert!(began.elapsed() >= Duration::from_millis(500));

    let mut slow = TcpStream::connect(rig.address()).await.expect("the proxy listens");
    let head = format!(
        "POST /demo/mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{",
        rig.token()
    );
    slow.write_all(head.as_bytes()).await.expect("the proxy reads");
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(rig.target.seen().is_empty());
    assert_eq!(rules(&rig.stop_and_read().await), ["body_timeout"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_limit_wait_for_their_turn() {
    let (target, _given) = streaming().await;
    let rig = limited(target, "connections = 1").await;
    let first = TcpStream::connect(rig.address()).await.expect("the proxy listens");
    let mut waiting = tokio::spawn(rig.post(call(1, "x")).send());
    let waited = tokio::time::timeout(Duration::from_millis(500), &mut waiting).await;
    assert!(waited.is_err(), "it is not served beside the first");
    drop(first);
    assert_eq!(waiting.await.expect("no panic").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_is_let_go_and_its_answer_is_on_record() {
    let (sender, reply) = Reply::pieces("application/octet-stream");
    let reply = std::sync::Arc::new(tokio::sync::Mutex::new(Some(reply)));
    let target = Target::start(move |_| {
        let reply = std::sync::Arc::clone(&reply);
        async move { reply.lock().await.take().expect("one request") }
    });
    let rig = limited(target.await, "write_time = \"500ms\"").await;
    // Its buffer does not grow to what the answer has.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(64 * 1024).expect("it is small");
    let mut client = socket.connect(rig.address()).await.expect("the proxy listens");
    let body = call(1, "large");
    let head = format!(
        "POST /demo/mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\naccept: application/json, text/event-stream\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        rig.token(),
        body.len()
    );
    client.write_all(head.as_bytes()).await.expect("the proxy reads");
    // More than the proxy and its socket to the client hold: all of it is taken because the client that took nothing is
    // gone.
    let piece = Bytes::from(vec![b'x'; 256 * 1024]);
    for _ in 0..64 {
        sender.send(Ok(piece.clone())).await.expect("the proxy reads on");
    }
    drop(sender);
    while !rig.metrics().await.contains("\ntapedeck_proxy_in_flight 0\n") {}
    let mut come = Vec::new();
    // It ends, by a reset or without; what matters is how much has come.
    let _ = client.read_to_end(&mut come).await;
    assert!(come.len() < 64 * piece.len(), "cut after {} bytes", come.len());
    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    assert_eq!(
        crate::rig::joined(&frames, tapedeck_schemas::Direction::ToClient).len(),
        64 * piece.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_over_its_rate_is_told_so_and_others_are_served() {
    let (target, _given) = streaming().await;
    let rig = limited(target, "requests_per_second = 1\nburst = 3").await;
    let mut statuses = Vec::new();
    for id in 0..4 {
        statuses.push(rig.post(call(id, "x")).send().await);
    }
    // A slow machine gains a token meanwhile, and then one more is admitted than the burst.
    let refused = loop {
        match statuses.pop().expect("some") {
            answer if answer.status == 429 => break answer,
            answer => {
                assert_eq!(answer.status, 200);
                statuses.push(rig.post(call(9, "x")).send().await);
            }
        }
    };
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.json().await["error"]["data"]["reason"], "rate_limited");
    let other = format!("Bearer {}", rig.issuer.token("bob", &[GROUP]));
    assert_eq!(
        rig.post(call(1, "x"))
            .header("authorization", &other)
            .send()
            .await
            .status,
        200
    );
    let frames = rig.stop_and_read().await;
    assert_eq!(rules(&frames), ["rate_limited"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_outlives_every_limit() {
    let (target, mut given) = streaming().await;
    let rig = limited(
        target,
        "head_time = \"300ms\"\nbody_time = \"300ms\"\nwrite_time = \"300ms\"",
    )
    .await;
    let mut listening = rig.request("GET").header("accept", "text/event-stream").send().await;
    let sender = given.recv().await.expect("the target was asked");
    let silence = tokio::time::timeout(Duration::from_secs(2), listening.next()).await;
    assert!(silence.is_err(), "nothing comes, not even an end");
    let event = Bytes::from_static(b": still here\n\n");
    sender.send(Ok(event.clone())).await.expect("the proxy reads");
    assert_eq!(listening.next().await.expect("the stream is open"), event);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listening_stream_ends_with_its_token_and_a_call_after_its_grace() {
    let (target, mut given) = streaming().await;
    let rig = limited(target, "call_grace = \"2s\"").await;
    let token = format!(
        "Bearer {}",
        rig.issuer.token_for("alice", &[GROUP], Duration::from_secs(3))
    );
    let listen = json!({ "jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": {
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } } });
    let listen = rig
        .post(listen.to_string())
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "subscriptions/listen");
    let mut open = Vec::new();
    for request in [rig.request("GET"), listen, rig.post(call(1, "slow"))] {
        let request = request
            .header("authorization", &token)
            .header("accept", "text/event-stream");
        open.push((request.send().await, given.recv().await.expect("the target was asked")));
    }
    let calling = open.pop().expect("three");
    for (listening, sender) in open {
        assert_eq!(listening.whole().await.expect_err("a cut, not a clean end"), "");
        sender.closed().await;
    }
    let (mut answer, sender) = calling;
    let event = Bytes::from_static(b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n");
    sender.send(Ok(event.clone())).await.expect("the call may go on");
    assert_eq!(answer.next().await.expect("open"), event);
    sender.closed().await;
    answer.whole().await.expect_err("cut");

    let frames = rig.stop_and_read().await;
    assert_at_most_one_end(&frames);
    let ends = of_kind(&frames, Kind::ExchangeEnd);
    assert_eq!(ends.len(), 3);
    for end in ends {
        assert_eq!(end.end, Some(End::Aborted));
        assert_eq!(end.decision.as_ref().expect("a reason").rule, "token_expired");
    }
}
