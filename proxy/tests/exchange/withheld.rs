//! Answers that are on record, and that nobody was given.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tapedeck_dev::broker::BrokerKind;
use tapedeck_schemas::{Direction, End, Frame, Kind, MAX_PART};
use tokio::sync::{Mutex, mpsc};

use crate::rig::{self, GROUP, Reply, Rig, Target, ends};
use crate::{RESULT, call};

/// A target whose answers the test gives, one by one, to the requests that it is told of.
async fn told_to() -> (Target, mpsc::UnboundedReceiver<()>, mpsc::UnboundedSender<Reply>) {
    let (ask, asked) = mpsc::unbounded_channel();
    let (reply, replies) = mpsc::unbounded_channel();
    let replies = Arc::new(Mutex::new(replies));
    let target = Target::start(move |_| {
        ask.send(()).expect("the test holds it");
        let replies = Arc::clone(&replies);
        async move { replies.lock().await.recv().await.expect("the test holds it") }
    });
    (target.await, asked, reply)
}

/// So many messages wait for Kafka.
fn waiting(messages: usize) -> String {
    format!("tapedeck_recorder_queue_messages {messages}")
}

/// The one exchange's ends, and the rule of the last.
fn how_it_ended(frames: &[Frame]) -> (Vec<End>, Option<&str>) {
    let mut all = ends(frames).into_values();
    let ended = all.next().expect("an end");
    assert!(all.next().is_none(), "one exchange");
    let last = frames.iter().rfind(|frame| frame.end.is_some()).expect("an end");
    (ended, last.decision.as_ref().map(|decision| decision.rule.as_str()))
}

/// `length` bytes that no compression makes much shorter.
fn noise(length: usize) -> Bytes {
    use ring::rand::{SecureRandom as _, SystemRandom};
    let mut bytes = vec![0; length];
    SystemRandom::new().fill(&mut bytes).expect("randomness");
    bytes.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_which_kafka_refuses_a_part_is_not_answered_though_its_last_part_is_on_record() {
    // The embedded broker takes records of any size.
    let broker = rig::own_broker_of(BrokerKind::Apache).await;
    let (target, mut asked, reply) = told_to().await;
    let rig = Rig::on_topics(&broker.bootstrap(), target, &[("max.message.bytes", "100000")], "").await;
    let asking = tokio::spawn(rig.post(call(1, "large")).send());
    asked.recv().await.expect("the target is asked");
    let (pieces, body) = Reply::pieces("application/octet-stream");
    reply.send(body).expect("the target waits");
    // Kafka takes the first part, which it gets compressed to almost nothing. One byte more shows that it is none too long.
    let first = Bytes::from(vec![b' '; MAX_PART]);
    pieces.send(Ok(first)).await.expect("the proxy reads");
    pieces.send(Ok(noise(1))).await.expect("the proxy reads");
    let mut answer = asking.await.expect("no panic");
    assert_eq!(answer.status, 200);
    let mut come = 0;
    while come < MAX_PART {
        come += answer.next().await.expect("the first part is released").len();
    }
    rig.counts(&waiting(0)).await;
    // The second and the last are both under way before Kafka says anything of them.
    broker.child().pause().expect("it runs");
    pieces.send(Ok(noise(MAX_PART))).await.expect("the proxy reads");
    rig.counts(&waiting(1)).await;
    drop(pieces);
    rig.counts(&waiting(2)).await;
    broker.child().resume().expect("it is halted");
    assert_eq!(answer.whole().await.expect_err("a cut, not a clean end"), "");

    let frames = rig.stop_and_read().await;
    let (ended, rule) = how_it_ended(&frames);
    assert_eq!(
        ended,
        [End::Answered, End::Aborted],
        "the last part is on record, and a later end overrules it"
    );
    assert_eq!(rule, Some("answer_withheld"));
    let parts = frames.iter().filter(|frame| frame.direction == Direction::ToClient);
    let parts: Vec<_> = parts.map(|frame| (frame.part.index, frame.payload_size)).collect();
    assert_eq!(
        parts,
        [(0, MAX_PART as i64), (2, 1)],
        "the one between is not on record"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_waits_for_its_record_when_its_token_expires_is_not_answered() {
    let broker = rig::own_broker().await;
    let (target, mut asked, reply) = told_to().await;
    let settings = "[limits]\ncall_grace = \"1ms\"";
    let rig = Rig::on_topics(&broker.bootstrap(), target, &[], settings).await;
    let token = rig.issuer.token_for("alice", &[GROUP], Duration::from_secs(5));
    let request = rig.post(call(1, "late"));
    let asking = tokio::spawn(request.header("authorization", &format!("Bearer {token}")).send());
    asked.recv().await.expect("the target is asked");
    broker.child().pause().expect("it runs");
    reply.send(Reply::json(RESULT)).expect("the target waits");
    let answer = asking.await.expect("no panic");
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json().await["error"]["data"]["reason"], "token_expired");
    broker.child().resume().expect("it is halted");

    let frames = rig.stop_and_read().await;
    assert_eq!(rig::joined(&frames, Direction::ToClient), RESULT.as_bytes());
    assert_eq!(
        how_it_ended(&frames),
        (vec![End::Answered, End::Aborted], Some("token_expired"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_while_its_answer_waits_for_its_record_has_cancelled_if_its_going_cancels() {
    let broker = rig::own_broker().await;
    let (target, mut asked, reply) = told_to().await;
    let rig = Rig::on(&broker.bootstrap(), target).await;
    let modern = rig
        .post(call(1, "modern"))
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "modern");
    let mut clients = Vec::new();
    for request in [rig.post(call(2, "legacy")), modern] {
        clients.push(tokio::spawn(request.send()));
        asked.recv().await.expect("the target is asked");
    }
    broker.child().pause().expect("it runs");
    for _ in &clients {
        reply.send(Reply::json(RESULT)).expect("the target waits");
    }
    rig.counts(&waiting(2)).await;
    for client in clients {
        client.abort();
        assert!(client.await.is_err(), "nothing was released");
    }
    // The one of the two whose client's going says nothing goes on.
    rig.counts("tapedeck_proxy_in_flight 1").await;
    broker.child().resume().expect("it is halted");

    let frames = rig.stop_and_read().await;
    let ends = ends(&frames);
    let of = |tool: &str| {
        let named = |frame: &&Frame| frame.rpc.as_ref().is_some_and(|rpc| rpc.name.as_deref() == Some(tool));
        &ends[&frames.iter().find(named).expect("it is on record").exchange_id]
    };
    assert_eq!(of("legacy"), &[End::Answered]);
    assert_eq!(of("modern"), &[End::Answered, End::Cancelled]);
    let last = frames
        .iter()
        .rfind(|frame| frame.end == Some(End::Cancelled))
        .expect("an end");
    assert_eq!(last.kind, Kind::ExchangeEnd);
}
