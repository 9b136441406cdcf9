//! The end of the process.

use bytes::Bytes;
use tapedeck_schemas::{Direction, End, Kind};
use tokio::sync::mpsc;

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
