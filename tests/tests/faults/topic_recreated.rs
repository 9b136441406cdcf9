//! The topic is deleted and created again: other records stand where the loaded ones stood.
//!
//! On Apache Kafka only: what the embedded broker answers after a topic was deleted crashes librdkafka.

use std::time::Duration;

use anyhow::{anyhow, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tapedeck_tests::sample::{Recording, publish};

use tapedeck_tests::faults::loader::Watched;
use tapedeck_tests::faults::stage::{Scene, Stage, on_stage};

/// Calls before the topic is deleted.
const BEFORE: usize = 50;

/// How many calls the new topic gets: the log then ends before, or after, what was loaded.
#[derive(Debug, Clone, Copy)]
enum New {
    Shorter,
    Longer,
}

impl New {
    fn calls(self) -> usize {
        match self {
            Self::Shorter => BEFORE / 5,
            Self::Longer => BEFORE * 2,
        }
    }
}

#[test]
fn a_topic_recreated_while_the_consumer_runs_stops_it() -> anyhow::Result<()> {
    on_stage(async |stage| while_it_runs(stage, "recreated_running", New::Shorter).await)
}

#[test]
fn a_topic_recreated_and_outgrown_while_the_consumer_runs_stops_it() -> anyhow::Result<()> {
    on_stage(async |stage| while_it_runs(stage, "recreated_running_outgrown", New::Longer).await)
}

#[test]
fn a_topic_recreated_while_the_consumer_is_down_stops_it_at_its_start() -> anyhow::Result<()> {
    on_stage(async |stage| while_it_is_down(stage, "recreated_down", New::Shorter).await)
}

#[test]
fn a_topic_recreated_and_outgrown_while_the_consumer_is_down_stops_it_at_its_start() -> anyhow::Result<()> {
    on_stage(async |stage| while_it_is_down(stage, "recreated_down_outgrown", New::Longer).await)
}

async fn while_it_runs(stage: &Stage, name: &str, new: New) -> anyhow::Result<()> {
    let scene = Scene::set(stage, name, stage.broker().await?, stage.clickhouse().await?).await?;
    let consumer = scene.loader.start(None)?;
    record(&scene, BEFORE).await?;
    scene.settled().await?;
    recreate(&scene).await?;
    record(&scene, new.calls()).await?;
    stops(&scene, consumer).await
}

async fn while_it_is_down(stage: &Stage, name: &str, new: New) -> anyhow::Result<()> {
    let scene = Scene::set(stage, name, stage.broker().await?, stage.clickhouse().await?).await?;
    let consumer = scene.loader.start(None)?;
    record(&scene, BEFORE).await?;
    scene.settled().await?;
    ensure!(consumer.stop().await?.success(), "the consumer did not end well");
    recreate(&scene).await?;
    record(&scene, new.calls()).await?;
    stops(&scene, scene.loader.start(None)?).await
}

/// It ends by itself, says why, and has loaded nothing of the new topic; started again, it does the same.
async fn stops(scene: &Scene, consumer: Watched) -> anyhow::Result<()> {
    for consumer in [Some(consumer), None] {
        let consumer = match consumer {
            Some(consumer) => consumer,
            None => scene.loader.start(None)?,
        };
        let (status, trace) = consumer.ended().await?;
        ensure!(
            status.code().is_some_and(|code| code != 0),
            "the consumer ended with {status}"
        );
        let said = trace.tail();
        ensure!(
            said.contains("was recreated"),
            "the consumer does not say why it stopped:\n{said}"
        );
        let rows: u64 = scene
            .database
            .client()
            .query("SELECT count() FROM frames")
            .fetch_one()
            .await?;
        ensure!(
            rows == 1 + 2 * BEFORE as u64,
            "{rows} rows are loaded: some of the new topic's, or not all of the old one's"
        );
    }
    Ok(())
}

/// One caller's calls, a new one's each time.
async fn record(scene: &Scene, calls: usize) -> anyhow::Result<()> {
    let (brokers, topic) = (scene.kafka.brokers.clone(), scene.kafka.frames());
    let publish = move || {
        let mut recording = Recording::of("caller");
        let mut records = vec![recording.opened()];
        records.extend((0..calls).flat_map(|_| recording.call(200)));
        publish(&brokers, &topic, records.into_iter())
    };
    tokio::task::spawn_blocking(publish).await??;
    Ok(())
}

async fn recreate(scene: &Scene) -> anyhow::Result<()> {
    let topic = scene.kafka.frames();
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &scene.kafka.brokers)
        .create()?;
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    let refused = |(topic, code)| anyhow!("{topic}: {code}");
    for deleted in admin.delete_topics(&[&topic], &options).await? {
        deleted.map_err(refused)?;
    }
    let new = NewTopic::new(&topic, 2, TopicReplication::Fixed(1));
    for created in admin.create_topics([&new], &options).await? {
        created.map_err(refused)?;
    }
    Ok(())
}
