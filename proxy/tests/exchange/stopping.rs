//! The end of the process.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tapedeck_schemas::{Direction, End, Kind};
use tokio::sync::mpsc;

use crate::rig;
use crate::rig::{Reply, Rig, Target, assert_at_most_one_end, frames, joined, of_kind};
use crate::{RESULT, call};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_listeners_lets_calls_finish_and_seals_what_was_recorded() {
    let (give, mut given) = mpsc::unbounded_channel();
    let target = Target::start(move |seen| {
        let (sender, reply) = if seen.method == "GET" {
            Reply::events()
        } else {
            Reply::pieces("application/json")
        };
        give.send(sender).expect("the test holds it");
        async { reply }
    });
    let rig = Rig::new(target.await).await;
    let mut listening = rig.request("GET").header("accept", "text/event-stream").send().await;
    let listener = given.recv().await.expect("the target was asked");
    let event = Bytes::from_static(b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n");
    listener.send(Ok(event.clone())).await.expect("the proxy reads");
    let mut come = Vec::new();
    while come.len() < event.len() {
        come.extend_from_slice(&listening.next().await.expect("the stream is open"));
    }
    let calling = tokio::spawn(rig.post(call(1, "slow")).send());
    let answering = given.recv().await.expect("the target was asked");

    let Rig {
        running,
        bootstrap,
        prefix,
        ..
    } = rig;
    let stopping = tokio::spawn(running.stop());
    // The listener's end is what shows that the stop has begun.
    listener.closed().await;
    assert_eq!(listening.whole().await.expect_err("a cut, not a clean end"), "");
    answering
        .send(Ok(Bytes::from_static(RESULT.as_bytes())))
        .await
        .expect("the proxy reads");
    drop(answering);
    let answer = calling.await.expect("no panic");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.whole().await.expect("whole"), RESULT);
    stopping.await.expect("no panic").expect("a goodbye");

    let frames = frames(&bootstrap, &prefix).await;
    assert_at_most_one_end(&frames);
    assert_eq!(
        frames.iter().filter_map(|frame| frame.end).collect::<Vec<_>>(),
        [End::Aborted, End::Answered]
    );
    assert!(joined(&frames, Direction::ToClient).ends_with(RESULT.as_bytes()));
    let sealed = of_kind(&frames, Kind::SegmentSealed).len();
    assert_eq!(sealed, of_kind(&frames, Kind::SegmentOpened).len());
    assert!(sealed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_without_kafka_ends_in_time_and_says_what_is_not_on_record() {
    const CALLS: usize = 3;
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    let target = Target::start(move |_| {
        arrive.send(()).expect("the test waits");
        // An answer never comes.
        std::future::pending()
    });
    let broker = rig::own_broker().await;
    let rig = Rig::on(&broker.bootstrap(), target.await).await;
    let calls: Vec<_> = (0..CALLS)
        .map(|_| tokio::spawn(rig.post(call(1, "slow")).send()))
        .collect();
    for _ in 0..CALLS {
        arrived.recv().await.expect("the target is asked");
    }
    broker.kill();
    let since = Instant::now();
    let unfinished = rig.running.stop().await.expect_err("Kafka is gone");
    let took = since.elapsed();
    assert!(
        took < Duration::from_secs(35),
        "30 s, and some for a busy machine: {took:?}"
    );
    assert_eq!((unfinished.segments, unfinished.unwaited), (1, CALLS));
    for answer in calls {
        assert_eq!(answer.await.expect("no panic").status, 502);
    }
}
