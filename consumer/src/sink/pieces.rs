//! Pieces of SQL. Ids, digests and numbers are written into a statement as they are; texts are bound, or escaped by
//! [`literal`].

use tapedeck_schemas::Digest;
use uuid::Uuid;

use crate::rows::Origin;

/// The rows of one partition below an offset.
pub(super) fn before(offset: i64) -> String {
    format!("kafka_source = ? AND kafka_topic = ? AND kafka_partition = ? AND kafka_offset < {offset}")
}

/// The rows of one partition from an offset on.
pub(super) fn from(offset: i64) -> String {
    format!("kafka_source = ? AND kafka_topic = ? AND kafka_partition = ? AND kafka_offset >= {offset}")
}

/// The rows of one partition.
pub(super) fn partition() -> &'static str {
    "kafka_source = ? AND kafka_topic = ? AND kafka_partition = ?"
}

/// Binds what [`before`], [`from`] and [`partition`] leave open.
pub(super) fn bind(query: clickhouse::query::Query, origin: &Origin) -> clickhouse::query::Query {
    query.bind(&origin.source).bind(&origin.topic).bind(origin.partition)
}

pub(super) fn ids<'a>(ids: impl Iterator<Item = &'a Uuid>) -> String {
    join(ids.map(|id| format!("toUUID('{id}')")))
}

pub(super) fn digests<'a>(digests: impl Iterator<Item = &'a Digest>) -> String {
    join(digests.map(|digest| format!("unhex('{digest}')")))
}

pub(super) fn numbers<'a>(numbers: impl Iterator<Item = &'a i64>) -> String {
    join(numbers.map(i64::to_string))
}

/// A list of texts, as literals of a statement that is bound: a question mark in one is no parameter.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    join(texts.map(|text| literal(text).replace('?', "??")))
}

/// A text as a literal of ClickHouse's SQL.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A list that `IN` takes; an empty one is never sent.
fn join(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}
