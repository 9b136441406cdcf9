//! Membership in the consumer group: which partitions are ours, and their committed offsets.
//!
//! The group's client reads no records, so its thread does nothing but poll: however long a batch takes and however long
//! ClickHouse is away, the group never takes us for dead. The protocol is the classic one, cooperative.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use crate::source::{PATIENCE, is_permanent};
use crate::stop::Stop;

/// The same trouble is said again after this.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// What the group says.
#[derive(Debug)]
pub enum Change {
    /// These partitions are ours now.
    Assigned(Vec<i32>),
    /// These are not any more. The group waits for the answer, so that another owner does not begin before we have ended.
    Revoked(Vec<i32>, oneshot::Sender<()>),
}

struct Context {
    changes: mpsc::UnboundedSender<Change>,
    /// librdkafka's word on its last error: an address and a cause, and no secret.
    said: Mutex<String>,
    topic: String,
    /// How long a revoked partition may take to end.
    grace: Duration,
}

impl ClientContext for Context {
    /// Called before the poll returns the error.
    fn error(&self, _error: KafkaError, reason: &str) {
        reason.clone_into(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl ConsumerContext for Context {
    /// Our partitions are read by clients of their own, so this one's assignment stays empty.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let ours = list.elements_for_topic(&self.topic);
        let partitions: Vec<i32> = ours.iter().map(|element| element.partition()).collect();
        let nothing = TopicPartitionList::new();
        let result = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                info!(?partitions, "assigned");
                // The receiver is gone only when everything ends.
                let _ = self.changes.send(Change::Assigned(partitions));
                consumer.incremental_assign(&nothing)
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                info!(?partitions, "revoked");
                let (ended, wait) = oneshot::channel();
                if self.changes.send(Change::Revoked(partitions, ended)).is_ok() {
                    self.wait(wait);
                }
                consumer.incremental_unassign(&nothing)
            }
            _ => consumer.unassign(),
        };
        if let Err(error) = result {
            error!(%error, "the group's assignment");
        }
    }
}

impl Context {
    fn wait(&self, mut ended: oneshot::Receiver<()>) {
        let until = Instant::now() + self.grace;
        while Instant::now() < until {
            match ended.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(5)),
                _ => return,
            }
        }
        warn!("a revoked partition has not ended in time; its lease keeps it from doing harm");
    }
}

/// A member of the group, for as long as anybody has it. The thread that polls lets go of its client last, and leaves
/// the group with that: others take over at once.
pub struct Member {
    consumer: Arc<BaseConsumer<Context>>,
    topic: String,
}

/// Whether the group has been left.
#[derive(Debug)]
pub struct Left(oneshot::Receiver<()>);

impl Left {
    /// Waits until the last who had the [`Member`] has let go of it, and the brokers have been told.
    pub async fn wait(self) {
        // Nothing is ever sent: the thread drops its end of this, also where it panics.
        let _ = self.0.await;
    }
}

impl Member {
    /// Joins the group.
    ///
    /// # Errors
    /// Where librdkafka refuses the options.
    pub fn join(
        mut config: ClientConfig,
        group: &str,
        topic: &str,
        grace: Duration,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Change>, Left), KafkaError> {
        let (changes, receiver) = mpsc::unbounded_channel();
        let context = Context {
            changes,
            said: Mutex::default(),
            topic: topic.to_owned(),
            grace,
        };
        let consumer: BaseConsumer<Context> = config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("allow.auto.create.topics", "false")
            .create_with_context(context)?;
        consumer.subscribe(&[topic])?;
        let consumer = Arc::new(consumer);
        let (ended, left) = oneshot::channel();
        {
            let (consumer, topic) = (Arc::clone(&consumer), topic.to_owned());
            std::thread::spawn(move || {
                let mut said: Option<(KafkaError, Instant)> = None;
                // Until nobody else has it.
                while Arc::strong_count(&consumer) > 1 {
                    let Some(Err(error)) = consumer.poll(Duration::from_millis(100)) else {
                        continue;
                    };
                    if said
                        .as_ref()
                        .is_some_and(|(last, at)| *last == error && at.elapsed() < SAY_AGAIN)
                    {
                        continue;
                    }
                    if is_missing(&error) {
                        warn!(
                            topic,
                            "the topic does not exist: `tapedeck-consumer migrate` creates it; waiting"
                        );
                    } else {
                        let said = consumer
                            .context()
                            .said
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .clone();
                        warn!(%error, said, "the group");
                    }
                    said = Some((error, Instant::now()));
                }
                consumer.unsubscribe();
                // Closing waits for the brokers, so it must not hold up the runtime's threads.
                drop(consumer);
                drop(ended);
            });
        }
        let member = Self {
            consumer,
            topic: topic.to_owned(),
        };
        Ok((member, receiver, Left(left)))
    }

    /// The group's committed offset of a partition, asked until the brokers answer.
    ///
    /// # Errors
    /// Only one that no retry mends.
    pub async fn committed(&self, partition: i32) -> Result<Option<i64>, Stop> {
        loop {
            let mut list = TopicPartitionList::new();
            list.add_partition(&self.topic, partition);
            let consumer = Arc::clone(&self.consumer);
            let asked = tokio::task::spawn_blocking(move || consumer.committed_offsets(list, PATIENCE)).await;
            match asked.unwrap_or(Err(KafkaError::Canceled)) {
                Ok(list) => {
                    let element = list.find_partition(&self.topic, partition);
                    return Ok(element.and_then(|element| match element.offset() {
                        Offset::Offset(offset) => Some(offset),
                        _ => None,
                    }));
                }
                Err(error) if is_permanent(&error) => return Err(Stop::Kafka(error)),
                Err(error) => warn!(partition, %error, "the committed offset cannot be had; trying again"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// How many partitions the topic has, asked until the brokers answer.
    ///
    /// # Errors
    /// Only one that no retry mends.
    pub async fn partitions(&self) -> Result<usize, Stop> {
        loop {
            let (consumer, topic) = (Arc::clone(&self.consumer), self.topic.clone());
            let asked = tokio::task::spawn_blocking(move || {
                let metadata = consumer.fetch_metadata(Some(&topic), PATIENCE)?;
                Ok(metadata.topics().iter().map(|topic| topic.partitions().len()).sum())
            });
            match asked.await.unwrap_or(Err(KafkaError::Canceled)) {
                Ok(partitions) => return Ok(partitions),
                Err(error) if is_permanent(&error) => return Err(Stop::Kafka(error)),
                Err(error) => warn!(%error, "the topic's partitions cannot be had; trying again"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Commits, and waits for the brokers, as often as it takes. Gives back a moment at which the partition was ours:
    /// just before the brokers were asked, for they refuse whoever they have dropped from the group.
    ///
    /// A refusal because the group is being rebalanced, or has dropped this member, is no answer yet: a partition that
    /// stays ours through a rebalance is not assigned again, and of one that does not the group's own client is told.
    ///
    /// # Errors
    /// Only one that no retry mends.
    pub async fn commit(&self, partition: i32, offset: i64) -> Result<Instant, Stop> {
        loop {
            let asked_at = Instant::now();
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))
                .map_err(Stop::Kafka)?;
            let consumer = Arc::clone(&self.consumer);
            let asked = tokio::task::spawn_blocking(move || consumer.commit(&list, CommitMode::Sync)).await;
            match asked.unwrap_or(Err(KafkaError::Canceled)) {
                Ok(()) => return Ok(asked_at),
                Err(error) if is_permanent(&error) => return Err(Stop::Kafka(error)),
                Err(error) => warn!(partition, offset, %error, "the offset was not committed; trying again"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

fn is_missing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition)
    )
}
