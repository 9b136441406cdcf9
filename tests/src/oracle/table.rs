//! What ClickHouse holds, as statements give it.

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tapedeck_dev::services::Database;

pub use super::row::{Hex, Row};

/// Columns whose JSON would lose something: bytes as hexadecimal digits, times as numbers.
const EXACT: &str = "hex(session_key) AS session_key, hex(session_hash) AS session_hash, \
    hex(previous_segment_head) AS previous_segment_head, hex(payload) AS payload, hex(payload_salt) AS payload_salt, \
    hex(metadata_salt) AS metadata_salt, hex(payload_commitment) AS payload_commitment, \
    hex(metadata_commitment) AS metadata_commitment, hex(frame_hash) AS frame_hash, \
    toUnixTimestamp64Micro(time) AS time, toUnixTimestamp64Milli(session_start) AS session_start, \
    toUnixTimestamp64Milli(kafka_time) AS kafka_time";

/// All rows of the table, by segment and number.
///
/// # Errors
/// When ClickHouse does not answer, or with other columns than expected.
pub async fn read(database: &Database) -> anyhow::Result<Vec<Row>> {
    query(
        database,
        &format!("SELECT * REPLACE({EXACT}) FROM frames ORDER BY frames.segment_id, frames.seq"),
    )
    .await
}

/// What a statement returns, one JSON object a row.
///
/// # Errors
/// When ClickHouse refuses the statement, or its answer does not fit `T`.
pub async fn query<T: DeserializeOwned>(database: &Database, statement: &str) -> anyhow::Result<Vec<T>> {
    let mut cursor = database
        .client()
        .query(statement)
        .with_setting("output_format_json_quote_64bit_integers", "0")
        .fetch_bytes("JSONEachRow")
        .with_context(|| statement.to_owned())?;
    let answer = cursor.collect().await.with_context(|| statement.to_owned())?;
    let parse = |line: &[u8]| serde_json::from_slice(line).with_context(|| statement.to_owned());
    answer
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(parse)
        .collect()
}

/// What a statement returns whose columns are only looked at.
///
/// # Errors
/// As [`query`].
pub async fn values(database: &Database, statement: &str) -> anyhow::Result<Vec<Value>> {
    query(database, statement).await
}

/// The names of all tables of a database that hold rows.
///
/// # Errors
/// When ClickHouse does not answer.
pub async fn tables(database: &Database) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Table {
        name: String,
    }
    let statement =
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND NOT endsWith(engine, 'View')";
    let tables: Vec<Table> = query(database, statement).await?;
    Ok(tables.into_iter().map(|table| table.name).collect())
}

/// All that a table holds, uncompressed, one value after the other: to search it for what must not be there.
///
/// # Errors
/// When ClickHouse does not answer.
pub async fn bytes(database: &Database, table: &str) -> anyhow::Result<Vec<u8>> {
    let statement = format!("SELECT * FROM {table}");
    let mut cursor = database
        .client()
        .query(&statement)
        .fetch_bytes("RowBinary")
        .with_context(|| statement.clone())?;
    Ok(cursor.collect().await.with_context(|| statement)?.to_vec())
}
