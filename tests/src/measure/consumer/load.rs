//! One topic loaded once into a database of its own, by one of the contenders.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use serde_json::json;
use tapedeck_dev::process::Child;
use tapedeck_dev::services::{Consumer, Database};
use url::Url;

use super::engine;
use super::topic::Topic;
use crate::measure::parts::Parts;
use crate::measure::usage::{peak_memory, processor_time};

/// Longer than loading takes anywhere.
const PATIENCE: Duration = Duration::from_secs(900);

/// How often it is looked how far loading is.
const LOOK: Duration = Duration::from_millis(50);

/// How often it is looked whether loading begins.
const WATCH: Duration = Duration::from_millis(2);

/// The rate is that up to here: the last, partial batch waits for its time to come, which says nothing of speed.
const MOST: f64 = 0.9;

/// Who loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::measure) enum Contender {
    /// ClickHouse's Kafka engine, into `frames` alone.
    Engine,
    /// The same, into `frames` with all that is made of it: sessions, calls and the rest.
    EngineAndViews,
    /// The consumer with all that is made of `frames`, and redaction switched off.
    Plain,
    /// The consumer as it is by default.
    Redacting,
}

impl Contender {
    /// All of them, in their turns.
    pub(super) const ALL: [Self; 4] = [Self::Engine, Self::EngineAndViews, Self::Plain, Self::Redacting];

    /// What the table calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Engine => "Kafka engine",
            Self::EngineAndViews => "Kafka engine, all views",
            Self::Plain => "consumer, redaction off",
            Self::Redacting => "consumer",
        }
    }
}

/// What a load is to be like.
#[derive(Clone, Copy, Debug)]
pub(in crate::measure) struct Way<'a> {
    pub(in crate::measure) contender: Contender,
    /// ClickHouse merges parts meanwhile.
    pub(in crate::measure) merges: bool,
    /// Where the schemas are that the topic's records name, if they name any by a registry's id.
    pub(in crate::measure) registry: Option<&'a Url>,
}

/// What it gave.
#[derive(Clone, Copy, Debug)]
pub(in crate::measure) struct Loaded {
    /// Frames.
    pub(in crate::measure) per_second: f64,
    /// Processor time of the consumer, microseconds a frame; 0 for the Kafka engine.
    pub(in crate::measure) loader: f64,
    /// That of ClickHouse.
    pub(in crate::measure) clickhouse: f64,
    /// The most memory that the consumer held, MiB; 0 for the Kafka engine.
    pub(in crate::measure) peak: f64,
}

impl Loaded {
    /// Processor time of both, microseconds a frame.
    pub(in crate::measure) fn both(&self) -> f64 {
        self.loader + self.clickhouse
    }
}

/// Loads a topic into an empty database, and looks whether every frame is there once.
pub(in crate::measure) async fn load(
    parts: &Parts,
    topic: &Topic,
    database: &Database,
    way: Way<'_>,
) -> anyhow::Result<Loaded> {
    let loaded = match way.contender {
        Contender::Engine | Contender::EngineAndViews => by_engine(parts, topic, database, way).await?,
        Contender::Plain | Contender::Redacting => by_consumer(parts, topic, database, way).await?,
    };
    let (rows, distinct) = counted(database).await?;
    ensure!(
        rows == topic.frames && distinct == topic.frames,
        "{}: {rows} rows of {distinct} records are loaded, {} were recorded",
        way.contender.name(),
        topic.frames
    );
    Ok(loaded)
}

/// Removes a database, so that its merges disturb nobody.
pub(in crate::measure) async fn remove(database: &Database) -> anyhow::Result<()> {
    let drop = format!("DROP DATABASE {} SYNC", database.name);
    Ok(database
        .client()
        .with_database("default")
        .query_raw(&drop)
        .execute()
        .await?)
}

async fn by_consumer(parts: &Parts, topic: &Topic, database: &Database, way: Way<'_>) -> anyhow::Result<Loaded> {
    let consumer = consumer(parts, topic, database, way).await?;
    let process = consumer.service().child();
    // A consumer that takes a partition over waits for as long as a lease: nothing is loaded yet.
    if !way.merges {
        stop_merges(database).await?;
    }
    let (clickhouse, waited) = (parts.clickhouse.child().id(), Instant::now());
    // What both do meanwhile, and questions how far it is, are no part of loading.
    let began = loop {
        match taken_over(&process) {
            Ok(began) => break began,
            Err(_) if waited.elapsed() < PATIENCE => tokio::time::sleep(WATCH).await,
            Err(error) => return Err(error),
        }
    };
    let before = (processor_time(process.id())?, processor_time(clickhouse)?);
    let (most, rows) = until_most(database, topic.frames).await?;
    let took = most.duration_since(began)?;
    let after = (processor_time(process.id())?, processor_time(clickhouse)?);
    let peak = peak_memory(process.id())?;
    consumer.service().stop().await;
    let each = |used: Duration| used.as_secs_f64() * 1e6 / topic.frames as f64;
    Ok(Loaded {
        per_second: rows as f64 / took.as_secs_f64(),
        loader: each(after.0.saturating_sub(before.0)),
        clickhouse: each(after.1.saturating_sub(before.1)),
        peak,
    })
}

async fn consumer(parts: &Parts, topic: &Topic, database: &Database, way: Way<'_>) -> anyhow::Result<Consumer> {
    let mut more = json!({});
    if way.contender == Contender::Plain {
        more["redaction"] = json!({ "enabled": false });
    }
    if let Some(registry) = way.registry {
        more["schema_registry"] = json!({ "url": registry.as_str() });
    }
    parts.consumer_with(&topic.kafka, database, 1, more).await
}

async fn by_engine(parts: &Parts, topic: &Topic, database: &Database, way: Way<'_>) -> anyhow::Result<Loaded> {
    let registry = way.registry.context("the Kafka engine reads Avro by a registry only")?;
    // Tables as the consumer has them, and no consumer.
    parts.migrate(&parts.kafka("measure-engine"), database, 1).await?;
    if way.contender == Contender::Engine {
        remove_views(database).await?;
    }
    if !way.merges {
        stop_merges(database).await?;
    }
    let clickhouse = parts.clickhouse.child().id();
    let began = engine::start(database, &topic.kafka, registry).await?;
    let before = processor_time(clickhouse)?;
    let began = SystemTime::now() - began.elapsed();
    let (most, rows) = until_most(database, topic.frames).await?;
    let took = most.duration_since(began)?;
    let after = processor_time(clickhouse)?;
    engine::stop(database).await?;
    Ok(Loaded {
        per_second: rows as f64 / took.as_secs_f64(),
        loader: 0.0,
        clickhouse: (after - before).as_secs_f64() * 1e6 / topic.frames as f64,
        peak: 0.0,
    })
}

/// Waits until all frames are there. Gives back when most of them were, and how many.
async fn until_most(database: &Database, frames: u64) -> anyhow::Result<(SystemTime, u64)> {
    let client = database.client();
    let deadline = Instant::now() + PATIENCE;
    let mut most = None;
    loop {
        let rows: u64 = client.query("SELECT count() FROM frames").fetch_one().await?;
        if rows as f64 >= MOST * frames as f64 {
            let most = *most.get_or_insert_with(|| (SystemTime::now(), rows));
            if rows >= frames {
                return Ok(most);
            }
        }
        ensure!(
            Instant::now() < deadline,
            "{rows} of {frames} frames are loaded after {PATIENCE:?}"
        );
        tokio::time::sleep(LOOK).await;
    }
}

async fn counted(database: &Database) -> anyhow::Result<(u64, u64)> {
    let sql = "SELECT count(), uniqExact(kafka_offset) FROM frames";
    Ok(database.client().query(sql).fetch_one().await?)
}

async fn stop_merges(database: &Database) -> anyhow::Result<()> {
    let client = database.client();
    let tables = "SELECT name FROM system.tables WHERE database = ? AND endsWith(engine, 'MergeTree')";
    let tables: Vec<String> = client.query(tables).bind(&database.name).fetch_all().await?;
    for table in tables {
        client
            .query_raw(&format!("SYSTEM STOP MERGES {table}"))
            .execute()
            .await?;
    }
    Ok(())
}

async fn remove_views(database: &Database) -> anyhow::Result<()> {
    let client = database.client();
    let views = "SELECT name FROM system.tables WHERE database = ? AND engine = 'MaterializedView'";
    let views: Vec<String> = client.query(views).bind(&database.name).fetch_all().await?;
    for view in views {
        client.query_raw(&format!("DROP VIEW {view} SYNC")).execute().await?;
    }
    Ok(())
}

/// When the consumer had waited out the lease and began to read: it says so, with the time.
pub(super) fn taken_over(consumer: &Child) -> anyhow::Result<SystemTime> {
    let log = fs::read_to_string(consumer.log())?;
    let line = log.lines().rev().find(|line| line.contains("taken over"));
    let line = line.context("the consumer does not say that it has taken over its partition")?;
    let time: Timestamp = line.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(time.into())
}

/// What `system.parts` says of the `frames` that are there, merged: bytes a frame on disk, and those of a payload.
pub(in crate::measure) async fn on_disk(database: &Database) -> anyhow::Result<(f64, f64)> {
    let client = database.client();
    client.query_raw("OPTIMIZE TABLE frames FINAL").execute().await?;
    let disk =
        "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE database = ? AND table = 'frames' AND active";
    let disk: f64 = client.query(disk).bind(&database.name).fetch_one().await?;
    let payload: f64 = client.query("SELECT avg(payload_size) FROM frames").fetch_one().await?;
    Ok((disk, payload))
}
