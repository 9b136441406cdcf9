//! The producer: hands messages to Kafka and passes its reports on.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use tapedeck_schemas::MAX_PART;
use tokio::sync::Notify;

use super::bell::{self, Bell};
use super::durable::Delivery;
use super::in_flight::{MAX_BYTES, MAX_MESSAGES};
use super::lanes::{Lane, Lanes};
use super::readiness::Readiness;
use super::{NotReady, OWN_OPTIONS, RecorderSettings, StartError, TopicRole, Topics};

/// Room for a part's metadata beside its payload, and for an opener that names as many lost frames as it may.
const HEADROOM: usize = 512 * 1024;

/// Events that are served before the runtime's other tasks have their turn.
const EVENTS_AT_ONCE: usize = 64;

/// Where messages go. A trait because the tests of the segments' state machine decide there what is acknowledged when.
pub(super) trait Publisher: Send + Sync {
    /// Hands a message over, without waiting. Messages with one key arrive in the order of these calls, as far as they
    /// arrive. Where this is `Ok`, `delivery` is resolved exactly once, never within this call; otherwise never.
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

/// An idempotent librdkafka producer, whose reports a task of the runtime serves: a thread for them would cost each
/// report another switch.
///
/// What is published waits in [`Lanes`] while much is under way already.
pub(super) struct KafkaPublisher(Arc<BaseProducer<Reports>>);

impl KafkaPublisher {
    /// Connects in the background. Must be called within a Tokio runtime.
    pub(super) fn start(settings: &RecorderSettings, readiness: Arc<Readiness>) -> Result<Self, StartError> {
        let (bell, ringing) = Bell::new().map_err(StartError::Bell)?;
        let stirred = Arc::new(Notify::new());
        let reports = Reports {
            readiness,
            topics: settings.topics.clone(),
            lanes: Lanes::new(Arc::clone(&stirred)),
            bell,
        };
        let producer: BaseProducer<Reports> = producer_config(settings)?
            .create_with_context(reports)
            .map_err(|error| StartError::Client(error.to_string()))?;
        let producer = Arc::new(producer);
        tokio::spawn(bell::serve(Arc::downgrade(&producer), ringing, stirred));
        Ok(Self(producer))
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
        let reports = self.0.context();
        let lane = Lane::of(topic, key, reports.readiness.partitions(topic));
        let now = || send(&self.0, lane, topic, key, value, Arc::clone(&delivery));
        let later = || Waiting {
            topic,
            key: key.into(),
            value: value.into(),
            delivery: Arc::clone(&delivery),
        };
        reports.lanes.pass(lane, delivery.haste(), now, later)
    }

    fn is_forbidden(&self) -> bool {
        // An idempotent producer begins by asking for an id, which only who may write somewhere is given.
        let fatal = self.0.client().fatal_error();
        matches!(fatal, Some((RDKafkaErrorCode::ClusterAuthorizationFailed, _)))
    }
}

impl Drop for KafkaPublisher {
    /// What librdkafka holds is purged with the producer; what still waits for it fails likewise.
    fn drop(&mut self) {
        self.0.context().fail_waiting();
    }
}

/// A message that is not handed over yet.
pub(super) struct Waiting {
    topic: TopicRole,
    key: Box<[u8]>,
    value: Box<[u8]>,
    delivery: Arc<Delivery>,
}

/// What librdkafka carries with a message and gives back with its report.
pub(super) struct UnderWay {
    delivery: Arc<Delivery>,
    lane: Lane,
}

fn send(
    producer: &BaseProducer<Reports>,
    lane: Lane,
    topic: TopicRole,
    key: &[u8],
    value: &[u8],
    delivery: Arc<Delivery>,
) -> Result<(), RDKafkaErrorCode> {
    let name = producer.context().topics.name(topic);
    let record = BaseRecord::with_opaque_to(name, Box::new(UnderWay { delivery, lane }))
        .key(key)
        .payload(value);
    producer.send(record).map_err(|(error, _record)| {
        // An error without a code is one of an argument: a topic's name with a NUL in it.
        error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::InvalidArgument)
    })
}

/// Serves some of what librdkafka reports, and hands over what waited for that, or what waits at `all`. Whether there is
/// more.
pub(super) fn serve(producer: &BaseProducer<Reports>, all: bool, has_more: impl Fn() -> bool) -> bool {
    for _ in 0..EVENTS_AT_ONCE {
        // One poll serves one event, which may hold many reports. The first also tells librdkafka that its bell was
        // heard, even where there is no event.
        producer.poll(Duration::ZERO);
        hand_over_waiting(producer, all);
        if !has_more() {
            return false;
        }
    }
    true
}

fn hand_over_waiting(producer: &BaseProducer<Reports>, all: bool) {
    let reports = producer.context();
    if reports.readiness.is_spoiled() {
        // It will be replaced: what it would send after a failure depends on state that the broker may have lost.
        return reports.fail_waiting();
    }
    let mut refused = Vec::new();
    reports.lanes.hand_over(all, |lane, waiting| {
        let Waiting {
            topic,
            key,
            value,
            delivery,
        } = waiting;
        let taken = send(producer, lane, topic, &key, &value, Arc::clone(&delivery));
        if let Err(code) = taken {
            refused.push((delivery, code));
        }
        taken.is_ok()
    });
    // Not under the lane's lock: whoever waits may go on at once.
    for (delivery, code) in refused {
        delivery.resolve(Err(code));
    }
}

/// librdkafka's callbacks, and what they need.
pub(super) struct Reports {
    readiness: Arc<Readiness>,
    topics: Topics,
    lanes: Lanes<Waiting>,
    /// Here, since librdkafka holds its context for as long as it may ring.
    pub(super) bell: Bell,
}

impl Reports {
    /// Nobody will hear of this producer's messages: it is to be replaced, which fails them.
    pub(super) fn give_up(&self) {
        self.readiness.spoiled();
    }

    /// Whether a message waits to be handed over.
    pub(super) fn is_waiting(&self) -> bool {
        self.lanes.is_waiting()
    }

    fn fail_waiting(&self) {
        for waiting in self.lanes.take() {
            waiting.delivery.resolve(Err(RDKafkaErrorCode::PurgeQueue));
        }
    }
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
    type DeliveryOpaque = Box<UnderWay>;

    fn delivery(&self, result: &DeliveryResult<'_>, under_way: Box<UnderWay>) {
        self.lanes.arrived(under_way.lane);
        under_way.delivery.resolve(match result {
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
