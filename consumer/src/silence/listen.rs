//! Listening to the control topic, all of it, apart from any group: every consumer hears every writer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tapedeck_schemas::ControlBody;
use tapedeck_schemas::wire::decode_control_by;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::debug;
use uuid::Uuid;

use super::hearing::{Hearing, Word};
use crate::schemas::Schemas;
use crate::source::{PATIENCE, is_astray};

/// How far back goodbyes are looked for when the listening begins.
const BACK: Duration = Duration::from_secs(24 * 3600);

/// Hears all writers. Cheap to share.
#[derive(Debug)]
pub struct Listener {
    hearing: Mutex<Hearing>,
    silence: Duration,
    schemas: Schemas,
    /// How often to make sure that all was read: twelve times in the span.
    look: Duration,
}

/// One client, and how far it has read.
struct Ear {
    consumer: Arc<StreamConsumer>,
    /// Next offset of each partition.
    positions: HashMap<i32, i64>,
}

/// The topic's ends at a moment.
type Look = (Instant, HashMap<i32, i64>);

impl Listener {
    /// Hears nothing until it [`runs`](Self::run); then a writer is silent after `silence`.
    #[must_use]
    pub fn new(silence: Duration) -> Self {
        Self {
            hearing: Mutex::new(Hearing::new(silence)),
            silence,
            schemas: Schemas::default(),
            look: (silence / 12).clamp(Duration::from_millis(50), Duration::from_secs(5)),
        }
    }

    /// With what is known of a schema registry.
    #[must_use]
    pub fn with_schemas(mut self, schemas: Schemas) -> Self {
        self.schemas = schemas;
        self
    }

    /// What is known of a writer.
    #[must_use]
    pub fn word(&self, writer: Uuid) -> Word {
        self.hearing().word(writer)
    }

    /// The silence after which a writer is taken for gone.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.silence
    }

    /// Listens until it is dropped. Nothing that goes wrong here ends it: who cannot listen finds nobody silent.
    pub async fn run(&self, kafka: &ClientConfig, group: &str, topic: &str) {
        loop {
            match Ear::open(kafka.clone(), group, topic).await {
                Ok(ear) => self.listen(ear, topic).await,
                Err(error) => debug!(%error, topic, "the control topic cannot be read; trying again"),
            }
            self.hearing().interrupted();
            sleep(self.look).await;
        }
    }

    /// Until the place that was read is not in the log any more.
    async fn listen(&self, mut ear: Ear, topic: &str) {
        let consumer = Arc::clone(&ear.consumer);
        let mut looks = interval(self.look);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open: Option<Look> = None;
        loop {
            tokio::select! {
                message = consumer.recv() => match message {
                    Ok(message) => {
                        let lacks = message.payload().and_then(|value| self.schemas.lacks(value));
                        if let Some(id) = lacks
                            && let Err(error) = self.schemas.learn(id).await
                        {
                            debug!(%error, topic, "listening");
                        }
                        self.take_in(&mut ear, &message);
                    }
                    Err(error) if is_astray(&error) => return,
                    Err(error) => debug!(%error, topic, "listening"),
                },
                _ = looks.tick(), if open.is_none() => {
                    let at = Instant::now();
                    match ear.ends(topic).await {
                        Ok(ends) => open = Some((at, ends)),
                        Err(error) => {
                            debug!(%error, topic, "the ends of the control topic");
                            self.hearing().interrupted();
                        }
                    }
                }
            }
            if let Some((at, _)) = open.take_if(|(_, ends)| ear.has_reached(ends)) {
                self.hearing().looked(at);
            }
        }
    }

    fn take_in(&self, ear: &mut Ear, message: &BorrowedMessage<'_>) {
        ear.positions.insert(message.partition(), message.offset() + 1);
        // Whatever cannot be read is nobody's word. Signatures are the business of who verifies the record: a forged word
        // could only delay what is concluded here.
        let value = message.payload().unwrap_or_default();
        let Ok(statement) = self.schemas.with(|ids| decode_control_by(value, ids)) else {
            return;
        };
        let mut hearing = self.hearing();
        match statement.body {
            ControlBody::WriterStopped(_) => hearing.stopped(statement.writer_id),
            _ => hearing.heard(statement.writer_id, Instant::now()),
        }
    }

    fn hearing(&self) -> std::sync::MutexGuard<'_, Hearing> {
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear {
    /// A client at the place where the topic was a day ago.
    async fn open(mut config: ClientConfig, group: &str, topic: &str) -> Result<Self, KafkaError> {
        let consumer: StreamConsumer = config
            // It never joins the group; librdkafka wants the name for any consumer.
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("queued.max.messages.kbytes", "1024")
            .set("allow.auto.create.topics", "false")
            .create()?;
        let consumer = Arc::new(consumer);
        let (client, name) = (Arc::clone(&consumer), topic.to_owned());
        let find = move || -> Result<HashMap<i32, i64>, KafkaError> {
            let metadata = client.fetch_metadata(Some(&name), PATIENCE)?;
            let described = metadata.topics().iter().find(|described| described.name() == name);
            let partitions: Vec<i32> = described
                .map(|described| described.partitions().iter().map(|one| one.id()).collect())
                .unwrap_or_default();
            if partitions.is_empty() {
                return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
            }
            let mut times = TopicPartitionList::new();
            for partition in &partitions {
                times.add_partition_offset(&name, *partition, Offset::Offset(a_day_ago()))?;
            }
            let found = client.offsets_for_times(times, PATIENCE)?;
            let mut positions = HashMap::new();
            for partition in partitions {
                let (first, end) = client.fetch_watermarks(&name, partition, PATIENCE)?;
                let offset = found
                    .find_partition(&name, partition)
                    .and_then(|one| one.offset().to_raw())
                    .filter(|offset| (first..=end).contains(offset));
                // Nothing is as young as that: nothing is missed at the end.
                positions.insert(partition, offset.unwrap_or(end));
            }
            Ok(positions)
        };
        let positions = tokio::task::spawn_blocking(find)
            .await
            .unwrap_or(Err(KafkaError::Canceled))?;
        let mut list = TopicPartitionList::new();
        for (partition, offset) in &positions {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        consumer.assign(&list)?;
        Ok(Self { consumer, positions })
    }

    /// Where each partition ends.
    async fn ends(&self, topic: &str) -> Result<HashMap<i32, i64>, KafkaError> {
        let (consumer, topic) = (Arc::clone(&self.consumer), topic.to_owned());
        let partitions: Vec<i32> = self.positions.keys().copied().collect();
        let ask = move || {
            let end = |partition: i32| Ok((partition, consumer.fetch_watermarks(&topic, partition, PATIENCE)?.1));
            partitions.into_iter().map(end).collect()
        };
        tokio::task::spawn_blocking(ask)
            .await
            .unwrap_or(Err(KafkaError::Canceled))
    }

    fn has_reached(&self, ends: &HashMap<i32, i64>) -> bool {
        ends.iter()
            .all(|(partition, end)| self.positions.get(partition).is_some_and(|position| position >= end))
    }
}

/// In milliseconds since 1970, as Kafka has it. Only how many goodbyes are found depends on this clock.
fn a_day_ago() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.saturating_sub(BACK).as_millis()).unwrap_or(0)
}
