//! A proxy and a consumer with topics and a database of their own.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tapedeck_dev::binaries::binaries;
use tapedeck_dev::services::{Consumer, ConsumerOptions, Database, Issuer, Kafka, Proxy, ProxyOptions, Target};
use tokio::process::Command;
use tokio::sync::SemaphorePermit;
use uuid::Uuid;

use crate::client::Client;
use crate::oracle::{calls, table, topic};
use crate::parts::{AUDIENCE, Parts};
use crate::tape::Tape;
use crate::until::until;

/// Few enough that each test's topics are made quickly, and more than one, so that keys spread.
const PARTITIONS: u16 = 3;

/// The longest that a frame waits for others to be inserted with it: a test does not like to wait.
const EVERY: Duration = Duration::from_millis(100);

/// The shortest lease that the consumer takes: it is what a restarted one waits out.
const LEASE: &str = "500ms";

/// How a deck differs from any other.
#[derive(Debug, Clone)]
pub struct DeckOptions {
    /// What is behind the proxy.
    pub targets: Vec<Target>,
    /// What must stand in `aud`; empty means the URLs of the proxy's targets.
    pub audiences: Vec<String>,
    /// Another broker than the shared one: `HOST:PORT`.
    pub brokers: Option<String>,
    /// Another ClickHouse than the shared one: its URL.
    pub clickhouse: Option<String>,
    /// The topics' prefix, where what they may be used for was laid down before. It must be the deck's own.
    pub topic_prefix: Option<String>,
    /// Laid over the proxy's configuration.
    pub proxy: Value,
    /// What the proxy finds in its environment beside what it always does.
    pub proxy_environment: Vec<(String, String)>,
    /// Laid over the consumer's configuration.
    pub consumer: Value,
    /// What the consumer finds in its environment beside what it always does.
    pub consumer_environment: Vec<(String, String)>,
}

impl DeckOptions {
    /// A deck as all the others, with those targets.
    pub fn of(targets: Vec<Target>) -> Self {
        Self {
            targets,
            audiences: vec![AUDIENCE.to_owned()],
            brokers: None,
            clickhouse: None,
            topic_prefix: None,
            proxy: json!({}),
            proxy_environment: Vec::new(),
            consumer: json!({}),
            consumer_environment: Vec::new(),
        }
    }
}

/// A recording in progress. Its processes end when this is dropped.
#[derive(Debug)]
pub struct Deck {
    /// The proxy.
    pub proxy: Proxy,
    /// The consumer.
    pub consumer: Consumer,
    /// Where frames are recorded.
    pub kafka: Kafka,
    /// Where frames are loaded.
    pub database: Database,
    /// The consumer's group.
    pub group: String,
    parts: &'static Parts,
    _turn: SemaphorePermit<'static>,
}

impl Deck {
    /// A deck with those targets.
    ///
    /// # Errors
    /// When one of the services does not get ready; the error quotes its log.
    pub async fn start(parts: &'static Parts, targets: Vec<Target>) -> anyhow::Result<Self> {
        Self::with(parts, DeckOptions::of(targets)).await
    }

    /// A deck like that.
    ///
    /// # Errors
    /// As [`Deck::start`].
    pub async fn with(parts: &'static Parts, options: DeckOptions) -> anyhow::Result<Self> {
        let turn = parts.turns.acquire().await?;
        let id = Uuid::now_v7().simple();
        let kafka = Kafka {
            brokers: options.brokers.unwrap_or_else(|| parts.broker.bootstrap()),
            topic_prefix: options.topic_prefix.unwrap_or_else(|| format!("deck-{id}")),
        };
        let database = Database {
            url: options.clickhouse.unwrap_or_else(|| parts.clickhouse.url()),
            name: format!("deck_{id}"),
            user: "default".to_owned(),
            password: None,
        };
        let group = format!("{}-consumer", kafka.topic_prefix);
        let mut more = json!({ "batch": { "lease": LEASE } });
        merge(&mut more, options.consumer);
        let consumer = Consumer::start(
            &ConsumerOptions {
                admin_port: None,
                kafka: kafka.clone(),
                group: group.clone(),
                database: database.clone(),
                partitions: PARTITIONS,
                every: EVERY,
                more,
                environment: options.consumer_environment,
            },
            parts.site(),
        )
        .await?;
        let issuer = Issuer {
            url: parts.identity.issuer().to_owned(),
            audiences: options.audiences,
            groups_claim: None,
        };
        let proxy = Proxy::start(
            &ProxyOptions {
                port: None,
                admin_port: None,
                kafka: kafka.clone(),
                issuers: vec![issuer],
                targets: options.targets,
                tag_key: None,
                more: options.proxy,
                environment: options.proxy_environment,
            },
            parts.site(),
        )
        .await?;
        Ok(Self {
            proxy,
            consumer,
            kafka,
            database,
            group,
            parts,
            _turn: turn,
        })
    }

    /// A client of that target, signed in as that user.
    ///
    /// # Errors
    /// When the sign-in fails.
    pub async fn client(&self, target: &str, user: &str) -> anyhow::Result<Client> {
        let token = self.parts.token(user).await?;
        Client::bearer(&self.proxy.endpoint(target), token.as_str())
    }

    /// Waits until all that the topic holds now is in ClickHouse.
    ///
    /// # Errors
    /// When it is not there in time.
    pub async fn loaded(&self) -> anyhow::Result<()> {
        loaded(&self.kafka, &self.database).await
    }

    /// Waits until all that the topic holds now is loaded, published and committed.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn settled(&self) -> anyhow::Result<()> {
        self.loaded().await?;
        let frames = self.kafka.frames();
        until(async || topic::lag(&self.kafka.brokers, &frames, &self.group).await).await
    }

    /// Runs the console to its end, as a user would; returns what it prints.
    ///
    /// # Errors
    /// When it fails, with what it says.
    pub async fn console(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(&binaries().await?.console)
            .args(self.database.console_arguments())
            .args(arguments)
            .envs(self.database.console_environment())
            .stdin(Stdio::null())
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "tapedeck {arguments:?} ended with {}: {said}",
            output.status
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What both services have logged so far.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn logs(&self) -> anyhow::Result<String> {
        let services = [self.proxy.service(), self.consumer.service()];
        let logs = services.map(|service| {
            let log = service.child().log().to_owned();
            fs::read_to_string(&log).with_context(|| log.display().to_string())
        });
        logs.into_iter().collect()
    }

    /// Ends the recording: the proxy stops in order, everything is loaded and published, the consumer stops. What is on
    /// record is held against all oracles before anyone sees it.
    ///
    /// # Errors
    /// When it is not all loaded in time, or not sound: names what is wrong.
    pub async fn finish(self) -> anyhow::Result<Tape> {
        self.proxy.service().stop().await;
        self.settled().await?;
        self.consumer.service().stop().await;
        let tape = Tape::read(&self.kafka, &self.database).await?;
        let proof = tape.verify()?;
        calls::verify(&self.database, &tape.rows).await?;
        let writers = tape
            .recorded
            .iter()
            .map(|entry| entry.frame.writer_id)
            .collect::<std::collections::BTreeSet<_>>();
        ensure!(
            proof.stopped >= usize::from(!writers.is_empty()),
            "the proxy did not say goodbye"
        );
        Ok(tape)
    }
}

/// Waits until all that a topic of frames holds now is in a database.
///
/// # Errors
/// When it is not there in time.
pub async fn loaded(kafka: &Kafka, database: &Database) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Held {
        rows: usize,
    }
    let (recorded, undecodable) = topic::frames(&kafka.brokers, &kafka.frames()).await?;
    // A frame that the log has twice is one row.
    let mut identities: Vec<_> = recorded.iter().map(topic::Recorded::identity).collect();
    identities.sort_unstable();
    identities.dedup();
    let expected = identities.len() + undecodable.len();
    until(async || {
        let statement = "SELECT uniqExact(kafka_partition, kafka_offset) AS rows FROM frames";
        let held: Vec<Held> = table::query(database, statement).await?;
        let rows = held.first().map_or(0, |held| held.rows);
        Ok(if rows >= expected {
            Ok(())
        } else {
            Err(format!("{rows} of {expected} frames are in ClickHouse"))
        })
    })
    .await
}

fn merge(settings: &mut Value, over: Value) {
    match (settings, over) {
        (Value::Object(settings), Value::Object(over)) => {
            for (key, value) in over {
                merge(settings.entry(key).or_insert(Value::Null), value);
            }
        }
        (settings, over) => *settings = over,
    }
}
