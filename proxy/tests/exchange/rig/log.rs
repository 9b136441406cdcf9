//! What is in the log.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use tapedeck_schemas::{Direction, End, Frame, Kind};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

/// Every frame of a prefix, as often and in the order of each partition as it is in the log.
pub(crate) async fn in_log(bootstrap: &str, prefix: &str) -> Vec<Frame> {
    let (bootstrap, topic) = (bootstrap.to_owned(), format!("{prefix}.frames.v1"));
    tokio::task::spawn_blocking(move || read(&bootstrap, &topic))
        .await
        .expect("no panic")
}

/// Every frame of a prefix, in the order of the writer. Each one's hash is verified.
pub(crate) async fn frames(bootstrap: &str, prefix: &str) -> Vec<Frame> {
    let mut frames = in_log(bootstrap, prefix).await;
    for frame in &frames {
        frame.verify_hash().expect("an intact frame");
    }
    frames.sort_by_key(|frame| (frame.writer_id, frame.writer_seq));
    frames
}

fn read(bootstrap: &str, topic: &str) -> Vec<Frame> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "test")
        .set("enable.auto.commit", "false")
        .set("fetch.message.max.bytes", "8000000")
        .create()
        .expect("a consumer");
    let mut wanted = 0;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..2 {
        let (low, high) = consumer
            .fetch_watermarks(topic, partition, PATIENCE)
            .expect("watermarks");
        wanted += high - low;
        assignment
            .add_partition_offset(topic, partition, Offset::Beginning)
            .expect("an offset");
    }
    consumer.assign(&assignment).expect("an assignment");
    (0..wanted)
        .map(|_| {
            let record = consumer.poll(PATIENCE).expect("a record in time").expect("a record");
            tapedeck_schemas::wire::decode_frame(record.payload().expect("a payload")).expect("a frame")
        })
        .collect()
}

/// Each exchange's ends, in the order of the writer. A frame that is in the log twice is one.
pub(crate) fn ends(frames: &[Frame]) -> HashMap<Uuid, Vec<End>> {
    let (mut ends, mut seen): (HashMap<_, Vec<End>>, _) = (HashMap::new(), HashSet::new());
    for frame in frames {
        if let Some(end) = frame.end
            && seen.insert((frame.segment_id, frame.seq))
        {
            ends.entry(frame.exchange_id).or_default().push(end);
        }
    }
    ends
}

/// The oracle of ends: no exchange has two.
pub(crate) fn assert_at_most_one_end(frames: &[Frame]) {
    assert!(
        ends(frames).values().all(|ends| ends.len() == 1),
        "an exchange ended twice"
    );
}

pub(crate) fn of_kind(frames: &[Frame], kind: Kind) -> Vec<&Frame> {
    frames.iter().filter(|frame| frame.kind == kind).collect()
}

/// The payloads of one direction, joined.
pub(crate) fn joined(frames: &[Frame], direction: Direction) -> Vec<u8> {
    let of = frames
        .iter()
        .filter(|frame| frame.kind == Kind::Message && frame.direction == direction);
    of.flat_map(|frame| frame.payload.iter().flat_map(|payload| payload.0.to_vec()))
        .collect()
}
