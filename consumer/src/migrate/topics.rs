use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tracing::{info, warn};

use super::reach::{Unreachable, reach};

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// Its name.
    pub name: String,
    /// Fixed for ever: more partitions would send a session key elsewhere.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication: i32,
    /// Copies that must have a record before it counts.
    pub min_insync_replicas: i32,
    /// How long records are kept.
    pub retention: Duration,
    /// Largest record, in bytes.
    pub max_message_bytes: u64,
}

/// Why the topics are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// No broker serves us.
    #[error("Kafka: {0}")]
    Unreachable(#[from] Unreachable),
    /// Reaching it was interrupted.
    #[error("Kafka: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
    /// No broker answered, or the answer was no.
    #[error("Kafka: {what}: {source}")]
    Kafka {
        /// What was being done.
        what: String,
        /// librdkafka's own word.
        source: KafkaError,
    },
    /// The broker would not create a topic.
    #[error("Kafka would not create topic {topic}: {code}")]
    Refused {
        /// The topic.
        topic: String,
        /// The broker's reason.
        code: RDKafkaErrorCode,
    },
    /// The number of a topic's partitions never changes after creation.
    #[error(
        "topic {topic} has {actual} partitions and the configuration says {planned}: the number never changes, because \
         sessions would move between partitions; set topics.partitions = {actual}, or choose another topic_prefix"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// What it has.
        actual: usize,
        /// What the configuration says.
        planned: i32,
    },
}

/// Creates what is missing. A topic that is there keeps its settings; its number of partitions must be the planned one.
///
/// Returns the names of the topics that were created now.
///
/// # Errors
/// See [`TopicError`]. `timeout` bounds each call to the brokers.
pub async fn create_topics(
    config: &ClientConfig,
    plans: &[TopicPlan],
    timeout: Duration,
) -> Result<Vec<String>, TopicError> {
    let kafka = |what: &str| {
        let what = what.to_owned();
        move |source| TopicError::Kafka { what, source }
    };
    let reached = config.clone();
    tokio::task::spawn_blocking(move || reach(&reached, timeout)).await??;
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(kafka("connecting"))?;
    let settings: Vec<_> = plans
        .iter()
        .map(|plan| {
            [
                plan.retention.as_millis().to_string(),
                plan.min_insync_replicas.to_string(),
                plan.max_message_bytes.to_string(),
            ]
        })
        .collect();
    let topics: Vec<NewTopic<'_>> = plans
        .iter()
        .zip(&settings)
        .map(|(plan, [retention, min_insync, max_bytes])| {
            NewTopic::new(&plan.name, plan.partitions, TopicReplication::Fixed(plan.replication))
                .set("retention.ms", retention)
                .set("min.insync.replicas", min_insync)
                .set("max.message.bytes", max_bytes)
                .set("cleanup.policy", "delete")
        })
        .collect();
    let options = AdminOptions::new()
        .request_timeout(Some(timeout))
        .operation_timeout(Some(timeout));
    let results = admin
        .create_topics(&topics, &options)
        .await
        .map_err(kafka("creating topics"))?;
    let mut created = Vec::new();
    for result in results {
        match result {
            Ok(topic) => {
                info!(topic, "created");
                created.push(topic);
            }
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(TopicError::Refused { topic, code }),
        }
    }
    for plan in plans {
        check_partitions(&admin, plan, timeout)?;
    }
    Ok(created)
}

fn check_partitions(
    admin: &AdminClient<DefaultClientContext>,
    plan: &TopicPlan,
    timeout: Duration,
) -> Result<(), TopicError> {
    let metadata = admin
        .inner()
        .fetch_metadata(Some(&plan.name), timeout)
        .map_err(|source| TopicError::Kafka {
            what: format!("looking at topic {}", plan.name),
            source,
        })?;
    let actual = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    // A topic that was created a moment ago may not be in this broker's metadata yet.
    if actual == 0 {
        warn!(topic = plan.name, "not in the broker's metadata yet");
        return Ok(());
    }
    if i32::try_from(actual) == Ok(plan.partitions) {
        Ok(())
    } else {
        Err(TopicError::Partitions {
            topic: plan.name.clone(),
            actual,
            planned: plan.partitions,
        })
    }
}
