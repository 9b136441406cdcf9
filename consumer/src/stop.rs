//! What ends the work on a partition, and waiting out what does not.

use std::time::Duration;

use rdkafka::error::KafkaError;
use tracing::warn;

use crate::publish::PublishError;
use crate::rows::Origin;
use crate::sink::{Fault, SinkError};

/// Why loading cannot go on. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// ClickHouse refuses for good.
    #[error("ClickHouse refuses {0}: {1}")]
    Sink(&'static str, #[source] SinkError),
    /// The topic is another one than the table holds.
    #[error(
        "the topic {topic} was recreated, or is on another cluster: the record at partition {partition}, offset {offset} \
         is not the one that was loaded from there. Nothing was skipped or loaded since. If this is meant, give the \
         new topic a `source` and a `group` of its own"
    )]
    Recreated {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where the difference was found.
        offset: i64,
    },
    /// The topic ends before what was loaded from it.
    #[error(
        "the topic {topic} was recreated or truncated: partition {partition} ends at offset {end}, and offset {position} \
         was reached before. Nothing was skipped or loaded since. If this is meant, give the new topic a `source` and a \
         `group` of its own"
    )]
    Shorter {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The log's end now.
        end: i64,
        /// The next offset to read.
        position: i64,
    },
    /// Kafka refuses for good.
    #[error("Kafka: {0}")]
    Kafka(#[source] KafkaError),
    /// The schema registry refuses for good.
    #[error("{0}")]
    Registry(#[from] tapedeck_registry::RegistryError),
    /// The producer has a fatal error.
    #[error("publishing: {0}")]
    Publish(#[source] PublishError),
}

impl Stop {
    pub(crate) fn recreated(origin: &Origin, offset: i64) -> Self {
        Self::Recreated {
            topic: origin.topic.clone(),
            partition: origin.partition,
            offset,
        }
    }
}

/// Asks ClickHouse until it answers; only an error that no retry mends ends it.
///
/// # Errors
/// That error.
pub async fn persist<T, F>(what: &'static str, ask: impl Fn() -> F) -> Result<T, Stop>
where
    F: Future<Output = Result<T, SinkError>>,
{
    let mut pause = Duration::from_millis(100);
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.fault() == Fault::Stop => return Err(Stop::Sink(what, error)),
            Err(error) => warn!(%error, what, "ClickHouse does not answer as it should; trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}
