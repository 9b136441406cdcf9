use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, PurgeConfig, ThreadedProducer};
use tapedeck_schemas::wire::{Framing, encode_audit, encode_audit_json, encode_dead_letter};
use tapedeck_schemas::{AuditEvent, DeadLetter};

use super::receipts::{Deliveries, Receipts};
use crate::source::is_permanent;

/// Pause while librdkafka's queue is full.
const FULL: Duration = Duration::from_millis(5);

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Avro, as in `audit.avsc`.
    #[default]
    Avro,
    /// The same fields as JSON.
    Json,
}

impl Format {
    /// The header `content-type`.
    fn content_type(self) -> &'static str {
        match self {
            Self::Avro => "avro/binary",
            Self::Json => "application/json",
        }
    }
}

/// Where to publish, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    /// The topic of audit events.
    pub audit: String,
    /// How they are written.
    pub format: Format,
    /// How they name their schema, where they are Avro.
    pub audit_framing: Framing,
    /// The topic of dead letters.
    pub dead_letter: String,
    /// How they name their schema.
    pub dead_letter_framing: Framing,
}

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
    topics: Topics,
}

/// The producer that all partitions use.
struct Current {
    /// Counts replacements, so that what several partitions saw fail is replaced once.
    generation: u64,
    producer: Arc<ThreadedProducer<Deliveries>>,
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
    pub fn new(mut config: ClientConfig, topics: Topics, timeout: Duration) -> Result<Self, PublishError> {
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2")
            .set("message.timeout.ms", timeout.as_millis().to_string())
            .set("linger.ms", "5")
            // A batch's events are made faster than they are sent; beyond this they wait unmade.
            .set("queue.buffering.max.kbytes", "16384")
            .set("compression.type", "lz4")
            .set("allow.auto.create.topics", "false");
        let producer = Arc::new(create(&config)?);
        Ok(Self {
            config,
            current: Arc::new(Mutex::new(Current {
                generation: 0,
                producer,
            })),
            topics,
        })
    }

    /// Publishes audit events and waits for every acknowledgement.
    ///
    /// Headers: `event-id` (the same on every delivery), `event-type`, `tenant`, `schema`, `ocsf-version`, `content-type`,
    /// `frame-hash`, `traceparent`; those without a value are null.
    ///
    /// # Errors
    /// At the first record that was not acknowledged; others may have been.
    pub async fn audit(&self, events: impl Iterator<Item = AuditEvent>) -> Result<(), PublishError> {
        let (generation, producer) = self.current();
        let receipts = Arc::new(Receipts::default());
        for event in events {
            let event = &event;
            let text = |key, value| Header { key, value };
            let unmapped = |name: &str| event.unmapped.get(name).map(String::as_str);
            let headers = OwnedHeaders::new_with_capacity(8)
                .insert(text("event-id", Some(event.metadata.uid.as_str())))
                .insert(text("event-type", Some(event.metadata.event_code.as_str())))
                .insert(text("tenant", event.metadata.tenant_uid.as_deref()))
                .insert(text("schema", Some("tapedeck.v1.AuditEvent")))
                .insert(text("ocsf-version", Some(event.metadata.version.as_str())))
                .insert(text("content-type", Some(self.topics.format.content_type())))
                .insert(text("frame-hash", unmapped("frame_hash")))
                .insert(text("traceparent", unmapped("traceparent")));
            let value = match self.topics.format {
                Format::Avro => encode_audit(event, self.topics.audit_framing),
                Format::Json => encode_audit_json(event),
            };
            let record = BaseRecord::with_opaque_to(&self.topics.audit, Arc::clone(&receipts))
                .key(event.metadata.correlation_uid.as_str())
                .payload(value.as_slice())
                .headers(headers);
            hand_over(&producer, record, &receipts).await;
        }
        self.replaced_on_failure(generation, &self.topics.audit, receipts.all().await)
    }

    /// Publishes dead letters and waits for every acknowledgement.
    ///
    /// # Errors
    /// As [`Publisher::audit`].
    pub async fn dead_letters(&self, letters: &[DeadLetter]) -> Result<(), PublishError> {
        let (generation, producer) = self.current();
        let receipts = Arc::new(Receipts::default());
        for letter in letters {
            let key = format!("{}/{}/{}", letter.topic, letter.partition, letter.offset);
            let headers = OwnedHeaders::new_with_capacity(2)
                .insert(Header {
                    key: "reason",
                    value: Some(&letter.reason),
                })
                .insert(Header {
                    key: "schema",
                    value: Some("tapedeck.v1.DeadLetter"),
                });
            let value = encode_dead_letter(letter, self.topics.dead_letter_framing);
            let record = BaseRecord::with_opaque_to(&self.topics.dead_letter, Arc::clone(&receipts))
                .key(key.as_str())
                .payload(value.as_slice())
                .headers(headers);
            hand_over(&producer, record, &receipts).await;
        }
        self.replaced_on_failure(generation, &self.topics.dead_letter, receipts.all().await)
    }

    fn current(&self) -> (u64, Arc<ThreadedProducer<Deliveries>>) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (current.generation, Arc::clone(&current.producer))
    }

    /// Passes the outcome on, after a failure with another producer in place of the one that failed.
    fn replaced_on_failure(
        &self,
        failed: u64,
        topic: &str,
        outcome: Result<(), KafkaError>,
    ) -> Result<(), PublishError> {
        let Err(source) = outcome else { return Ok(()) };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.generation == failed {
            let producer = Arc::new(create(&self.config)?);
            let old = std::mem::replace(&mut current.producer, producer);
            current.generation += 1;
            // What other partitions wait for fails at once, and they try again with the new one.
            old.purge(PurgeConfig::default().queue().inflight());
            // The last to let go of it joins its thread, which may take a moment.
            drop(tokio::task::spawn_blocking(move || drop(old)));
        }
        Err(PublishError::Undelivered {
            topic: topic.to_owned(),
            source,
        })
    }
}

fn create(config: &ClientConfig) -> Result<ThreadedProducer<Deliveries>, PublishError> {
    config.create_with_context(Deliveries).map_err(PublishError::Producer)
}

/// Waits for room in the queue as long as it takes: back-pressure is the batch's, and the timeout is librdkafka's.
async fn hand_over(
    producer: &ThreadedProducer<Deliveries>,
    mut record: BaseRecord<'_, str, [u8], Arc<Receipts>>,
    receipts: &Receipts,
) {
    receipts.expect_one();
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((error, refused)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                tokio::time::sleep(FULL).await;
                record = refused;
            }
            Err((error, _)) => return receipts.arrived(Some(error)),
        }
    }
}
