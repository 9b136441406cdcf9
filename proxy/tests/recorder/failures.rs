//! A broker that goes away under the recorder.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tapedeck_dev::broker::BrokerKind;
use tapedeck_proxy::record::{Copies, Demand, Draft, NotRecorded, Recorder};
use tapedeck_schemas::{Digest, Direction, End, Frame, Kind};
use uuid::Uuid;

use crate::kafka::{Cluster, RUNTIME, SOON, message};

/// Short, so that a test does not wait ten seconds for every loss.
const TIMEOUT: Duration = Duration::from_secs(3);

async fn what_a_killed_broker_did_not_acknowledge_fails_and_is_named(kind: BrokerKind) {
    let cluster = Cluster::start(kind).await;
    let topics = cluster.topics().await;
    let recorder = cluster.recorder(&topics, TIMEOUT);
    recorder.until_ready(Copies::One).await.expect("ready");
    let durable = recorder.record(message(&recorder, "caller", "before"), Copies::One);
    let _durable = durable.expect("handed over").durable().await.expect("acknowledged");

    cluster.broker.kill();
    let since = Instant::now();
    let lost = recorder.record(message(&recorder, "caller", "lost"), Copies::One);
    let outcome = lost.expect("nobody knows yet").durable().await;
    assert!(matches!(outcome, Err(NotRecorded::Undelivered(_))), "{outcome:?}");
    // librdkafka looks for timed-out messages once a second.
    assert!(
        since.elapsed() < TIMEOUT + Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
    let refused = recorder.record(message(&recorder, "caller", "refused"), Copies::One);
    assert!(matches!(refused, Err(NotRecorded::NotReady(_))), "{refused:?}");

    cluster.broker.restart().await.expect("restarted");
    recorder.until_ready(Copies::One).await.expect("ready again");
    record(&recorder, "after").await;
    recorder.shutdown(Instant::now() + SOON).await.expect("all is sealed");

    let frames = cluster.frames(&topics).await;
    let openers: Vec<&Frame> = frames.iter().filter(|one| one.kind == Kind::SegmentOpened).collect();
    let before = frames
        .iter()
        .find(|one| carries(one, "before"))
        .expect("it was acknowledged");
    let after = frames
        .iter()
        .find(|one| carries(one, "after"))
        .expect("it was acknowledged");
    assert_ne!(before.segment_id, after.segment_id);
    assert_eq!(openers.len(), 2);
    let event = openers.iter().find(|one| one.segment_id == after.segment_id);
    let event = event.and_then(|opener| opener.segment.as_ref()).expect("an opener");
    let previous = event.previous.as_ref().expect("it names the old segment");
    assert_eq!(
        (event.reason.as_str(), previous.segment_id),
        ("publish_failed", before.segment_id)
    );
    let lost: Vec<_> = previous.lost.iter().map(|lost| (lost.seq, lost.writer_seq)).collect();
    assert_eq!(lost, [(before.seq + 1, before.writer_seq + 1)]);
}

#[test]
fn what_waits_behind_others_when_the_broker_is_killed_fails_with_them_and_is_named() {
    RUNTIME.block_on(async {
        let cluster = Cluster::start(BrokerKind::Embedded).await;
        let topics = cluster.topics().await;
        let recorder = cluster.recorder(&topics, TIMEOUT);
        recorder.until_ready(Copies::One).await.expect("ready");
        record(&recorder, "before").await;

        cluster.broker.kill();
        let since = Instant::now();
        let lost: Vec<_> = (0..100)
            .map_while(|_| recorder.record(message(&recorder, "caller", "lost"), Copies::One).ok())
            .collect();
        let count = lost.len() as i64;
        assert!(count > 10, "most of them wait");
        for pending in lost {
            let outcome = pending.durable().await;
            assert!(matches!(outcome, Err(NotRecorded::Undelivered(_))), "{outcome:?}");
        }
        assert!(
            since.elapsed() < TIMEOUT + Duration::from_secs(5),
            "{:?}",
            since.elapsed()
        );
        cluster.broker.restart().await.expect("restarted");
        recorder.until_ready(Copies::One).await.expect("ready again");
        record(&recorder, "after").await;
        recorder.shutdown(Instant::now() + SOON).await.expect("all is sealed");

        let frames = cluster.frames(&topics).await;
        let events = frames.iter().filter_map(|frame| frame.segment.as_ref());
        let lost = events
            .filter_map(|event| event.previous.as_ref())
            .flat_map(|previous| &previous.lost);
        let lost: Vec<i64> = lost.map(|lost| lost.seq).collect();
        let before = frames
            .iter()
            .find(|one| carries(one, "before"))
            .expect("it was acknowledged");
        assert_eq!(lost, (before.seq + 1..=before.seq + count).collect::<Vec<_>>());
    });
}

/// Until it is taken and acknowledged: the broker may answer a look at its topics a moment before it takes messages.
async fn record(recorder: &Recorder, payload: &str) {
    let pending = recorder.record(message(recorder, "caller", payload), Copies::One);
    let _durable = pending.expect("ready").durable().await.expect("acknowledged");
}

fn carries(frame: &Frame, payload: &str) -> bool {
    frame.payload.as_ref().is_some_and(|one| one.0 == payload)
}

async fn what_nobody_waits_for_is_on_record_once_when_kafka_is_back(kind: BrokerKind) {
    let cluster = Cluster::start(kind).await;
    let topics = cluster.topics().await;
    let recorder = cluster.recorder(&topics, TIMEOUT);
    recorder.until_ready(Copies::One).await.expect("ready");
    record(&recorder, "before").await;
    let ended: Vec<Uuid> = (0..40).map(|_| Uuid::now_v7()).collect();
    let (under_way, away) = ended.split_at(20);
    // Of these nobody knows which the broker takes, and which of them it still says so of.
    for exchange in under_way {
        recorder.record_unwaited(end(&recorder, *exchange));
    }
    cluster.broker.kill();
    let lost = recorder.record(message(&recorder, "caller", "lost"), Copies::One);
    if let Ok(pending) = lost {
        assert!(pending.durable().await.is_err());
    }
    assert!(recorder.ready(Copies::One).is_err());
    for exchange in away {
        recorder.record_unwaited(end(&recorder, *exchange));
    }

    cluster.broker.restart().await.expect("restarted");
    recorder.until_ready(Copies::One).await.expect("ready again");
    record(&recorder, "after").await;
    recorder.shutdown(Instant::now() + SOON).await.expect("nothing is left");

    let frames = cluster.frames(&topics).await;
    let mut ends = BTreeMap::<Uuid, BTreeSet<(Uuid, i64, Digest)>>::new();
    for frame in frames.iter().filter(|frame| frame.end.is_some()) {
        let place = (frame.segment_id, frame.seq, frame.frame_hash);
        ends.entry(frame.exchange_id).or_default().insert(place);
    }
    assert!(
        ends.values().all(|frames| frames.len() == 1),
        "one frame, however often"
    );
    assert_eq!(ends.into_keys().collect::<Vec<_>>(), ended);
}

#[test]
fn best_effort_never_waits_and_what_it_loses_is_counted() {
    RUNTIME.block_on(async {
        let cluster = Cluster::start(BrokerKind::Embedded).await;
        let topics = cluster.topics().await;
        let recorder = cluster.recorder(&topics, TIMEOUT);
        recorder.until_ready(Copies::One).await.expect("ready");
        record(&recorder, "before").await;
        let record_all = |payload: &str| {
            for _ in 0..50 {
                let pending = recorder.record(message(&recorder, "caller", payload), Demand::BestEffort);
                let durable = pending.expect("it never fails").now_or_never();
                assert!(matches!(durable, Some(Ok(_))), "it never waits");
            }
        };
        record_all("well");
        cluster.broker.kill();
        record_all("perhaps");
        if let Ok(pending) = recorder.record(message(&recorder, "caller", "lost"), Copies::One) {
            assert!(pending.durable().await.is_err());
        }
        record_all("away");
        cluster.broker.restart().await.expect("restarted");
        recorder.until_ready(Copies::One).await.expect("ready again");
        record_all("again");
        recorder.shutdown(Instant::now() + SOON).await.expect("nothing is left");

        let frames = cluster.frames(&topics).await;
        let (mut here, mut lost, mut missed) = (BTreeSet::new(), BTreeSet::new(), 0);
        for frame in &frames {
            here.insert(frame.writer_seq);
            let previous = frame.segment.iter().filter_map(|event| event.previous.as_ref());
            lost.extend(previous.flat_map(|previous| previous.lost.iter().map(|lost| lost.writer_seq)));
            missed += frame.gap.as_ref().map_or(0, |gap| {
                assert_eq!(gap.reason, "kafka_away");
                gap.frames
            });
        }
        assert_eq!(missed, 50, "exactly those that came while it was away");
        let highest = here.last().copied().expect("there are frames");
        assert!((1..=highest).all(|number| here.contains(&number) || lost.contains(&number)));
        let again = frames.iter().filter(|frame| carries(frame, "again"));
        assert_eq!(again.count(), 50);
    });
}

/// The end of an exchange, which nobody waits for.
fn end(recorder: &Recorder, exchange: Uuid) -> Draft {
    let mut end = message(recorder, "caller", "");
    let frame = end.frame_mut();
    frame.exchange_id = exchange;
    frame.kind = Kind::ExchangeEnd;
    frame.direction = Direction::None;
    frame.end = Some(End::Aborted);
    end
}

#[test]
fn what_nobody_waits_for_is_on_record_once_when_apache_kafka_is_back() {
    RUNTIME.block_on(what_nobody_waits_for_is_on_record_once_when_kafka_is_back(
        BrokerKind::Apache,
    ));
}

#[test]
fn what_nobody_waits_for_is_on_record_once_when_the_embedded_broker_is_back() {
    RUNTIME.block_on(what_nobody_waits_for_is_on_record_once_when_kafka_is_back(
        BrokerKind::Embedded,
    ));
}

#[test]
fn what_a_killed_apache_kafka_did_not_acknowledge_fails_and_is_named() {
    RUNTIME.block_on(what_a_killed_broker_did_not_acknowledge_fails_and_is_named(
        BrokerKind::Apache,
    ));
}

#[test]
fn what_a_killed_embedded_broker_did_not_acknowledge_fails_and_is_named() {
    RUNTIME.block_on(what_a_killed_broker_did_not_acknowledge_fails_and_is_named(
        BrokerKind::Embedded,
    ));
}

#[test]
fn shutdown_without_kafka_ends_at_its_deadline_and_says_what_is_left() {
    RUNTIME.block_on(async {
        let cluster = Cluster::start(BrokerKind::Embedded).await;
        let topics = cluster.topics().await;
        let recorder = cluster.recorder(&topics, TIMEOUT);
        recorder.until_ready(Copies::One).await.expect("ready");
        record(&recorder, "kept").await;
        cluster.broker.kill();
        for _ in 0..3 {
            recorder.record_unwaited(end(&recorder, Uuid::now_v7()));
        }
        let deadline = Duration::from_secs(2);
        let since = Instant::now();
        let unfinished = recorder.shutdown(since + deadline).await.expect_err("Kafka is gone");
        assert_eq!((unfinished.segments, unfinished.unwaited), (1, 3));
        assert!(
            since.elapsed() < deadline + Duration::from_secs(5),
            "{:?}",
            since.elapsed()
        );
    });
}
