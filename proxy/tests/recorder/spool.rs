//! A spool in Kafka's stead.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use tapedeck_dev::broker::BrokerKind;
use tapedeck_proxy::record::{Copies, Demand, Recorder, SpooledTargets, Topics};
use tapedeck_proxy::spool::SpoolSettings;
use tapedeck_schemas::{ControlBody, Digest, Frame};
use uuid::Uuid;

use crate::kafka::{Cluster, RUNTIME, SOON, message};

const TIMEOUT: Duration = Duration::from_secs(3);
const SPOOLED: Demand = Demand::Spooled(Copies::One);
const CALLERS: usize = 5;

fn spooled(cluster: &Cluster, topics: &Topics, dir: &Path) -> Recorder {
    let mut settings = cluster.settings(topics, TIMEOUT);
    let spool = SpoolSettings {
        dir: dir.to_owned(),
        max_bytes: 64 * 1024 * 1024,
    };
    settings.spool = Some((spool, SpooledTargets([String::from("demo")].into())));
    Recorder::start(settings, &mut Registry::default()).expect("it starts")
}

/// Every caller records so many messages, each after the one before is durable.
async fn record(recorder: &Recorder, phase: &str, count: usize) -> BTreeSet<String> {
    let callers = (0..CALLERS).map(|caller| async move {
        let mut payloads = Vec::new();
        for number in 0..count {
            let payload = format!("{phase} {caller} {number}");
            let draft = message(recorder, &format!("caller {caller}"), &payload);
            let pending = recorder.record(draft, SPOOLED).expect("Kafka or the spool takes it");
            let _durable = pending.durable().await.expect("one of them has it");
            payloads.push(payload);
        }
        payloads
    });
    futures_util::future::join_all(callers)
        .await
        .into_iter()
        .flatten()
        .collect()
}

/// The payloads in the topic, each frame once. Panics where a chain does not verify, or a segment ended by a failure.
fn judge(frames: &[Frame]) -> BTreeSet<String> {
    let (mut seen, mut heads) = (BTreeMap::<(Uuid, i64), Digest>::new(), BTreeMap::new());
    let mut payloads = BTreeSet::new();
    for frame in frames {
        frame.verify_hash().expect("an intact frame");
        if let Some(hash) = seen.insert((frame.segment_id, frame.seq), frame.frame_hash) {
            assert_eq!(hash, frame.frame_hash, "a duplicate is the same frame");
            continue;
        }
        let (next, head) = heads.entry(frame.segment_id).or_insert((0, Digest::ZERO));
        assert_eq!((frame.seq, frame.previous_hash), (*next, *head), "dense and in order");
        (*next, *head) = (frame.seq + 1, frame.frame_hash);
        let previous = frame.segment.as_ref().and_then(|event| event.previous.as_ref());
        assert_eq!(previous, None, "no segment ends because of an outage");
        if let Some(payload) = &frame.payload {
            let payload = String::from_utf8(payload.0.to_vec()).expect("text");
            assert!(payloads.insert(payload), "sealed once");
        }
    }
    payloads
}

async fn calls_go_on_while_the_broker_is_away(kind: BrokerKind) {
    let cluster = Cluster::start(kind).await;
    let topics = cluster.topics().await;
    let folder = tempfile::tempdir().expect("a folder");
    let recorder = spooled(&cluster, &topics, folder.path());
    recorder.until_ready(Copies::One).await.expect("ready");
    let mut durable = record(&recorder, "well", 20).await;

    let during = {
        let recorder = recorder.clone();
        tokio::spawn(async move { record(&recorder, "during", 200).await })
    };
    cluster.broker.kill();
    durable.extend(during.await.expect("no panic"));
    durable.extend(record(&recorder, "away", 50).await);
    assert!(recorder.ready(Copies::One).is_err());
    assert_eq!(recorder.ready(SPOOLED), Ok(()));

    cluster.broker.restart().await.expect("restarted");
    let back = {
        let recorder = recorder.clone();
        tokio::spawn(async move { record(&recorder, "back", 500).await })
    };
    recorder.until_ready(Copies::One).await.expect("ready again");
    durable.extend(back.await.expect("no panic"));
    durable.extend(record(&recorder, "again", 20).await);
    recorder.shutdown(Instant::now() + SOON).await.expect("nothing is left");

    assert_eq!(judge(&cluster.frames(&topics).await), durable);
}

#[test]
fn calls_go_on_while_apache_kafka_is_away_and_each_is_in_the_topic_once() {
    RUNTIME.block_on(calls_go_on_while_the_broker_is_away(BrokerKind::Apache));
}

#[test]
fn calls_go_on_while_the_embedded_broker_is_away_and_each_is_in_the_topic_once() {
    RUNTIME.block_on(calls_go_on_while_the_broker_is_away(BrokerKind::Embedded));
}

#[test]
fn a_writer_that_stops_while_kafka_is_away_leaves_everything_to_the_next_its_key_and_goodbye_too() {
    RUNTIME.block_on(async {
        let cluster = Cluster::start(BrokerKind::Embedded).await;
        let topics = cluster.topics().await;
        let folder = tempfile::tempdir().expect("a folder");
        cluster.broker.kill();
        let first = spooled(&cluster, &topics, folder.path());
        let mut durable = record(&first, "first", 10).await;
        let deadline = Duration::from_secs(30);
        let since = Instant::now();
        first
            .shutdown(since + deadline)
            .await
            .expect("the spool has everything");
        assert!(since.elapsed() < deadline, "nothing waits for Kafka");
        let writer = first.writer_id();
        drop(first);

        cluster.broker.restart().await.expect("restarted");
        let second = spooled(&cluster, &topics, folder.path());
        durable.extend(record(&second, "second", 10).await);
        second.until_ready(Copies::One).await.expect("ready");
        second.shutdown(Instant::now() + SOON).await.expect("nothing is left");
        assert_eq!(judge(&cluster.frames(&topics).await), durable);
        let statements = cluster.statements(&topics).await;
        let of_first: Vec<_> = statements
            .iter()
            .filter(|control| control.writer_id == writer)
            .collect();
        let said = |is: fn(&ControlBody) -> bool| of_first.iter().any(|control| is(&control.body));
        assert!(said(|body| matches!(body, ControlBody::WriterStarted(_))));
        assert!(said(|body| matches!(body, ControlBody::WriterStopped(_))));
    });
}
