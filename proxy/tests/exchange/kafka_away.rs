//! The record comes first.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use tapedeck_schemas::{Direction, End};
use tokio::sync::{Notify, Semaphore, mpsc};
use uuid::Uuid;

use crate::rig;
use crate::rig::{Reply, Rig, Target, frames, joined, reached_at};
use crate::{RESULT, call};

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
async fn a_best_effort_target_is_served_without_kafka_and_what_is_lost_is_counted() {
    let nobody = tokio::net::TcpSocket::new_v4().expect("a socket");
    nobody.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let bootstrap = nobody.local_addr().expect("an address").to_string();
    let target = Target::start(|_| async { Reply::json(RESULT) }).await;
    let settings = format!("{}\nrecord = \"best_effort\"", reached_at(&target));
    let rig = Rig::start_with(&bootstrap, "away", target, "http://127.0.0.1:9", "", &settings).await;
    rig.ready().await;
    let answer = rig.post(call(1, "unrecorded")).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.whole().await.expect("whole"), RESULT);
    let metrics = rig.metrics().await;
    let lost: u32 = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("tapedeck_recorder_frames_not_recorded_total{reason="))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok())
        .sum();
    assert_eq!(lost, 2, "the request and its answer: {metrics}");
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
    let metrics = rig.metrics().await;
    let counted = r#"tapedeck_proxy_requests_total{target="demo",method="POST",status="5xx"} 2"#;
    assert!(metrics.contains(counted) && !metrics.contains("2xx"), "{metrics}");

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
async fn exchanges_that_kafkas_death_cuts_end_once_on_record_when_it_is_back() {
    const CALLS: u32 = 8;
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    let go_on = Arc::new(Semaphore::new(0));
    let target = {
        let go_on = Arc::clone(&go_on);
        Target::start(move |_| {
            arrive.send(()).expect("the test waits");
            let go_on = Arc::clone(&go_on);
            async move {
                let _permit = go_on.acquire().await.expect("never closed");
                Reply::json(RESULT)
            }
        })
    };
    let broker = rig::own_broker().await;
    let rig = Rig::on(&broker.bootstrap(), target.await).await;
    let calls: Vec<_> = (0..CALLS)
        .map(|id| tokio::spawn(rig.post(call(id, "cut")).send()))
        .collect();
    for _ in 0..CALLS {
        arrived.recv().await.expect("the target is asked");
    }
    broker.kill();
    go_on.add_permits(CALLS as usize);
    for answer in calls {
        assert_eq!(answer.await.expect("no panic").status, 502);
    }
    // What the proxy refuses meanwhile is evidence as well.
    let stranger = rig.issuer.token("mallory", &["nobodies"]);
    let refused = rig.post(call(99, "refused"));
    let refused = refused
        .header("authorization", &format!("Bearer {stranger}"))
        .send()
        .await;
    assert_eq!(refused.status, 403);

    broker.restart().await.expect("the broker comes back");
    rig.ready().await;
    let frames = rig.stop_and_read().await;
    let of_calls = frames.iter().filter(|frame| frame.direction == Direction::ToTarget);
    let asked: HashSet<Uuid> = of_calls.map(|frame| frame.exchange_id).collect();
    let ends = rig::ends(&frames);
    assert_eq!(asked, ends.keys().copied().collect());
    // Dead before it was answered, the broker has none of the answers.
    let mut all: Vec<End> = ends.into_values().flatten().collect();
    all.sort_unstable_by_key(|end| end.as_str());
    let mut expected = vec![End::Aborted; CALLS as usize];
    expected.push(End::Refused);
    assert_eq!(all, expected);
}
