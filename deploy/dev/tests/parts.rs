//! The parts themselves: what they keep over a hard end, and that they never outlive who started them.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Message, Offset, TopicPartitionList};
use secrecy::SecretString;
use tapedeck_dev::binaries::binaries;
use tapedeck_dev::broker::{Broker, BrokerKind};
use tapedeck_dev::clickhouse::{ClickHouse, ClickHouseKind, Login, answers};
use tapedeck_dev::folder::{Folder, Run, Site};
use tapedeck_dev::progress::Quiet;

const TOPIC: &str = "kept";

const SOON: Duration = Duration::from_secs(60);

fn ground(name: &str) -> (Folder, Run) {
    let folder = Folder::open().expect("the workspace's folder");
    let run = folder.run(name).expect("a run");
    (folder, run)
}

async fn keeps_an_acknowledged_message_over_a_hard_end(kind: BrokerKind) {
    let (folder, run) = ground("test-parts");
    let broker = Broker::start(
        kind,
        None,
        Site {
            folder: &folder,
            run: &run,
            progress: &Quiet,
        },
    )
    .await
    .expect("started");
    let bootstrap = broker.bootstrap();
    create_topic(&bootstrap).await;
    let first = produce(&bootstrap, "before").await;
    broker.kill();
    broker.restart().await.expect("restarted");
    assert_eq!(broker.bootstrap(), bootstrap);
    let second = produce(&bootstrap, "after").await;
    assert_eq!((first, second), (0, 1));
    let read = tokio::task::spawn_blocking(move || consume(&bootstrap, 2))
        .await
        .expect("no panic");
    assert_eq!(read, ["before", "after"]);
    let status = broker.stop().await;
    assert_ne!(status.signal(), Some(9), "it had to be killed");
}

async fn create_topic(bootstrap: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .expect("an admin client");
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    let results = admin
        .create_topics([&topic], &AdminOptions::new().operation_timeout(Some(SOON)))
        .await;
    for result in results.expect("an answer") {
        result.expect("created");
    }
}

/// Returns the offset that the broker acknowledged.
async fn produce(bootstrap: &str, payload: &str) -> i64 {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .create()
        .expect("a producer");
    let record = FutureRecord::<(), str>::to(TOPIC).payload(payload);
    producer.send(record, SOON).await.expect("acknowledged").offset
}

fn consume(bootstrap: &str, count: usize) -> Vec<String> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset(TOPIC, 0, Offset::Beginning)
        .expect("an offset");
    consumer.assign(&partitions).expect("assigned");
    let read = |_| {
        let message = consumer.poll(SOON).expect("a message in time").expect("no error");
        String::from_utf8(message.payload().expect("a payload").to_vec()).expect("text")
    };
    (0..count).map(read).collect()
}

#[tokio::test]
async fn apache_kafka_keeps_an_acknowledged_message_over_a_hard_end() {
    keeps_an_acknowledged_message_over_a_hard_end(BrokerKind::Apache).await;
}

#[tokio::test]
async fn the_embedded_broker_keeps_an_acknowledged_message_over_a_hard_end() {
    keeps_an_acknowledged_message_over_a_hard_end(BrokerKind::Embedded).await;
}

#[tokio::test]
async fn clickhouse_keeps_rows_over_a_clean_end_and_a_hard_one() {
    let (folder, run) = ground("test-parts");
    let site = Site {
        folder: &folder,
        run: &run,
        progress: &Quiet,
    };
    let server = ClickHouse::start(ClickHouseKind::choose().0, None, None, site)
        .await
        .expect("started");
    let client = clickhouse::Client::default().with_url(server.url());
    let execute = async |sql: &str| client.query(sql).execute().await.expect("executed");
    execute("CREATE DATABASE kept").await;
    execute("CREATE TABLE kept.rows (n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS fsync_after_insert = 1").await;
    execute("INSERT INTO kept.rows VALUES (1)").await;
    let status = server.stop().await;
    assert!(status.success(), "not a clean end: {status}");
    server.restart().await.expect("restarted");
    execute("INSERT INTO kept.rows VALUES (2)").await;
    server.kill();
    server.restart().await.expect("restarted");
    let rows = client
        .query("SELECT n FROM kept.rows ORDER BY n")
        .fetch_all::<u64>()
        .await
        .expect("rows");
    assert_eq!(rows, [1, 2]);
}

#[tokio::test]
async fn clickhouse_with_a_login_shows_no_row_without_the_password() {
    let (folder, run) = ground("test-parts");
    let site = Site {
        folder: &folder,
        run: &run,
        progress: &Quiet,
    };
    let login = Login {
        user: "loader".to_owned(),
        password: SecretString::from("a password"),
    };
    let wrong = Login {
        password: SecretString::from("another"),
        ..login.clone()
    };
    let server = ClickHouse::start(ClickHouseKind::choose().0, None, Some(login), site)
        .await
        .expect("started");
    answers(&server.url(), Some(&wrong))
        .await
        .expect_err("a wrong password");

    let nobody = clickhouse::Client::default().with_url(server.url());
    let loader = nobody.clone().with_user("loader").with_password("a password");
    loader.query("CREATE DATABASE closed").execute().await.expect("created");
    loader
        .query("CREATE VIEW closed.rows AS SELECT toUInt8(7) AS n")
        .execute()
        .await
        .expect("created");
    let select = "SELECT n FROM closed.rows";
    assert_eq!(loader.query(select).fetch_one::<u8>().await.expect("a row"), 7);
    nobody
        .query(select)
        .fetch_one::<u8>()
        .await
        .expect_err("a row for nobody");
}

#[tokio::test]
async fn no_part_survives_a_hard_end_of_who_started_it() {
    let program = &binaries().await.expect("built").dev;
    for part in ["clickhouse", "embedded"] {
        let mut parent = Command::new(program)
            .args(["part", part])
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut line = String::new();
        BufReader::new(parent.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("its address");
        let child: u32 = line
            .split(['(', ')'])
            .nth(1)
            .and_then(|text| text.rsplit(' ').next()?.parse().ok())
            .expect("an id");
        assert!(lives(child), "{part} does not run");
        parent.kill().expect("killed");
        parent.wait().expect("reaped");
        // The kernel has sent the signal; who is killed is gone a moment later.
        let deadline = Instant::now() + SOON;
        while lives(child) {
            assert!(Instant::now() < deadline, "{part} outlived who started it");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Whether a process has that id, and is not merely waiting to be reaped.
fn lives(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| {
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| !rest.trim_start().starts_with('Z'))
    })
}
