//! From the topic into ClickHouse: a topic of one partition that is full already, loaded by a consumer as it is by default.

use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use tapedeck_dev::process::Child;
use tapedeck_dev::services::Database;

use super::parts::{Parts, note};
use super::report::median;
use super::usage::{processor_time, resident_memory};
use super::{Extent, Report};
use crate::sample::{Recording, publish};
use crate::until::within;

/// Callers, each with a session of its own, whose calls alternate.
const CALLERS: usize = 50;

/// Bytes of an answer: with the request, 1 KiB a frame on average.
const ANSWER: usize = 1_650;

/// Longer than loading takes anywhere.
const PATIENCE: Duration = Duration::from_secs(600);

/// What one load gave.
struct Loaded {
    per_second: f64,
    /// Microseconds a frame.
    consumer: f64,
    /// Microseconds a frame.
    clickhouse: f64,
    /// MiB.
    memory: f64,
    /// Bytes a frame.
    disk: f64,
    /// Bytes a frame, before it was compressed.
    payload: f64,
}

pub(super) async fn measure(parts: &Parts, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let kafka = parts.kafka("measure-loading");
    let consumer = parts.consumer(&kafka, &parts.database("measure_topics"), 1).await?;
    consumer.service().stop().await;
    note(&format!("loading: {} calls are recorded", extent.calls));
    let (brokers, topic, calls) = (kafka.brokers.clone(), kafka.frames(), extent.calls);
    let fill = move || {
        let mut callers: Vec<Recording> = (0..CALLERS)
            .map(|number| Recording::of(&format!("caller-{number}")))
            .collect();
        let opened: Vec<_> = callers.iter_mut().map(Recording::opened).collect();
        let called = (0..calls).flat_map(move |number| callers[number % CALLERS].call(ANSWER));
        publish(&brokers, &topic, opened.into_iter().chain(called))
    };
    let frames = tokio::task::spawn_blocking(fill).await??;

    let mut loads = Vec::new();
    for number in 1..=extent.loads {
        note(&format!("loading: {frames} frames, {number} of {}", extent.loads));
        let database = parts.database(&format!("measure_loading_{number}"));
        loads.push(load(parts, &kafka, &database, frames).await?);
    }
    let of = |value: fn(&Loaded) -> f64| median(loads.iter().map(value).collect());
    report.add(
        "frames from topic to ClickHouse",
        "consumer",
        of(|load| load.per_second),
        "1/s",
    );
    report.add("processor time per frame", "consumer", of(|load| load.consumer), "µs");
    report.add(
        "processor time per frame",
        "ClickHouse",
        of(|load| load.clickhouse),
        "µs",
    );
    report.add("memory after loading", "consumer", of(|load| load.memory), "MiB");
    report.add("bytes per frame", "payload, as sent", of(|load| load.payload), "B");
    report.add("bytes per frame", "on disk, all columns", of(|load| load.disk), "B");
    Ok(())
}

async fn load(
    parts: &Parts,
    kafka: &tapedeck_dev::services::Kafka,
    database: &Database,
    frames: u64,
) -> anyhow::Result<Loaded> {
    let consumer = parts.consumer(kafka, database, 1).await?;
    let (process, clickhouse) = (consumer.service().child(), parts.clickhouse.child().id());
    let before = (processor_time(process.id())?, processor_time(clickhouse)?);
    let client = database.client();
    within(PATIENCE, async || {
        let rows: u64 = client.query("SELECT count() FROM frames").fetch_one().await?;
        Ok(if rows >= frames {
            Ok(())
        } else {
            Err(format!("{rows} of {frames} frames are loaded"))
        })
    })
    .await?;
    let took = SystemTime::now().duration_since(taken_over(&process)?)?;
    let after = (processor_time(process.id())?, processor_time(clickhouse)?);
    let memory = resident_memory(process.id())?;
    consumer.service().stop().await;

    let distinct: u64 = client
        .query("SELECT uniqExact(kafka_offset) FROM frames")
        .fetch_one()
        .await?;
    let rows: u64 = client.query("SELECT count() FROM frames").fetch_one().await?;
    ensure!(
        distinct == frames && rows == frames,
        "{rows} rows of {distinct} records are loaded, {frames} were recorded"
    );
    client.query("OPTIMIZE TABLE frames FINAL").execute().await?;
    let disk =
        "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE database = ? AND table = 'frames' AND active";
    let disk: f64 = client.query(disk).bind(&database.name).fetch_one().await?;
    let payload: f64 = client.query("SELECT avg(payload_size) FROM frames").fetch_one().await?;
    let each = |used: Duration| used.as_secs_f64() * 1e6 / frames as f64;
    Ok(Loaded {
        per_second: frames as f64 / took.as_secs_f64(),
        consumer: each(after.0 - before.0),
        clickhouse: each(after.1 - before.1),
        memory,
        disk,
        payload,
    })
}

/// When the consumer had waited out the lease and began to read: it says so, with the time.
fn taken_over(consumer: &Child) -> anyhow::Result<SystemTime> {
    let log = fs::read_to_string(consumer.log())?;
    let line = log.lines().rev().find(|line| line.contains("taken over"));
    let line = line.context("the consumer does not say that it has taken over its partition")?;
    let time: Timestamp = line.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(time.into())
}
