//! What users load with otherwise: ClickHouse's own Kafka engine, and a materialized view that writes the same columns.

use std::time::{Duration, Instant};

use tapedeck_dev::services::{Database, Kafka};
use url::Url;

use crate::until::within;

/// Statements with `{…}` where something is filled in, separated by a semicolon at a line's end.
const TABLES: &str = include_str!("engine.sql");

/// Longer than joining a group takes anywhere.
const PATIENCE: Duration = Duration::from_secs(60);

/// Begins to load a topic into the `frames` of a database, and gives back when it was given its partition.
pub(super) async fn start(database: &Database, kafka: &Kafka, registry: &Url) -> anyhow::Result<Instant> {
    let client = database.client();
    let fill = |statement: &str| {
        statement
            .replace("{brokers}", &kafka.brokers)
            .replace("{topic}", &kafka.frames())
            .replace("{group}", &format!("engine-{}", database.name))
            .replace("{registry}", registry.as_str())
    };
    for statement in TABLES.split(";\n").map(str::trim).filter(|text| !text.is_empty()) {
        client.query_raw(&fill(statement)).execute().await?;
    }
    let assigned =
        "SELECT count() FROM system.kafka_consumers WHERE database = ? AND notEmpty(assignments.partition_id)";
    within(PATIENCE, async || {
        let consumers: u64 = client.query(assigned).bind(&database.name).fetch_one().await?;
        Ok((consumers > 0)
            .then(Instant::now)
            .ok_or_else(|| "the Kafka engine has no partition".to_owned()))
    })
    .await
}

/// Ends loading: a table that is gone reads no more.
pub(super) async fn stop(database: &Database) -> anyhow::Result<()> {
    let client = database.client();
    for table in ["frames_from_kafka", "kafka_frames"] {
        client.query_raw(&format!("DROP TABLE {table} SYNC")).execute().await?;
    }
    Ok(())
}
