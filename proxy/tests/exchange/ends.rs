//! How exchanges end.

use std::sync::Arc;

use bytes::Bytes;
use tapedeck_schemas::{Direction, End, Kind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, mpsc};

use crate::rig;
use crate::rig::{Reply, Rig, Target, joined, of_kind};
use crate::{RESULT, call};

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
    let modern = rig
        .post(call(1, "slow"))
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "slow");
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
async fn an_answer_that_breaks_off_before_its_end_is_never_given_as_a_whole_one() {
    const PART: &str = "{\"jsonrpc\":";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let settings = format!("url = \"http://{}/mcp\"", listener.local_addr().expect("an address"));
    let rig = Rig::reached(Target::nowhere(), &settings).await;
    let asked = tokio::spawn(rig.post(call(1, "breaks")).send());
    let (mut target, _) = listener.accept().await.expect("the proxy connects");
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        target.read_buf(&mut request).await.expect("a request");
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let part = format!("{head}{:x}\r\n{PART}\r\n", PART.len());
    target.write_all(part.as_bytes()).await.expect("the proxy reads");
    drop(target);
    let answer = asked.await.expect("no panic");
    // What came of it may be given, as a part: or it is said that there is none.
    if answer.status == 200 {
        answer.whole().await.expect_err("a cut, not a clean end");
    } else {
        assert_eq!(answer.json().await["error"]["data"]["reason"], "upstream_lost");
    }
    let frames = rig.stop_and_read().await;
    let ends: Vec<_> = frames.iter().filter_map(|frame| frame.end).collect();
    assert_eq!(ends, [End::UpstreamLost]);
    let mut parts = frames.iter().filter_map(|frame| frame.payload.as_ref());
    assert!(parts.any(|part| part.0 == PART.as_bytes()), "what came is on record");
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
