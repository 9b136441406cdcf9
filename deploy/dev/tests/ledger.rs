//! The ledger must notice whatever is missing: tested on a real broker and a real ClickHouse, with rows of our own making.

use std::time::Duration;

use clickhouse::Row;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::Serialize;
use tapedeck_dev::broker::{Broker, BrokerKind};
use tapedeck_dev::clickhouse::{ClickHouse, ClickHouseKind};
use tapedeck_dev::folder::{Folder, Run, Site};
use tapedeck_dev::ledger::{Conversation, Ledger, LedgerError};
use tapedeck_dev::progress::Quiet;
use tapedeck_dev::services::{Database, Kafka};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// What the frames of a test say: one request, two answers of which one has two parts, a seal without a session.
const CONVERSATION: Conversation = Conversation { sent: 1, received: 2 };

const SOON: Duration = Duration::from_secs(20);

struct Parts {
    broker: Broker,
    clickhouse: ClickHouse,
    _run: Run,
}

async fn parts() -> &'static Parts {
    static PARTS: OnceCell<Parts> = OnceCell::const_new();
    let start = || async {
        let folder = Folder::open().expect("a workspace");
        let run = folder.run("test-ledger").expect("a run");
        let site = Site {
            folder: &folder,
            run: &run,
            progress: &Quiet,
        };
        let broker = Broker::start(BrokerKind::Apache, None, site).await.expect("a broker");
        let (kind, _) = ClickHouseKind::choose();
        let clickhouse = ClickHouse::start(kind, None, None, site).await.expect("ClickHouse");
        Parts {
            broker,
            clickhouse,
            _run: run,
        }
    };
    PARTS.get_or_init(start).await
}

#[derive(Debug, Clone, Row, Serialize)]
struct Frame {
    kafka_topic: String,
    kafka_partition: i32,
    kafka_offset: i64,
    #[serde(with = "clickhouse::serde::uuid")]
    segment_id: Uuid,
    seq: i64,
    verdict: String,
    kind: String,
    direction: String,
    rpc_kind: String,
    part_last: bool,
    #[serde(with = "clickhouse::serde::uuid")]
    session_id: Uuid,
    session_start: i64,
}

/// A topic with five records and the rows that belong to them, none of them loaded yet.
struct Case {
    ledger: Ledger,
    client: clickhouse::Client,
    frames: Vec<Frame>,
}

impl Case {
    async fn new(name: &str) -> Self {
        let Parts { broker, clickhouse, .. } = parts().await;
        let kafka = Kafka {
            brokers: broker.bootstrap(),
            topic_prefix: name.to_owned(),
        };
        let settings = || ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).clone();
        let admin: AdminClient<DefaultClientContext> = settings().create().expect("an admin client");
        let topic = kafka.frames();
        let plan = NewTopic::new(&topic, 2, TopicReplication::Fixed(1));
        let created = admin
            .create_topics([&plan], &AdminOptions::new())
            .await
            .expect("an answer");
        assert!(created.iter().all(Result::is_ok), "{created:?}");
        let producer: FutureProducer = settings().create().expect("a producer");
        for partition in [0, 0, 0, 0, 1] {
            let record = FutureRecord::<(), _>::to(&topic)
                .partition(partition)
                .payload("a frame");
            producer.send(record, SOON).await.expect("delivered");
        }

        let database = Database {
            url: clickhouse.url(),
            name: name.to_owned(),
            user: "default".to_owned(),
            password: None,
        };
        let server = database.client().with_database("default");
        server
            .query(&format!("CREATE DATABASE {name}"))
            .execute()
            .await
            .expect("a database");
        let client = database.client();
        let table = "CREATE TABLE frames (kafka_topic String, kafka_partition Int32, kafka_offset Int64, segment_id UUID, \
                     seq Int64, verdict String, kind String, direction String, rpc_kind String, part_last Bool, \
                     session_id UUID, session_start DateTime64(6)) ENGINE = MergeTree ORDER BY seq";
        client.query(table).execute().await.expect("a table");
        Self {
            ledger: Ledger::new(&kafka, &database),
            client,
            frames: frames(&topic),
        }
    }

    async fn load(&self, frames: &[Frame]) {
        let mut insert = self.client.insert::<Frame>("frames").await.expect("an insert");
        for frame in frames {
            insert.write(frame).await.expect("written");
        }
        insert.end().await.expect("inserted");
    }

    async fn differs(&self) -> String {
        match self.ledger.settle(CONVERSATION, Duration::ZERO).await {
            Err(LedgerError::Differs { differs, .. }) => differs,
            other => panic!("nothing was noticed: {other:?}"),
        }
    }
}

fn frames(topic: &str) -> Vec<Frame> {
    let (session, one, two) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let frame = |partition, offset, segment, seq| Frame {
        kafka_topic: topic.to_owned(),
        kafka_partition: partition,
        kafka_offset: offset,
        segment_id: segment,
        seq,
        verdict: "intact".to_owned(),
        kind: "message".to_owned(),
        direction: "to_client".to_owned(),
        rpc_kind: "response".to_owned(),
        part_last: true,
        session_id: session,
        session_start: 1,
    };
    let mut frames: Vec<Frame> = (0..4).map(|offset| frame(0, offset, one, offset)).collect();
    frames[0].direction = "to_target".to_owned();
    frames[1].part_last = false;
    frames.push(Frame {
        kind: "segment_sealed".to_owned(),
        session_id: Uuid::nil(),
        ..frame(1, 0, two, 0)
    });
    frames
}

#[tokio::test]
async fn a_session_that_is_whole_settles() {
    let case = Case::new("whole").await;
    case.load(&case.frames).await;
    let account = case.ledger.settle(CONVERSATION, SOON).await.expect("settled");
    assert_eq!(
        (account.session, account.frames, account.segments),
        (case.frames[0].session_id, 5, 2)
    );
}

#[tokio::test]
async fn it_waits_for_what_is_loaded_late() {
    let case = Case::new("late").await;
    case.load(&case.frames[..3]).await;
    let rest = async {
        assert!(case.differs().await.contains("partition 0"));
        case.load(&case.frames[3..]).await;
    };
    let (settled, ()) = tokio::join!(case.ledger.settle(CONVERSATION, SOON), rest);
    settled.expect("settled");
}

#[tokio::test]
async fn a_frame_that_is_missing_is_noticed() {
    let case = Case::new("missing").await;
    case.load(&[&case.frames[..1], &case.frames[2..]].concat()).await;
    assert!(case.differs().await.contains("partition 0 holds 4 frames"));
}

#[tokio::test]
async fn a_partition_that_was_never_loaded_is_noticed() {
    let case = Case::new("partition").await;
    case.load(&case.frames[..4]).await;
    assert!(case.differs().await.contains("partition 1 holds 1 frames"));
}

#[tokio::test]
async fn a_hole_in_a_segment_is_noticed() {
    let case = Case::new("hole").await;
    let mut frames = case.frames.clone();
    frames[3].seq = 4;
    case.load(&frames).await;
    assert!(case.differs().await.contains("1 of 2 segments are not dense"));
}

#[tokio::test]
async fn a_frame_that_does_not_fit_its_hash_is_noticed() {
    let case = Case::new("forged").await;
    let mut frames = case.frames.clone();
    frames[2].verdict = "tampered".to_owned();
    case.load(&frames).await;
    assert!(case.differs().await.contains("1 frames do not fit their hash"));
}

#[tokio::test]
async fn a_conversation_that_the_client_did_not_hold_is_noticed() {
    let case = Case::new("conversation").await;
    let mut frames = case.frames.clone();
    frames[3].rpc_kind = "none".to_owned();
    case.load(&frames).await;
    assert!(
        case.differs()
            .await
            .contains("the session's Conversation { sent: 1, received: 1 }")
    );
}
