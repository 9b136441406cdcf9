use clickhouse::Row;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::orders::not_held;
use super::pieces::literal;
use super::{Sink, SinkError};
use crate::orders::{Erasure, Hold};
use crate::rows::erased_present;

/// Rows that an erasure has changed or removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Rows of `frames` of which only place, sizes and hashes are left.
    pub frames: u64,
    /// Sessions whose row is gone.
    pub sessions: u64,
    /// Calls whose row is gone.
    pub calls: u64,
}

/// Where records are in the raw topic, as far as they were loaded.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct LoadedPlace {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset of the first.
    pub first: i64,
    /// Offset of the last.
    pub last: i64,
    /// How many.
    pub frames: u64,
}

/// Columns that say who somebody was or what they did, each with what is left of it: as `CleanFrame::erase` has it.
const BLANK: &str = "session_key = toFixedString('', 32), issuer = '', subject = '', principal_name = '', \
    principal_email = '', groups = [], client_id = '', token_id = '', token_session = '', key_thumbprint = '', \
    client_address = '', user_agent = '', claimed_name = '', claimed_version = '', session_hash = toFixedString('', 32), \
    rpc_id = '', rpc_name = '', sse_id = '', sse_event = '', sse_retry = 0, sse_comment = '', sse_complete = true, \
    traceparent = '', payload = '', payload_salt = toFixedString('', 32), metadata_salt = toFixedString('', 32), \
    redaction = 'erased', redaction_reason = '', redaction_rules = [], tokens = [], concerns = []";

impl Sink {
    /// Writes an erasure's row: first as a tombstone, with an empty receipt, then with its receipt. Times are microseconds
    /// since 1970.
    ///
    /// # Errors
    /// As any statement.
    pub async fn note_erasure(
        &self,
        erasure: &Erasure,
        honoured_until: i64,
        (reason, by): (&str, &str),
        receipt: &str,
    ) -> Result<(), SinkError> {
        let sql = "INSERT INTO erasures (erasure_id, tenant, issuer, subject, erased_before, honoured_until, reason, \
             requested_by, requested, receipt) SELECT toUUID(?), ?, ?, ?, fromUnixTimestamp64Micro(?), \
             fromUnixTimestamp64Micro(?), ?, ?, fromUnixTimestamp64Micro(?), ?";
        let query = self.client().query(sql).bind(erasure.id.to_string());
        let query = query.bind(&erasure.tenant).bind(&erasure.issuer).bind(&erasure.subject);
        let query = query.bind(erasure.before).bind(honoured_until).bind(reason).bind(by);
        self.timed(query.bind(erasure.before).bind(receipt).execute()).await
    }

    /// Where the records are that an erasure is about.
    ///
    /// # Errors
    /// As any query.
    pub async fn loaded_places(&self, erasure: &Erasure) -> Result<Vec<LoadedPlace>, SinkError> {
        self.places(&erasure.condition()).await
    }

    /// From where to where each partition was loaded at all.
    ///
    /// # Errors
    /// As any query.
    pub async fn loaded_ends(&self) -> Result<Vec<LoadedPlace>, SinkError> {
        self.places("1").await
    }

    async fn places(&self, condition: &str) -> Result<Vec<LoadedPlace>, SinkError> {
        let sql = format!(
            "SELECT toString(kafka_topic) AS topic, kafka_partition AS partition, min(kafka_offset) AS first, \
             max(kafka_offset) AS last, count() AS frames FROM frames WHERE {condition} \
             GROUP BY topic, partition ORDER BY topic, partition"
        );
        self.timed(self.client().query_raw(&sql).fetch_all::<LoadedPlace>())
            .await
    }

    /// How many rows of an erasure's subject a hold keeps.
    ///
    /// # Errors
    /// As any query.
    pub async fn held_rows(&self, erasure: &Erasure, hold: &Hold) -> Result<u64, SinkError> {
        self.count(
            "frames",
            &format!("{} AND {}", erasure.condition(), hold.scope.condition()),
        )
        .await
    }

    /// How many rows are still to be erased.
    ///
    /// # Errors
    /// As any query.
    pub async fn left_to_erase(&self, erasure: &Erasure, holds: &[Hold]) -> Result<u64, SinkError> {
        self.count("frames", &format!("{} AND {}", erasure.condition(), not_held(holds)))
            .await
    }

    /// Erases what no hold keeps, by mutations that are waited for: `frames` keeps the places of the rows, `calls` and
    /// `sessions` lose theirs. What is held, and what was recorded later, is aggregated again.
    ///
    /// # Errors
    /// As any statement. Doing it again is as good as once.
    pub async fn erase(&self, erasure: &Erasure, holds: &[Hold]) -> Result<Erased, SinkError> {
        let whose = format!(
            "issuer = {} AND subject = {}",
            literal(&erasure.issuer),
            literal(&erasure.subject)
        );
        let (sessions, calls) = ("uniqExact(session_id)", "uniqExact(exchange_id, direction, rpc_id)");
        let before = (
            self.number(&format!("SELECT {sessions} FROM sessions WHERE {whose}"))
                .await?,
            self.number(&format!("SELECT {calls} FROM calls WHERE {whose}")).await?,
        );
        let frames = self.left_to_erase(erasure, holds).await?;
        self.mutate(&format!(
            "ALTER TABLE frames UPDATE {BLANK}, present = {} WHERE {} AND {}",
            erased_present(),
            erasure.condition(),
            not_held(holds)
        ))
        .await?;
        for table in ["calls", "sessions"] {
            self.mutate(&format!("ALTER TABLE {table} DELETE WHERE {whose}"))
                .await?;
        }
        // What is left of the ids of erased requests.
        self.mutate(
            "ALTER TABLE unknown_calls DELETE WHERE (segment_id, seq) IN \
             (SELECT segment_id, seq FROM frames WHERE redaction = 'erased')",
        )
        .await?;
        self.aggregate_subject(erasure).await?;
        let after = (
            self.number(&format!("SELECT {sessions} FROM sessions WHERE {whose}"))
                .await?,
            self.number(&format!("SELECT {calls} FROM calls WHERE {whose}")).await?,
        );
        Ok(Erased {
            frames,
            sessions: before.0.saturating_sub(after.0),
            calls: before.1.saturating_sub(after.1),
        })
    }

    /// Makes rows of `calls` and `sessions` of what is left of a subject. Once or several times is the same.
    ///
    /// # Errors
    /// As any statement.
    pub async fn aggregate_subject(&self, erasure: &Erasure) -> Result<(), SinkError> {
        let whose = format!(
            "issuer = {} AND subject = {}",
            literal(&erasure.issuer),
            literal(&erasure.subject)
        );
        self.aggregate_again_where(&whose).await?;
        self.aggregate_unknown_where(&format!(
            "(segment_id, seq) IN (SELECT segment_id, seq FROM frames WHERE {whose})"
        ))
        .await
    }

    /// Notes in `access_log` what a person ordered.
    ///
    /// # Errors
    /// As any statement.
    pub async fn note_order(&self, action: &str, id: Uuid, by: &str, reason: &str, rows: u64) -> Result<(), SinkError> {
        let sql = "INSERT INTO access_log (subject, role, action, outcome, reason, object, rows, user_agent) \
             SELECT ?, 'administrator', ?, 'allowed', ?, ?, ?, 'tapedeck-consumer'";
        let query = self.client().query(sql).bind(by).bind(action).bind(reason);
        self.timed(query.bind(id.to_string()).bind(rows).execute()).await
    }

    async fn count(&self, table: &str, condition: &str) -> Result<u64, SinkError> {
        self.number(&format!("SELECT count() FROM {table} WHERE {condition}"))
            .await
    }

    async fn number(&self, sql: &str) -> Result<u64, SinkError> {
        self.timed(self.client().query_raw(sql).fetch_one::<u64>()).await
    }

    async fn mutate(&self, sql: &str) -> Result<(), SinkError> {
        // As long as it takes: parts are rewritten.
        let mutation = self.client().query_raw(sql).with_setting("mutations_sync", "2");
        Ok(mutation.execute().await?)
    }
}
