use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use serde::Serialize;

use crate::config::Config;
use crate::sink::LoadedPlace;

/// Longest wait for an answer of the brokers.
const PATIENCE: Duration = Duration::from_secs(10);
/// Kafka removes whole segments of its log, which it closes after so long unless a topic says otherwise (`segment.ms`).
const SEGMENT: Duration = Duration::from_secs(7 * 24 * 3600);
/// The year 2100, in microseconds: a topic without an end.
const FOR_EVER: i64 = 4_102_444_800_000_000;

/// Kafka did not say what it holds.
#[derive(Debug, thiserror::Error)]
pub enum CopiesError {
    /// It did not answer, or refused.
    #[error("Kafka: looking for copies in {topic}: {source}")]
    Kafka {
        /// The topic.
        topic: String,
        /// librdkafka's own word.
        source: KafkaError,
    },
    /// Asking was interrupted.
    #[error("Kafka: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Records of one partition among which copies are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copies {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset of the first.
    pub first: i64,
    /// Offset of the last.
    pub last: i64,
    /// When Kafka will have removed them at the latest, microseconds since 1970; the year 2100: it keeps them for ever.
    pub until: i64,
    /// What they are: `raw`, as recorded; `not_loaded`, raw and not looked at yet; `redacted`, events among others'.
    pub what: &'static str,
}

/// The copies that Kafka holds of what was loaded from these places; `loaded_ends` has how far each partition was loaded at all.
pub(super) async fn of(
    config: &Config,
    loaded: &[LoadedPlace],
    loaded_ends: &[LoadedPlace],
    now: i64,
) -> Result<Vec<Copies>, CopiesError> {
    let kafka = config.kafka.client_config();
    let topics = &config.kafka.topics;
    let mut copies = Vec::new();
    for (topic, fallback, is_raw) in [
        (topics.frames(), config.topics.retention, true),
        (topics.audit(), config.topics.audit_retention, false),
    ] {
        let kept = kept_for(&kafka, topic, fallback).await?;
        let kept = kept.and_then(|kept| i64::try_from(kept.as_micros()).ok());
        let until = kept.map_or(FOR_EVER, |kept| now.saturating_add(kept).min(FOR_EVER));
        for (partition, first, end) in ends(&kafka, topic).await? {
            let is_here = |place: &&LoadedPlace| place.topic == topic && place.partition == partition;
            let (place, seen) = (loaded.iter().find(is_here), loaded_ends.iter().find(is_here));
            let copy = |first: i64, last: i64, what| Copies {
                topic: topic.to_owned(),
                partition,
                first,
                last,
                until,
                what,
            };
            if !is_raw {
                copies.extend((first < end).then(|| copy(first, end - 1, "redacted")));
                continue;
            }
            let raw = place.filter(|place| place.last >= first);
            copies.extend(raw.map(|place| copy(place.first.max(first), place.last, "raw")));
            let unseen = seen.map_or(first, |seen| (seen.last + 1).max(first));
            copies.extend((unseen < end).then(|| copy(unseen, end - 1, "not_loaded")));
        }
    }
    Ok(copies)
}

/// For how long at most Kafka keeps a record of a topic; `None`: for ever.
async fn kept_for(kafka: &ClientConfig, topic: &str, fallback: Duration) -> Result<Option<Duration>, CopiesError> {
    let failed = |source| CopiesError::Kafka {
        topic: topic.to_owned(),
        source,
    };
    let admin: AdminClient<DefaultClientContext> = kafka.create().map_err(failed)?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described = admin
        .describe_configs([&ResourceSpecifier::Topic(topic)], &options)
        .await;
    // A broker that does not tell its settings is taken to have those that the topic was created with.
    let described = described.map_err(failed)?.into_iter().next().and_then(Result::ok);
    let millis = |name: &str| {
        let entry = described.as_ref()?.get(name)?;
        entry.value.as_deref()?.parse::<i64>().ok()
    };
    let segment = millis("segment.ms").and_then(|millis| u64::try_from(millis).ok());
    let segment = segment.map_or(SEGMENT, Duration::from_millis);
    Ok(match millis("retention.ms") {
        Some(millis) => u64::try_from(millis)
            .ok()
            .map(|millis| Duration::from_millis(millis) + segment),
        None => Some(fallback + segment),
    })
}

/// Of each partition the first offset and the offset after the last.
async fn ends(kafka: &ClientConfig, topic: &str) -> Result<Vec<(i32, i64, i64)>, CopiesError> {
    let failed = |source| CopiesError::Kafka {
        topic: topic.to_owned(),
        source,
    };
    let mut kafka = kafka.clone();
    // No group is joined; librdkafka wants a name for any consumer.
    let consumer: BaseConsumer = kafka.set("group.id", "tapedeck-erase").create().map_err(failed)?;
    let name = topic.to_owned();
    let ask = move || {
        let metadata = consumer.fetch_metadata(Some(&name), PATIENCE)?;
        let partitions = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
        let ends = partitions.iter().map(|partition| {
            let (first, end) = consumer.fetch_watermarks(&name, partition.id(), PATIENCE)?;
            Ok((partition.id(), first, end))
        });
        ends.collect::<Result<Vec<_>, KafkaError>>()
    };
    tokio::task::spawn_blocking(ask).await?.map_err(failed)
}
