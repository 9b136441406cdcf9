//! Brokers, topics, and what is in them.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::registry::Registry;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tapedeck_dev::broker::{Broker, BrokerKind};
use tapedeck_dev::folder::{Folder, Run, Site};
use tapedeck_dev::progress::Quiet;
use tapedeck_proxy::record::{Draft, Recorder, RecorderSettings, Topics};
use tapedeck_schemas::{Control, Direction, Frame, Kind, SessionKey, wire};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use uuid::Uuid;

/// Longer than anything takes that succeeds.
pub(crate) const SOON: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 3;

/// One runtime, for the broker that the tests share outlives each of them.
pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static SHARED: OnceCell<Cluster> = OnceCell::const_new();

/// A broker and the folder that it runs in.
pub(crate) struct Cluster {
    pub(crate) broker: Broker,
    _run: Run,
}

/// The broker of all tests that leave it alone.
pub(crate) async fn shared() -> &'static Cluster {
    SHARED.get_or_init(|| Cluster::start(BrokerKind::Apache)).await
}

impl Cluster {
    pub(crate) async fn start(kind: BrokerKind) -> Self {
        let folder = Folder::open().expect("the workspace's folder");
        let run = folder.run("test-recorder").expect("a run");
        let site = Site {
            folder: &folder,
            run: &run,
            progress: &Quiet,
        };
        let broker = Broker::start(kind, None, site).await.expect("a broker");
        Self { broker, _run: run }
    }

    /// Names of topics that nothing else uses; they do not exist yet.
    pub(crate) fn names() -> Topics {
        let id = Uuid::now_v7().simple();
        Topics {
            frames: format!("frames.{id}"),
            control: format!("control.{id}"),
        }
    }

    pub(crate) async fn topics(&self) -> Topics {
        let topics = Self::names();
        self.create(&topics).await;
        topics
    }

    pub(crate) async fn create(&self, topics: &Topics) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("an admin client");
        for name in [&topics.frames, &topics.control] {
            let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
            let results = admin
                .create_topics([&topic], &AdminOptions::new().operation_timeout(Some(SOON)))
                .await;
            for result in results.expect("an answer") {
                result.expect("created");
            }
        }
    }

    pub(crate) fn settings(&self, topics: &Topics, message_timeout: Duration) -> RecorderSettings {
        RecorderSettings {
            brokers: self.broker.bootstrap(),
            options: Default::default(),
            topics: topics.clone(),
            framings: Default::default(),
            message_timeout,
            instance: "test".to_owned(),
            spool: None,
        }
    }

    pub(crate) fn recorder(&self, topics: &Topics, message_timeout: Duration) -> Recorder {
        let settings = self.settings(topics, message_timeout);
        Recorder::start(settings, &mut Registry::default()).expect("it starts")
    }

    /// Every frame in the topic, partition by partition.
    pub(crate) async fn frames(&self, topics: &Topics) -> Vec<Frame> {
        let records = self.read(topics.frames.clone()).await;
        let decode = |record: &Vec<u8>| wire::decode_frame(record).expect("a frame");
        records.iter().map(decode).collect()
    }

    /// Every statement in the topic.
    pub(crate) async fn statements(&self, topics: &Topics) -> Vec<Control> {
        let records = self.read(topics.control.clone()).await;
        let decode = |record: &Vec<u8>| wire::decode_control(record).expect("a statement");
        records.iter().map(decode).collect()
    }

    async fn read(&self, topic: String) -> Vec<Vec<u8>> {
        let client = self.client();
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client
                .clone()
                .set("group.id", "unused")
                .set("enable.auto.commit", "false")
                .create()
                .expect("a consumer");
            (0..PARTITIONS)
                .flat_map(|partition| read_partition(&consumer, &topic, partition))
                .collect()
        })
        .await
        .expect("no panic")
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.broker.bootstrap());
        config
    }
}

fn read_partition(consumer: &BaseConsumer, topic: &str, partition: i32) -> Vec<Vec<u8>> {
    let (low, high) = consumer.fetch_watermarks(topic, partition, SOON).expect("watermarks");
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(topic, partition, Offset::Beginning)
        .expect("an offset");
    consumer.assign(&assignment).expect("assigned");
    let mut records = Vec::new();
    let mut next = low;
    while next < high {
        let message = consumer.poll(SOON).expect("a message in time").expect("no error");
        next = message.offset() + 1;
        records.push(message.payload().expect("a value").to_vec());
    }
    records
}

/// A message of the caller with this name.
pub(crate) fn message(recorder: &Recorder, caller: &str, payload: &str) -> Draft {
    let frame = Frame {
        exchange_id: Uuid::now_v7(),
        session_key: SessionKey::of_principal("", "https://issuer", caller, None, "demo"),
        target: "demo".to_owned(),
        kind: Kind::Message,
        direction: Direction::ToTarget,
        ..Frame::default()
    };
    recorder.draft(frame, Some(Bytes::copy_from_slice(payload.as_bytes())))
}
