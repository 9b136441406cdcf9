//! One partition's records, from an exact offset on.
//!
//! Reading has a client of its own, apart from the group's: it holds exactly one partition, begins exactly where it is
//! told, and is bounded by not being asked. librdkafka keeps fetching up to its bound and no further while a batch is
//! loaded or ClickHouse is away, and the group's own client goes on polling meanwhile.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tracing::{debug, warn};

use crate::record::Record;
use crate::schemas::Schemas;
use crate::stop::Stop;

/// Longest wait for an answer of the brokers.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Reads one partition.
pub struct Source {
    consumer: Arc<StreamConsumer>,
    topic: String,
    partition: i32,
    schemas: Schemas,
    /// The next record, while its schema is asked for.
    pending: Mutex<Option<OwnedMessage>>,
}

/// What can be had without waiting.
pub(crate) enum Ready {
    /// The next record.
    Record(Record),
    /// As [`Source::next`] says it.
    Astray,
    /// Nothing, or nothing that can be read without asking a registry.
    Nothing,
}

impl Source {
    /// A client for this partition; nothing is read yet. It keeps at most `bytes` of records that nobody has asked for.
    ///
    /// # Errors
    /// Where librdkafka refuses the options.
    pub fn new(
        mut config: ClientConfig,
        group: &str,
        topic: &str,
        partition: i32,
        bytes: u64,
    ) -> Result<Self, KafkaError> {
        let kilobytes = (bytes / 1024).clamp(1024, 2_000_000);
        let consumer = config
            // It never joins the group; librdkafka wants the name for any consumer.
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.queue.backoff.ms", "5")
            .set("queued.max.messages.kbytes", kilobytes.to_string())
            .set("allow.auto.create.topics", "false")
            .create()?;
        Ok(Self {
            consumer: Arc::new(consumer),
            topic: topic.to_owned(),
            partition,
            schemas: Schemas::default(),
            pending: Mutex::default(),
        })
    }

    /// With what is known of a schema registry.
    #[must_use]
    pub fn with_schemas(mut self, schemas: Schemas) -> Self {
        self.schemas = schemas;
        self
    }

    /// Goes to an offset; what was fetched and not asked for is forgotten.
    ///
    /// # Errors
    /// Where librdkafka refuses.
    pub fn go_to(&self, offset: i64) -> Result<(), KafkaError> {
        self.pending().take();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, self.partition, Offset::Offset(offset))?;
        self.consumer.assign(&list)
    }

    /// Reads nothing any more, until it is told where to go.
    ///
    /// # Errors
    /// Where librdkafka refuses.
    pub fn rest(&self) -> Result<(), KafkaError> {
        self.consumer.unassign()
    }

    /// Waits for the next record. `None`: the position is not in the log any more, or the log is not there; look at its
    /// [`ends`](Self::ends). Cancelling loses nothing.
    ///
    /// # Errors
    /// Where a schema registry refuses for good.
    pub async fn next(&self) -> Result<Option<Record>, Stop> {
        loop {
            let lacks = self.pending().as_ref().and_then(|message| self.lacks(message));
            if let Some(id) = lacks {
                self.schemas.learn(id).await?;
                continue;
            }
            if let Some(message) = self.pending().take() {
                return Ok(Some(self.read(&message)));
            }
            match self.consumer.recv().await {
                Ok(message) if self.lacks(&message).is_some() => *self.pending() = Some(message.detach()),
                Ok(message) => return Ok(Some(self.read(&message))),
                Err(error) if is_astray(&error) => return Ok(None),
                // librdkafka goes on by itself, and the group's client has said it.
                Err(error) => debug!(partition = self.partition, %error, "Kafka"),
            }
        }
    }

    /// The next record, if it has come.
    pub(crate) fn try_next(&self) -> Ready {
        // What waits for its schema is next's.
        if self.pending().is_some() {
            return Ready::Nothing;
        }
        match self.consumer.recv().now_or_never() {
            Some(Ok(message)) if self.lacks(&message).is_some() => {
                *self.pending() = Some(message.detach());
                Ready::Nothing
            }
            Some(Ok(message)) => Ready::Record(self.read(&message)),
            Some(Err(error)) if is_astray(&error) => Ready::Astray,
            Some(Err(error)) => {
                debug!(partition = self.partition, %error, "Kafka");
                Ready::Nothing
            }
            None => Ready::Nothing,
        }
    }

    fn lacks(&self, message: &impl Message) -> Option<u32> {
        self.schemas.lacks(message.payload()?)
    }

    fn read(&self, message: &impl Message) -> Record {
        let time = message.timestamp().to_millis().unwrap_or(0);
        let (key, value) = (message.key(), message.payload());
        self.schemas
            .with(|ids| Record::read_by(ids, message.offset(), time, key, value))
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Option<OwnedMessage>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offset of the first record in the log, and the offset after the last.
    ///
    /// # Errors
    /// Where the brokers do not answer.
    pub async fn ends(&self) -> Result<(i64, i64), KafkaError> {
        let (consumer, topic, partition) = (Arc::clone(&self.consumer), self.topic.clone(), self.partition);
        let ask = move || {
            consumer.fetch_watermarks(&topic, partition, PATIENCE).or_else(|_| {
                // librdkafka may have learned of the topic when it had no partitions yet, and would believe so for
                // minutes: what it knows is asked for again.
                consumer.fetch_metadata(Some(&topic), PATIENCE)?;
                consumer.fetch_watermarks(&topic, partition, PATIENCE)
            })
        };
        tokio::task::spawn_blocking(ask)
            .await
            .unwrap_or(Err(KafkaError::Canceled))
    }

    /// [`ends`](Self::ends), asked until the brokers answer.
    ///
    /// # Errors
    /// Only one that no retry mends.
    pub async fn ends_at_last(&self) -> Result<(i64, i64), Stop> {
        loop {
            match self.ends().await {
                Ok(ends) => return Ok(ends),
                Err(error) if is_permanent(&error) => return Err(Stop::Kafka(error)),
                Err(error) => warn!(partition = self.partition, %error, "Kafka does not answer; trying again"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

pub(crate) fn is_astray(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let astray = [
        Code::OffsetOutOfRange,
        Code::AutoOffsetReset,
        Code::NoOffset,
        Code::UnknownTopic,
        Code::UnknownPartition,
        Code::UnknownTopicOrPartition,
    ];
    error.rdkafka_error_code().is_some_and(|code| astray.contains(&code))
}

/// No retry mends it.
pub(crate) fn is_permanent(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let permanent = [
        Code::TopicAuthorizationFailed,
        Code::GroupAuthorizationFailed,
        Code::ClusterAuthorizationFailed,
        Code::Authentication,
        Code::SaslAuthenticationFailed,
        Code::InvalidTopic,
        Code::InvalidConfig,
        Code::FencedInstanceId,
    ];
    error.rdkafka_error_code().is_some_and(|code| permanent.contains(&code))
}
