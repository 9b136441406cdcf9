//! Reads a whole topic, as it is now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tapedeck_schemas::wire::{DecodeError, decode_frame};
use tapedeck_schemas::{Digest, Frame};
use uuid::Uuid;

/// How long one question to the broker may take.
const REQUEST: Duration = Duration::from_secs(20);

/// How long reading all of it may take.
const READ: Duration = Duration::from_secs(120);

/// One Kafka record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where it is: partition and offset.
    pub place: (i32, i64),
    /// Its key, empty if it has none.
    pub key: Vec<u8>,
    /// Its value, empty if it has none.
    pub value: Vec<u8>,
    /// Names and values of its headers, one after the other.
    pub headers: Vec<u8>,
}

/// A record that is a frame.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Where it is: partition and offset.
    pub place: (i32, i64),
    /// The record's key.
    pub key: Vec<u8>,
    /// The frame, unredacted.
    pub frame: Frame,
}

impl Recorded {
    /// Its place in its segment, and its hash.
    pub fn identity(&self) -> (Uuid, i64, Digest) {
        (self.frame.segment_id, self.frame.seq, self.frame.frame_hash)
    }
}

/// All records that the topic holds now, by partition and offset.
///
/// # Errors
/// When the broker does not answer, or does not hand out all that it says it has.
pub async fn read(brokers: &str, topic: &str) -> anyhow::Result<Vec<Record>> {
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    // librdkafka blocks while it waits.
    tokio::task::spawn_blocking(move || read_blocking(&brokers, &topic)).await?
}

/// The same, decoded: frames, and what is none with the reason.
///
/// # Errors
/// As [`read`].
pub async fn frames(brokers: &str, topic: &str) -> anyhow::Result<(Vec<Recorded>, Vec<(Record, DecodeError)>)> {
    let (mut recorded, mut undecodable) = (Vec::new(), Vec::new());
    for record in read(brokers, topic).await? {
        match decode_frame(&record.value) {
            Ok(frame) => recorded.push(Recorded {
                place: record.place,
                key: record.key,
                frame,
            }),
            Err(error) => undecodable.push((record, error)),
        }
    }
    Ok((recorded, undecodable))
}

fn read_blocking(brokers: &str, topic: &str) -> anyhow::Result<Vec<Record>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        // Needed to read at all; no offset of it is ever committed.
        .set("group.id", format!("oracle-{}", Uuid::now_v7()))
        .set("enable.auto.commit", "false")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    let mut open = BTreeMap::new();
    for partition in partitions(&consumer, topic)? {
        let (low, high) = consumer.fetch_watermarks(topic, partition, REQUEST)?;
        if low < high {
            assignment.add_partition_offset(topic, partition, Offset::Offset(low))?;
            open.insert(partition, high);
        }
    }
    consumer.assign(&assignment)?;
    let mut records = Vec::new();
    let deadline = Instant::now() + READ;
    while !open.is_empty() {
        if Instant::now() > deadline {
            bail!("{topic}: partitions {open:?} were not handed out up to these offsets");
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        let place = (message.partition(), message.offset());
        let Some(high) = open.get(&place.0).copied() else {
            continue;
        };
        // What came after the question is not part of the answer.
        if place.1 < high {
            records.push(Record {
                place,
                key: message.key().unwrap_or_default().to_vec(),
                value: message.payload().unwrap_or_default().to_vec(),
                headers: headers(&message),
            });
        }
        if place.1 + 1 >= high {
            open.remove(&place.0);
        }
    }
    records.sort_by_key(|record| record.place);
    Ok(records)
}

fn headers(message: &BorrowedMessage<'_>) -> Vec<u8> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers
        .flat_map(|header| [header.key.as_bytes(), header.value.unwrap_or_default()].concat())
        .collect()
}

/// Whether a consumer group has committed all that the topic holds now; if not, what it has not.
///
/// # Errors
/// When the broker does not answer.
pub async fn lag(brokers: &str, topic: &str, group: &str) -> anyhow::Result<Result<(), String>> {
    let (brokers, topic, group) = (brokers.to_owned(), topic.to_owned(), group.to_owned());
    // librdkafka blocks while it waits.
    tokio::task::spawn_blocking(move || lag_blocking(&brokers, &topic, &group)).await?
}

fn lag_blocking(brokers: &str, topic: &str, group: &str) -> anyhow::Result<Result<(), String>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .create()?;
    let mut asked = TopicPartitionList::new();
    let mut ends = BTreeMap::new();
    for partition in partitions(&consumer, topic)? {
        let (low, high) = consumer.fetch_watermarks(topic, partition, REQUEST)?;
        if low < high {
            asked.add_partition(topic, partition);
            ends.insert(partition, high);
        }
    }
    let committed = consumer.committed_offsets(asked, REQUEST)?;
    for element in committed.elements() {
        let end = ends.get(&element.partition()).copied().unwrap_or(0);
        let at = element.offset().to_raw().unwrap_or(-1);
        if at < end {
            return Ok(Err(format!(
                "{group} has committed {at} of {end} in partition {}",
                element.partition()
            )));
        }
    }
    Ok(Ok(()))
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Vec<i32>> {
    let metadata = consumer
        .fetch_metadata(Some(topic), REQUEST)
        .with_context(|| format!("asking about {topic}"))?;
    Ok(metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions())
        .map(|partition| partition.id())
        .collect())
}
