//! What the table says. It is the truth: memory is only a copy of it.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use clickhouse::Row;
use serde::Deserialize;
use tapedeck_schemas::Digest;

use super::error::timed;
use super::pieces::{before, bind, from};
use super::{Sink, SinkError};
use crate::rows::Origin;

/// Between two looks at an insert that has been killed and still runs.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Offsets that are in the table already, with their records' hashes.
pub type Loaded = HashMap<i64, Digest>;

#[derive(Row, Deserialize)]
struct OffsetRow {
    kafka_offset: i64,
    frame_hash: [u8; 32],
}

impl Sink {
    /// Ends whatever insert of this partition still runs, and waits until none does. An insert whose rows have not
    /// arrived cannot be seen here: that is what the lease is for.
    ///
    /// # Errors
    /// As any statement.
    pub async fn end_inserts(&self, prefix: &str) -> Result<(), SinkError> {
        loop {
            let count = "SELECT count() FROM system.processes WHERE startsWith(query_id, ?)";
            let running = timed(self.client().query(count).bind(prefix).fetch_one::<u64>()).await?;
            if running == 0 {
                return Ok(());
            }
            let kill = "KILL QUERY WHERE startsWith(query_id, ?) SYNC";
            timed(self.client().query(kill).bind(prefix).execute()).await?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The offsets from `offset` on that are in the table.
    ///
    /// # Errors
    /// As any query.
    pub async fn loaded(&self, origin: &Origin, offset: i64) -> Result<Loaded, SinkError> {
        let sql = format!("SELECT kafka_offset, frame_hash FROM frames WHERE {}", from(offset));
        let query = bind(self.client().query(&sql), origin).fetch_all::<OffsetRow>();
        let rows = timed(query).await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.kafka_offset, Digest(row.frame_hash)))
            .collect())
    }

    /// The last offset before `offset` that is in the table, with its record's hash.
    ///
    /// # Errors
    /// As any query.
    pub async fn last_before(&self, origin: &Origin, offset: i64) -> Result<Option<(i64, Digest)>, SinkError> {
        let sql = format!(
            "SELECT kafka_offset, frame_hash FROM frames WHERE {} ORDER BY kafka_offset DESC LIMIT 1",
            before(offset)
        );
        let query = bind(self.client().query(&sql), origin).fetch_optional::<OffsetRow>();
        Ok(timed(query)
            .await?
            .map(|row| (row.kafka_offset, Digest(row.frame_hash))))
    }

    /// The end of what is in the table without a hole, where the group has no offset; `None` if nothing is. Records
    /// that left no row (duplicates) are holes, too: what follows them is read again and found to be there.
    ///
    /// # Errors
    /// As any query.
    pub async fn contiguous_end(&self, origin: &Origin) -> Result<Option<i64>, SinkError> {
        let rows = from(0);
        let sql = format!(
            "SELECT o + 1 FROM (SELECT kafka_offset AS o, leadInFrame(kafka_offset, 1, -1) \
             OVER (ORDER BY kafka_offset ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS next \
             FROM frames WHERE {rows}) WHERE next != o + 1 AND next != o ORDER BY o LIMIT 1"
        );
        let query = bind(self.client().query(&sql), origin).fetch_optional::<i64>();
        timed(query).await
    }

    /// Aggregates rows again: their insert may have been cut off between `frames` and a materialized view. Views keep
    /// idempotent states, so doing it twice is as good as once.
    ///
    /// # Errors
    /// As any statement.
    pub async fn aggregate_again(&self, origin: &Origin, offsets: RangeInclusive<i64>) -> Result<(), SinkError> {
        let views = "SELECT name, extract(create_table_query, ' TO ([^ ]+)'), as_select FROM system.tables \
             WHERE database = ? AND engine = 'MaterializedView' AND (database, name) IN (SELECT arrayJoin(arrayZip(\
             dependencies_database, dependencies_table)) FROM system.tables WHERE database = ? AND name = 'frames')";
        let columns = "SELECT name FROM system.columns WHERE database = ? AND table = ? ORDER BY position";
        let query = self.client().query(views).bind(&self.database).bind(&self.database);
        let filter = format!(
            "kafka_source = {} AND kafka_topic = {} AND kafka_partition = {} AND kafka_offset BETWEEN {} AND {}",
            literal(&origin.source),
            literal(&origin.topic),
            origin.partition,
            offsets.start(),
            offsets.end()
        );
        let filters = format!(
            "{{{}: {}}}",
            literal(&format!("{}.frames", self.database)),
            literal(&filter)
        );
        for (view, target, select) in timed(query.fetch_all::<(String, String, String)>()).await? {
            let query = self.client().query(columns).bind(&self.database).bind(&view);
            let columns = timed(query.fetch_all::<String>()).await?.join(", ");
            // Into the view's target: an insert into the view itself converts no types. The statement comes from the
            // database as it is: a question mark in it is no parameter.
            let sql = format!("INSERT INTO {target} ({columns}) {select}");
            let insert = self
                .client()
                .query_raw(&sql)
                .with_setting("additional_table_filters", &filters)
                .with_setting("insert_deduplicate", "0")
                .with_setting("max_partitions_per_insert_block", "0")
                .execute();
            timed(insert).await?;
        }
        Ok(())
    }

    /// Notes records that were gone before they could be read. Once or several times is the same.
    ///
    /// # Errors
    /// As any statement.
    pub async fn note_gap(&self, origin: &Origin, lost: RangeInclusive<i64>, reason: &str) -> Result<(), SinkError> {
        let sql = "INSERT INTO gaps (kafka_source, kafka_topic, kafka_partition, first_offset, last_offset, reason) \
             SELECT ?, ?, ?, ?, ?, ?";
        let query = bind(self.client().query(sql), origin)
            .bind(*lost.start())
            .bind(*lost.end())
            .bind(reason);
        timed(query.execute()).await
    }
}

/// A text as a literal of ClickHouse's SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
