//! Real parts, started once for all tests; every test has its own topics and database.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use tapedeck_consumer::batch::Tools;
use tapedeck_consumer::budget::Budget;
use tapedeck_consumer::config::Config;
use tapedeck_consumer::metrics::Metrics;
use tapedeck_consumer::migrate::{TopicPlan, create_topics, migrate_database};
use tapedeck_consumer::publish::{Publisher, Topics};
use tapedeck_consumer::rows::Origin;
use tapedeck_consumer::rules::Rules;
use tapedeck_consumer::service::{self, ServiceError};
use tapedeck_consumer::sink::Sink;
use tapedeck_consumer::telemetry::Traces;
use tapedeck_dev::broker::{Broker, BrokerKind};
use tapedeck_dev::clickhouse::{ClickHouse, ClickHouseKind};
use tapedeck_dev::folder::{Folder, Run, Site};
use tapedeck_dev::progress::Quiet;
use tapedeck_redact::Redactor;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

static STACK: OnceCell<Stack> = OnceCell::const_new();

struct Stack {
    broker: Broker,
    clickhouse: ClickHouse,
    /// The run's folder is in use as long as this is there.
    _run: Run,
}

impl Stack {
    async fn start() -> Self {
        // With RUST_LOG, the consumer's own log beside the tests' output.
        let log = tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env());
        log.with_writer(std::io::stderr).init();
        let folder = Folder::open().expect("a folder for parts");
        let run = folder.run("test-consumer").expect("a folder for this run");
        let site = Site {
            folder: &folder,
            run: &run,
            progress: &Quiet,
        };
        let (broker, clickhouse) = (BrokerKind::choose().0, ClickHouseKind::choose().0);
        let broker = Broker::start(broker, None, site).await.expect("a broker");
        let clickhouse = ClickHouse::start(clickhouse, None, None, site)
            .await
            .expect("ClickHouse");
        Self {
            broker,
            clickhouse,
            _run: run,
        }
    }
}

/// Creates the topic `letters` on a broker, and gives back how to reach it.
pub(crate) async fn create_dead_letter_topic(bootstrap: &str) -> ClientConfig {
    let mut kafka = ClientConfig::new();
    kafka.set("bootstrap.servers", bootstrap);
    let plan = TopicPlan {
        name: "letters".to_owned(),
        partitions: 1,
        replication: 1,
        min_insync_replicas: 1,
        retention: Duration::from_secs(3600),
        max_message_bytes: 1 << 20,
    };
    create_topics(&kafka, &[plan], PATIENCE)
        .await
        .expect("the topic is created");
    kafka
}

/// Topics of one partition and a database of a test's own.
pub(crate) struct Case {
    pub(crate) config: Config,
    pub(crate) sink: Sink,
    pub(crate) kafka: ClientConfig,
    pub(crate) topic: String,
    pub(crate) budget: Budget,
}

impl Case {
    pub(crate) async fn new() -> Self {
        Self::with_partitions(1).await
    }

    /// With topics of more partitions.
    pub(crate) async fn with_partitions(partitions: u32) -> Self {
        let stack = STACK.get_or_init(Stack::start).await;
        let name = format!("t{}", Uuid::now_v7().simple());
        let text = format!(
            "[kafka]\nbrokers = [\"{}\"]\ntopic_prefix = \"{name}\"\ngroup = \"{name}\"\n\
             [clickhouse]\nurl = \"{}\"\ndatabase = \"{name}\"\n[batch]\nevery = \"50ms\"\nlease = \"1s\"\n\
             [topics]\npartitions = {partitions}\nreplication = 1\n",
            stack.broker.bootstrap(),
            stack.clickhouse.url(),
        );
        let config = tapedeck_config::read_text("test.toml", &text, Config::build).expect("a right configuration");
        let sink = Sink::new(&config.clickhouse).expect("a way to ClickHouse");
        migrate_database(sink.client(), &name)
            .await
            .expect("the database is migrated");
        let kafka = config.kafka.client_config();
        let topic = config.kafka.topics.frames().to_owned();
        let case = Self {
            config,
            sink,
            kafka,
            topic,
            budget: Budget::new(1 << 30, std::sync::Arc::default()),
        };
        case.create_topics().await;
        case
    }

    pub(crate) async fn create_topics(&self) {
        let plans = self.config.topic_plans();
        create_topics(&self.kafka, &plans, PATIENCE)
            .await
            .expect("the topics are created");
    }

    /// Deletes the frames' topic and creates it anew, empty.
    pub(crate) async fn recreate_topic(&self) {
        let admin: AdminClient<DefaultClientContext> = self.kafka.create().expect("an admin client");
        let deleted = admin
            .delete_topics(&[&self.topic], &AdminOptions::new())
            .await
            .expect("the topic is deleted");
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        let plans = self.config.topic_plans();
        let deadline = Instant::now() + PATIENCE;
        // The name is free only after the deletion has been carried out.
        while create_topics(&self.kafka, &plans[..1], PATIENCE).await.is_err() || self.end_of_log().await != Some(0) {
            assert!(Instant::now() < deadline, "the topic cannot be created again");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn end_of_log(&self) -> Option<i64> {
        let consumer: BaseConsumer = self.kafka.create().expect("a consumer");
        let topic = self.topic.clone();
        let ends = move || consumer.fetch_watermarks(&topic, 0, Duration::from_secs(5)).ok();
        tokio::task::spawn_blocking(ends)
            .await
            .expect("no panic")
            .map(|(_, end)| end)
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin {
            source: self.config.source.clone(),
            topic: self.topic.clone(),
            partition: 0,
        }
    }

    pub(crate) fn tools(&self) -> Tools {
        let topics = &self.config.kafka.topics;
        let topics = Topics {
            audit: topics.audit().to_owned(),
            dead_letter: topics.deadletter().to_owned(),
            ..Topics::default()
        };
        let publisher = Publisher::new(self.kafka.clone(), topics, PATIENCE);
        Tools {
            sink: self.sink.clone(),
            publisher: publisher.expect("a producer"),
            rules: Rules::fixed(Redactor::new(tapedeck_redact::Config::default()).expect("rules")),
            metrics: std::sync::Arc::default(),
            budget: self.budget.clone(),
            traces: Traces::default(),
            lease: self.config.lease,
            idle: self.config.idle,
            retention: self.config.retention.clone(),
        }
    }

    /// Publishes records to the frames' topic, in order.
    pub(crate) async fn publish(&self, records: &[(Vec<u8>, Vec<u8>)]) {
        let producer: FutureProducer = self.kafka.create().expect("a producer");
        for (key, value) in records {
            let record = FutureRecord::to(&self.topic).key(key).payload(value);
            producer
                .send(record, PATIENCE)
                .await
                .map_err(|(error, _)| error)
                .expect("delivered");
        }
    }

    /// The same, to a partition.
    pub(crate) async fn publish_to(&self, partition: i32, records: &[(Vec<u8>, Vec<u8>)]) {
        let producer: FutureProducer = self.kafka.create().expect("a producer");
        for (key, value) in records {
            let record = FutureRecord::to(&self.topic)
                .partition(partition)
                .key(key)
                .payload(value);
            producer
                .send(record, PATIENCE)
                .await
                .map_err(|(error, _)| error)
                .expect("delivered");
        }
    }

    pub(crate) fn start(&self) -> Service {
        self.start_with(self.config.clone())
    }

    pub(crate) fn start_with(&self, config: Config) -> Service {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(service::run(config, shutdown.clone()));
        Service { shutdown, task }
    }

    /// With figures that the test sees.
    pub(crate) fn start_measured(&self, metrics: Arc<Metrics>) -> Service {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(service::run_with(self.config.clone(), metrics, shutdown.clone()));
        Service { shutdown, task }
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let sql = format!("SELECT toInt64(assumeNotNull(({sql})))");
        self.sink
            .client()
            .query(&sql)
            .fetch_one::<i64>()
            .await
            .expect("a number")
    }

    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        self.sink
            .client()
            .query(sql)
            .fetch_all::<String>()
            .await
            .expect("texts")
    }

    pub(crate) async fn wait_for(&self, sql: &str, expected: i64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let number = self.number(sql).await;
            if number == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{sql} is {number}, not {expected}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The group's committed offset; an error while its coordinator moves.
    pub(crate) async fn committed(&self) -> Result<Option<i64>, KafkaError> {
        let mut config = self.kafka.clone();
        let consumer: BaseConsumer = config.set("group.id", &self.config.group).create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, 0);
        let asked = tokio::task::spawn_blocking(move || consumer.committed_offsets(list, PATIENCE));
        let list = asked.await.expect("no panic")?;
        Ok(match list.elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    }

    /// Waits until the group's committed offset is this.
    pub(crate) async fn wait_for_commit(&self, offset: i64) {
        let deadline = Instant::now() + PATIENCE;
        while self.committed().await != Ok(Some(offset)) {
            assert!(Instant::now() < deadline, "offset {offset} is not committed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All values of a topic's only partition.
    pub(crate) async fn values(&self, topic: &str) -> Vec<Vec<u8>> {
        let mut config = self.kafka.clone();
        let consumer: BaseConsumer = config.set("group.id", "reader").create().expect("a consumer");
        let topic = topic.to_owned();
        let read = move || {
            let (_, end) = consumer
                .fetch_watermarks(&topic, 0, PATIENCE)
                .expect("the ends of the log");
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic, 0, Offset::Beginning)
                .expect("an offset");
            consumer.assign(&list).expect("assigned");
            let mut values = Vec::new();
            while (values.len() as i64) < end {
                let message = consumer.poll(PATIENCE).expect("a record in time").expect("a record");
                values.push(message.payload().unwrap_or_default().to_vec());
            }
            values
        };
        tokio::task::spawn_blocking(read).await.expect("no panic")
    }
}

/// Waits until a consumer's figures have this line.
pub(crate) async fn wait_for_figure(metrics: &Metrics, line: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = metrics.text();
        if text.lines().any(|one| one == line) {
            return;
        }
        assert!(Instant::now() < deadline, "{line} is not in:\n{text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A running consumer.
pub(crate) struct Service {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServiceError>>,
}

impl Service {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("no panic").expect("it ends well");
    }

    /// Waits for it to stop by itself, and gives back its word.
    pub(crate) async fn word(self) -> String {
        let result = tokio::time::timeout(PATIENCE, self.task).await.expect("it stops");
        result
            .expect("no panic")
            .expect_err("it stops with an error")
            .to_string()
    }
}
