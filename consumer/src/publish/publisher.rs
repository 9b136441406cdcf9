use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _, PurgeConfig};
use tapedeck_schemas::wire::{Framing, encode_audit, encode_dead_letter};
use tapedeck_schemas::{AuditEvent, DeadLetter};

use crate::source::is_permanent;

/// Publishes and waits: a batch's offsets are committed only after all that it caused elsewhere is acknowledged.
///
/// Delivery is at least once. A batch that is loaded again publishes the same events with the same ids.
///
/// After anything that was not acknowledged the producer is replaced: an idempotent producer goes on under another epoch
/// after a time-out, and not every broker takes that from one it has known before.
#[derive(Clone)]
pub struct Publisher {
    config: ClientConfig,
    current: Arc<Mutex<Current>>,
    audit: String,
    dead_letter: String,
}

/// The producer that all partitions use.
struct Current {
    /// Counts replacements, so that what several partitions saw fail is replaced once.
    generation: u64,
    producer: FutureProducer,
}

/// Records that were not acknowledged; the batch must not be committed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The producer could not be made.
    #[error("Kafka: {0}")]
    Producer(#[source] KafkaError),
    /// The broker did not acknowledge.
    #[error("Kafka did not acknowledge a record of {topic}: {source}")]
    Undelivered {
        /// The topic.
        topic: String,
        /// librdkafka's own word.
        source: KafkaError,
    },
}

impl PublishError {
    /// No retry mends it.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Producer(_) => true,
            Self::Undelivered { source, .. } => is_permanent(source),
        }
    }
}

impl Publisher {
    /// A producer of its own, from the user's options. What carries the promise is set last.
    ///
    /// # Errors
    /// Where librdkafka refuses the options.
    pub fn new(
        mut config: ClientConfig,
        audit: &str,
        dead_letter: &str,
        timeout: Duration,
    ) -> Result<Self, PublishError> {
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2")
            .set("message.timeout.ms", timeout.as_millis().to_string())
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .set("allow.auto.create.topics", "false");
        let producer = config.create().map_err(PublishError::Producer)?;
        Ok(Self {
            config,
            current: Arc::new(Mutex::new(Current {
                generation: 0,
                producer,
            })),
            audit: audit.to_owned(),
            dead_letter: dead_letter.to_owned(),
        })
    }

    /// Publishes audit events and waits for every acknowledgement.
    ///
    /// Headers: `event-id` (the same on every delivery), `event-type`, `tenant`, `schema`.
    ///
    /// # Errors
    /// At the first record that was not acknowledged; others may have been.
    pub async fn audit(&self, events: &[AuditEvent]) -> Result<(), PublishError> {
        let (generation, producer) = self.current();
        let deliveries = events.iter().map(|event| {
            let headers = OwnedHeaders::new()
                .insert(Header {
                    key: "event-id",
                    value: Some(&event.metadata.uid),
                })
                .insert(Header {
                    key: "event-type",
                    value: Some(&event.activity_name),
                })
                .insert(Header {
                    key: "tenant",
                    value: event.metadata.tenant_uid.as_ref(),
                })
                .insert(Header {
                    key: "schema",
                    value: Some("tapedeck.v1.AuditEvent"),
                });
            deliver(
                &producer,
                &self.audit,
                event.metadata.correlation_uid.clone(),
                encode_audit(event, Framing::default()),
                headers,
            )
        });
        self.replaced_on_failure(generation, try_join_all(deliveries).await)
    }

    /// Publishes dead letters and waits for every acknowledgement.
    ///
    /// # Errors
    /// As [`Publisher::audit`].
    pub async fn dead_letters(&self, letters: &[DeadLetter]) -> Result<(), PublishError> {
        let (generation, producer) = self.current();
        let deliveries = letters.iter().map(|letter| {
            let key = format!("{}/{}/{}", letter.topic, letter.partition, letter.offset);
            let headers = OwnedHeaders::new()
                .insert(Header {
                    key: "reason",
                    value: Some(&letter.reason),
                })
                .insert(Header {
                    key: "schema",
                    value: Some("tapedeck.v1.DeadLetter"),
                });
            deliver(
                &producer,
                &self.dead_letter,
                key,
                encode_dead_letter(letter, Framing::default()),
                headers,
            )
        });
        self.replaced_on_failure(generation, try_join_all(deliveries).await)
    }

    fn current(&self) -> (u64, FutureProducer) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (current.generation, current.producer.clone())
    }

    /// Passes the outcome on, after a failure with another producer in place of the one that failed.
    fn replaced_on_failure(&self, failed: u64, outcome: Result<Vec<()>, PublishError>) -> Result<(), PublishError> {
        let Err(error) = outcome else { return Ok(()) };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.generation == failed {
            let producer = self.config.create().map_err(PublishError::Producer)?;
            let old = std::mem::replace(&mut current.producer, producer);
            current.generation += 1;
            // What other partitions wait for fails at once, and they try again with the new one.
            old.purge(PurgeConfig::default().queue().inflight());
            // The last to let go of it joins its thread, which may take a moment.
            drop(tokio::task::spawn_blocking(move || drop(old)));
        }
        Err(error)
    }
}

/// Waits for room in the queue as long as it takes: back-pressure is the batch's, and the timeout is librdkafka's.
async fn deliver(
    producer: &FutureProducer,
    topic: &str,
    key: String,
    value: Vec<u8>,
    headers: OwnedHeaders,
) -> Result<(), PublishError> {
    let record = FutureRecord::to(topic).key(&key).payload(&value).headers(headers);
    match producer.send(record, rdkafka::util::Timeout::Never).await {
        Ok(_) => Ok(()),
        Err((source, _)) => Err(PublishError::Undelivered {
            topic: topic.to_owned(),
            source,
        }),
    }
}
