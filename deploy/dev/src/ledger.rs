//! Compares what was recorded in Kafka with what was loaded into ClickHouse: whether every frame is there.

use std::collections::BTreeMap;
use std::time::Duration;

use clickhouse::Row;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use serde::Deserialize;
use thiserror::Error;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::services::{Database, Kafka};

/// How long one question to Kafka may take.
const REQUEST: Duration = Duration::from_secs(10);

/// How often both sides are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The two sides could not be compared, or differ.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// Kafka did not say what it holds.
    #[error("cannot ask Kafka what it holds: {0}")]
    Kafka(#[from] KafkaError),
    /// ClickHouse did not say what it holds.
    #[error("cannot ask ClickHouse what it holds: {0}")]
    ClickHouse(#[from] clickhouse::error::Error),
    /// The question to Kafka was interrupted.
    #[error("cannot ask Kafka what it holds: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
    /// Something is missing, or too much, after the time given.
    #[error("not every frame is in ClickHouse after {within:?}: {differs}")]
    Differs {
        /// How long there was to load it.
        within: Duration,
        /// What differs.
        differs: String,
    },
}

/// What a client knows it said and heard in one session, in JSON-RPC messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversation {
    /// Messages that it sent.
    pub sent: u64,
    /// Messages that it received.
    pub received: u64,
}

/// What both sides agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The latest session.
    pub session: Uuid,
    /// Frames in the topic, each of them in ClickHouse.
    pub frames: u64,
    /// Segments, each dense from its first frame on.
    pub segments: u64,
}

/// The offsets that a partition holds: from the first to before the second.
type Marks = BTreeMap<i32, (i64, i64)>;

#[derive(Debug, Row, Deserialize)]
struct Loaded {
    kafka_partition: i32,
    records: u64,
    next: i64,
}

#[derive(Debug, Row, Deserialize)]
struct Chains {
    segments: u64,
    broken: u64,
    suspect: u64,
}

#[derive(Debug, Row, Deserialize)]
struct Session {
    #[serde(with = "clickhouse::serde::uuid")]
    session_id: Uuid,
    sent: u64,
    received: u64,
}

/// A topic of frames and the database that it is loaded into.
#[derive(Debug, Clone)]
pub struct Ledger {
    kafka: Kafka,
    database: Database,
}

impl Ledger {
    /// The topic of frames at `kafka`, and `database`.
    pub fn new(kafka: &Kafka, database: &Database) -> Self {
        Self {
            kafka: kafka.clone(),
            database: database.clone(),
        }
    }

    /// Waits until all that the topic holds is in ClickHouse, and the latest session holds the whole conversation.
    ///
    /// # Errors
    /// When that is not so `within` that time, says what differs; or when one of the two does not answer.
    pub async fn settle(&self, conversation: Conversation, within: Duration) -> Result<Account, LedgerError> {
        let deadline = Instant::now() + within;
        loop {
            match self.compare(conversation).await? {
                Ok(account) => return Ok(account),
                Err(differs) if Instant::now() >= deadline => return Err(LedgerError::Differs { within, differs }),
                Err(_) => sleep(LOOK).await,
            }
        }
    }

    async fn compare(&self, conversation: Conversation) -> Result<Result<Account, String>, LedgerError> {
        let marks = self.marks().await?;
        let (loaded, chains, session) = (self.loaded().await?, self.chains().await?, self.session().await?);
        let frames = marks.values().map(|(from, to)| to.abs_diff(*from)).sum();
        for (partition, (from, to)) in &marks {
            let expected = to.abs_diff(*from);
            let found = loaded.iter().find(|loaded| loaded.kafka_partition == *partition);
            let (records, next) = found.map_or((0, *from), |found| (found.records, found.next));
            if expected > 0 && (records != expected || next != *to) {
                return Ok(Err(format!(
                    "partition {partition} holds {expected} frames up to offset {to}, and {records} up to {next} are loaded"
                )));
            }
        }
        if chains.broken > 0 {
            return Ok(Err(format!(
                "{} of {} segments are not dense",
                chains.broken, chains.segments
            )));
        }
        if chains.suspect > 0 {
            return Ok(Err(format!(
                "{} frames do not fit their hash, or could not be decoded",
                chains.suspect
            )));
        }
        let Some(session) = session else {
            return Ok(Err("there is no session".to_owned()));
        };
        let recorded = Conversation {
            sent: session.sent,
            received: session.received,
        };
        if recorded != conversation {
            return Ok(Err(format!(
                "the client's conversation is {conversation:?}, the session's {recorded:?}"
            )));
        }
        Ok(Ok(Account {
            session: session.session_id,
            frames,
            segments: chains.segments,
        }))
    }

    async fn marks(&self) -> Result<Marks, LedgerError> {
        let (brokers, topic) = (self.kafka.brokers.clone(), self.kafka.frames());
        let ask = move || {
            let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &brokers).create()?;
            let metadata = consumer.fetch_metadata(Some(&topic), REQUEST)?;
            let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
            let mark = |partition: i32| Ok((partition, consumer.fetch_watermarks(&topic, partition, REQUEST)?));
            partitions
                .map(|partition| mark(partition.id()))
                .collect::<Result<Marks, KafkaError>>()
        };
        // librdkafka blocks while it waits for the answer.
        Ok(tokio::task::spawn_blocking(ask).await??)
    }

    async fn loaded(&self) -> Result<Vec<Loaded>, LedgerError> {
        let statement = "SELECT kafka_partition, uniqExact(kafka_offset) AS records, max(kafka_offset) + 1 AS next \
                         FROM frames WHERE kafka_topic = ? GROUP BY kafka_partition";
        Ok(self
            .database
            .client()
            .query(statement)
            .bind(self.kafka.frames())
            .fetch_all()
            .await?)
    }

    async fn chains(&self) -> Result<Chains, LedgerError> {
        let statement = "SELECT count() AS segments, countIf(first != 0 OR frames != last + 1) AS broken, \
                                sum(doubted) AS suspect \
                         FROM (SELECT uniqExact(seq) AS frames, min(seq) AS first, max(seq) AS last, \
                                      countIf(verdict != 'intact') AS doubted \
                               FROM frames WHERE kafka_topic = ? GROUP BY segment_id)";
        Ok(self
            .database
            .client()
            .query(statement)
            .bind(self.kafka.frames())
            .fetch_one()
            .await?)
    }

    /// The session that began last, with its complete JSON-RPC messages.
    async fn session(&self) -> Result<Option<Session>, LedgerError> {
        let statement = "SELECT session_id, countIf(direction = 'to_target') AS sent, \
                                countIf(direction = 'to_client') AS received \
                         FROM frames WHERE kafka_topic = ? AND kind = 'message' AND rpc_kind != 'none' AND part_last \
                         AND session_id != toUUID('00000000-0000-0000-0000-000000000000') \
                         GROUP BY session_id ORDER BY max(session_start) DESC LIMIT 1";
        Ok(self
            .database
            .client()
            .query(statement)
            .bind(self.kafka.frames())
            .fetch_optional()
            .await?)
    }
}
