//! The producer: hands messages to Kafka and passes its reports on.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use tapedeck_schemas::MAX_PART;

use super::durable::Delivery;
use super::in_flight::{MAX_BYTES, MAX_MESSAGES};
use super::readiness::Readiness;
use super::{NotReady, OWN_OPTIONS, RecorderSettings, StartError, TopicRole, Topics};

/// Room for a part's metadata beside its payload, and for an opener that names as many lost frames as it may.
const HEADROOM: usize = 512 * 1024;

/// Where messages go. A trait because the tests of the segments' state machine decide there what is acknowledged when.
pub(super) trait Publisher: Send + Sync {
    /// Hands a message over, without waiting. Messages with one key arrive in the order of these calls, as far as they
    /// arrive. Where this is `Ok`, `delivery` is resolved exactly once, by another thread; otherwise never.
    fn publish(
        &self,
        topic: TopicRole,
        key: &[u8],
        value: &[u8],
        delivery: Arc<Delivery>,
    ) -> Result<(), RDKafkaErrorCode>;

    /// Whether Kafka has refused this producer for want of rights. It will never publish.
    fn is_forbidden(&self) -> bool {
        false
    }
}

/// An idempotent librdkafka producer with a thread that serves its reports.
pub(super) struct KafkaPublisher {
    producer: ThreadedProducer<Reports>,
    topics: Topics,
}

impl KafkaPublisher {
    /// Connects in the background.
    pub(super) fn start(settings: &RecorderSettings, readiness: Arc<Readiness>) -> Result<Self, StartError> {
        let producer = producer_config(settings)?
            .create_with_context(Reports { readiness })
            .map_err(|error| StartError::Client(error.to_string()))?;
        Ok(Self {
            producer,
            topics: settings.topics.clone(),
        })
    }
}

impl Publisher for KafkaPublisher {
    fn publish(
        &self,
        topic: TopicRole,
        key: &[u8],
        value: &[u8],
        delivery: Arc<Delivery>,
    ) -> Result<(), RDKafkaErrorCode> {
        let record = BaseRecord::with_opaque_to(self.topics.name(topic), delivery)
            .key(key)
            .payload(value);
        self.producer.send(record).map_err(|(error, _record)| {
            // An error without a code is one of an argument: a topic's name with a NUL in it.
            error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::InvalidArgument)
        })
    }

    fn is_forbidden(&self) -> bool {
        // An idempotent producer begins by asking for an id, which only who may write somewhere is given.
        let fatal = self.producer.client().fatal_error();
        matches!(fatal, Some((RDKafkaErrorCode::ClusterAuthorizationFailed, _)))
    }
}

/// librdkafka's callbacks.
struct Reports {
    readiness: Arc<Readiness>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Connection trouble is expected where Kafka is away, and told once, by the readiness.
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "librdkafka", facility, message);
            }
            _ => tracing::debug!(target: "librdkafka", facility, message),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                self.readiness.turned_away(Some(NotReady::Credentials), reason);
            }
            Some(RDKafkaErrorCode::SSL) => self.readiness.turned_away(Some(NotReady::Tls), reason),
            Some(RDKafkaErrorCode::BrokerTransportFailure) => self.readiness.turned_away(None, reason),
            Some(RDKafkaErrorCode::Fatal) => {
                tracing::error!(target: "librdkafka", %error, reason, "fatal producer error");
                self.readiness.spoiled();
            }
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                tracing::debug!(target: "librdkafka", %error, reason);
                // Not a proof that Kafka is away: upkeep looks.
                self.readiness.alarm.notify_one();
            }
            _ => tracing::debug!(target: "librdkafka", %error, reason),
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Arc<Delivery>) {
        delivery.resolve(match result {
            Ok(_) => Ok(()),
            // A purge arrives here too: undelivered like any other error.
            Err((error, _message)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
        });
    }
}

/// What every client here is made of: the user's options, then the address.
pub(super) fn client_config(settings: &RecorderSettings) -> Result<ClientConfig, StartError> {
    let mut config = ClientConfig::new();
    // Defaults that users may change. A broker that is back is found within a second.
    config.set("reconnect.backoff.max.ms", "1000");
    for (name, value) in &settings.options.0 {
        if OWN_OPTIONS.contains(&name.as_str()) {
            return Err(StartError::OwnOption(name.clone()));
        }
        config.set(name, value);
    }
    config.set("bootstrap.servers", &settings.brokers);
    // Topics are created by `migrate`, with the partitions, replication and retention that were configured.
    config.set("allow.auto.create.topics", "false");
    Ok(config)
}

fn producer_config(settings: &RecorderSettings) -> Result<ClientConfig, StartError> {
    let mut config = client_config(settings)?;
    if !settings.options.0.contains_key("compression.type") && !settings.options.0.contains_key("compression.codec") {
        config.set("compression.type", "lz4");
    }
    // What carries the promise. An acknowledgement means every replica in sync …
    config.set("acks", "all");
    // … once and in order, whatever is retried …
    config.set("enable.idempotence", "true");
    // … all frames of a session key in one partition, the one that any other client would choose …
    config.set("partitioner", "murmur2");
    // … decided within this time …
    config.set(
        "message.timeout.ms",
        settings.message_timeout.max(SHORTEST).as_millis().to_string(),
    );
    // … and not delayed, for somebody waits for it.
    config.set("linger.ms", "0");
    config.set("message.max.bytes", (MAX_PART + HEADROOM).to_string());
    // Above our own bounds, so that these are the ones that refuse.
    config.set("queue.buffering.max.messages", (2 * MAX_MESSAGES).to_string());
    config.set("queue.buffering.max.kbytes", (4 * MAX_BYTES / 1024).to_string());
    Ok(config)
}

/// librdkafka takes 0 for "for ever".
const SHORTEST: Duration = Duration::from_millis(1);
