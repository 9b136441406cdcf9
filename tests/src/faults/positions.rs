//! How far a group of consumers has come.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// The longest that a broker may take to answer.
const REQUEST: Duration = Duration::from_secs(10);

/// The offsets of a topic, each partition's next one to load, and its end.
#[derive(Debug)]
pub(super) struct Positions(BTreeMap<i32, (i64, i64)>);

impl Positions {
    /// Asks the broker. The inner error says what it does not know yet.
    pub(super) async fn ask(brokers: &str, topic: &str, group: &str) -> anyhow::Result<Result<Self, String>> {
        let (brokers, topic, group) = (brokers.to_owned(), topic.to_owned(), group.to_owned());
        tokio::task::spawn_blocking(move || ask(&brokers, &topic, &group)).await?
    }

    /// Each partition's end.
    pub(super) fn ends(&self) -> BTreeMap<i32, i64> {
        self.0.iter().map(|(partition, (_, end))| (*partition, *end)).collect()
    }

    /// Whether each partition is loaded to that end, or further. The error names those that are not.
    pub(super) fn reach(&self, ends: &BTreeMap<i32, i64>) -> Result<(), String> {
        let behind = self.0.iter().filter_map(|(partition, (committed, _))| {
            let end = ends.get(partition).copied().unwrap_or_default();
            (*committed < end).then(|| format!("partition {partition} at {committed} of {end}"))
        });
        let behind: Vec<String> = behind.collect();
        match behind.is_empty() {
            true => Ok(()),
            false => Err(format!("not loaded: {}", behind.join(", "))),
        }
    }
}

fn ask(brokers: &str, topic: &str, group: &str) -> anyhow::Result<Result<Positions, String>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), REQUEST)?;
    let described = metadata.topics().first().context("the topic is not there")?;
    let mut list = TopicPartitionList::new();
    for partition in described.partitions() {
        list.add_partition(topic, partition.id());
    }
    let committed = match consumer.committed_offsets(list, REQUEST) {
        Ok(committed) => committed,
        // A broker that has just come back looks for its groups first.
        Err(KafkaError::MetadataFetch(RDKafkaErrorCode::NotCoordinator)) => {
            return Ok(Err("the group has no coordinator yet".to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    let mut positions = BTreeMap::new();
    for element in committed.elements() {
        let (_, end) = consumer.fetch_watermarks(topic, element.partition(), REQUEST)?;
        let reached = match element.offset() {
            Offset::Offset(offset) => offset,
            _ => 0,
        };
        positions.insert(element.partition(), (reached, end));
    }
    Ok(Ok(Positions(positions)))
}
