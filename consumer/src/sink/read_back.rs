//! What the table says. It is the truth: memory is only a copy of it.

use std::ops::RangeInclusive;

use clickhouse::Row;
use foldhash::HashMap;
use serde::Deserialize;
use tapedeck_schemas::Digest;

use super::pieces::{before, bind, from, literal};
use super::{Sink, SinkError};
use crate::rows::Origin;

/// Offsets asked for at once. Far more than one batch, so that an owner that takes over asks once; where an operator has set
/// the group's offset back, all of the past must not be held in memory.
const PAGE: usize = 200_000;

/// Offsets that are in the table already, with their records' hashes, as far as that has been asked.
#[derive(Clone, Debug)]
pub struct Loaded {
    hashes: HashMap<i64, Digest>,
    /// What is in the table below this offset is in `hashes`, unless it was forgotten.
    known_to: i64,
}

impl Loaded {
    /// Nothing is in the table.
    #[must_use]
    pub fn nothing() -> Self {
        Self::unknown_from(i64::MAX)
    }

    /// Nobody has asked yet what is there from `offset` on.
    #[must_use]
    pub fn unknown_from(offset: i64) -> Self {
        Self {
            hashes: HashMap::default(),
            known_to: offset,
        }
    }

    /// From where to ask before a batch that ends at `end` can be loaded; `None` where all is known.
    #[must_use]
    pub fn unknown_below(&self, end: i64) -> Option<i64> {
        (self.known_to < end).then_some(self.known_to)
    }

    /// Takes in an answer to that.
    pub fn extend(&mut self, page: Self) {
        self.hashes.extend(page.hashes);
        self.known_to = page.known_to;
    }

    /// The hash of the record from `offset`, if it is in the table.
    #[must_use]
    pub fn hash(&self, offset: i64) -> Option<Digest> {
        // Nearly always nothing is there.
        match self.hashes.is_empty() {
            true => None,
            false => self.hashes.get(&offset).copied(),
        }
    }

    /// Whether the record from `offset` is in the table.
    #[must_use]
    pub fn contains(&self, offset: i64) -> bool {
        self.hash(offset).is_some()
    }

    /// Forgets all below `offset`.
    pub fn forget(&mut self, offset: i64) {
        self.hashes.retain(|known, _| *known >= offset);
    }

    /// How many offsets it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

#[derive(Row, Deserialize)]
struct OffsetRow {
    kafka_offset: i64,
    frame_hash: [u8; 32],
}

impl Sink {
    /// The offsets from `offset` on that are in the table: the first 200,000 of them.
    ///
    /// # Errors
    /// As any query.
    pub async fn loaded(&self, origin: &Origin, offset: i64) -> Result<Loaded, SinkError> {
        let sql = format!(
            "SELECT kafka_offset, frame_hash FROM frames WHERE {} ORDER BY kafka_offset LIMIT {PAGE}",
            from(offset)
        );
        let query = bind(self.client().query(&sql), origin).fetch_all::<OffsetRow>();
        let rows = self.timed(query).await?;
        let last = rows.last().filter(|_| rows.len() == PAGE);
        Ok(Loaded {
            known_to: last.map_or(i64::MAX, |last| last.kafka_offset + 1),
            hashes: rows
                .into_iter()
                .map(|row| (row.kafka_offset, Digest(row.frame_hash)))
                .collect(),
        })
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
        Ok(self
            .timed(query)
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
        self.timed(query).await
    }

    /// Aggregates rows again: their insert may have been cut off between `frames` and a materialized view. Views keep
    /// idempotent states, so doing it twice is as good as once.
    ///
    /// # Errors
    /// As any statement.
    pub async fn aggregate_again(&self, origin: &Origin, offsets: RangeInclusive<i64>) -> Result<(), SinkError> {
        let rows = format!(
            "kafka_source = {} AND kafka_topic = {} AND kafka_partition = {} AND kafka_offset BETWEEN {} AND {}",
            literal(&origin.source),
            literal(&origin.topic),
            origin.partition,
            offsets.start(),
            offsets.end()
        );
        self.aggregate_again_where(&rows).await
    }

    /// The same with the rows of `frames` that a condition selects.
    ///
    /// # Errors
    /// As any statement.
    pub async fn aggregate_again_where(&self, condition: &str) -> Result<(), SinkError> {
        let views = "SELECT name, extract(create_table_query, ' TO ([^ ]+)'), as_select FROM system.tables \
             WHERE database = ? AND engine = 'MaterializedView' AND (database, name) IN (SELECT arrayJoin(arrayZip(\
             dependencies_database, dependencies_table)) FROM system.tables WHERE database = ? AND name = 'frames')";
        let columns = "SELECT name FROM system.columns WHERE database = ? AND table = ? ORDER BY position";
        let query = self.client().query(views).bind(&self.database).bind(&self.database);
        let filters = format!(
            "{{{}: {}}}",
            literal(&format!("{}.frames", self.database)),
            literal(condition)
        );
        for (view, target, select) in self.timed(query.fetch_all::<(String, String, String)>()).await? {
            let query = self.client().query(columns).bind(&self.database).bind(&view);
            let columns = self.timed(query.fetch_all::<String>()).await?.join(", ");
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
            self.timed(insert).await?;
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
        self.timed(query.execute()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_at_a_time_is_asked_for_and_no_more_than_a_batch_needs() {
        let page = |from: i64, known_to: i64| Loaded {
            hashes: [(from, Digest([1; 32]))].into_iter().collect(),
            known_to,
        };
        let mut loaded = Loaded::unknown_from(100);
        assert_eq!(loaded.unknown_below(100), None);
        assert_eq!(loaded.unknown_below(150), Some(100));
        loaded.extend(page(100, 120));
        assert_eq!(loaded.unknown_below(150), Some(120));
        loaded.extend(page(120, i64::MAX));
        assert_eq!(loaded.unknown_below(150), None);
        assert!(loaded.contains(100) && loaded.contains(120) && !loaded.contains(121));
        loaded.forget(120);
        assert_eq!((loaded.len(), loaded.contains(100)), (1, false));
        assert!(Loaded::nothing().unknown_below(i64::MAX).is_none());
    }
}
