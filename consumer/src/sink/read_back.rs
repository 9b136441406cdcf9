//! What the table says. It is the truth: memory is only a copy of it.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use clickhouse::Row;
use serde::Deserialize;
use tapedeck_schemas::{Digest, SessionKey};
use uuid::Uuid;

use super::error::timed;
use super::pieces::{before, bind, digests, from, ids};
use super::{Sink, SinkError};
use crate::rows::Origin;
use crate::sessions::{Missing, RestoredExchange, RestoredSession, Totals};

/// How much earlier than a batch's first frame a session's last may be, beyond the idle limit, for the session to be
/// restored: writers' clocks differ, and a spool is drained late.
const SLACK: i64 = 24 * 3600 * 1_000_000;
/// Between two looks at an insert that has been killed and still runs.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Offsets that are in the table already, with their records' hashes.
pub type Loaded = HashMap<i64, Digest>;

/// What is before a batch.
#[derive(Debug, Default)]
pub struct Past {
    /// Ranges of `seq` per segment; every segment asked for is there.
    pub segments: HashMap<Uuid, Vec<RangeInclusive<i64>>>,
    /// Sessions.
    pub sessions: Vec<RestoredSession>,
    /// Exchanges.
    pub exchanges: Vec<RestoredExchange>,
}

#[derive(Row, Deserialize)]
struct OffsetRow {
    kafka_offset: i64,
    frame_hash: [u8; 32],
}

#[derive(Row, Deserialize)]
struct SessionRow {
    session_key: [u8; 32],
    #[serde(with = "clickhouse::serde::uuid")]
    session: Uuid,
    last: i64,
    shared: bool,
    frames: u64,
    calls: u64,
    errors: u64,
    bytes: u64,
    has_started: bool,
    started: i64,
    address: String,
    name: String,
}

#[derive(Row, Deserialize)]
struct ExchangeRow {
    session_key: [u8; 32],
    #[serde(with = "clickhouse::serde::uuid")]
    exchange: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    session: Uuid,
    opens: bool,
    address: String,
    name: String,
}

#[derive(Row, Deserialize)]
struct RangeRow {
    #[serde(with = "clickhouse::serde::uuid")]
    segment: Uuid,
    first: i64,
    last: i64,
}

#[derive(Row, Deserialize)]
struct PlaceRow {
    #[serde(with = "clickhouse::serde::uuid")]
    segment: Uuid,
    seq: i64,
    hash: [u8; 32],
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

    /// The hashes of the frames at these places of segments, before a batch; a place may have several.
    ///
    /// # Errors
    /// As any query.
    pub async fn hashes(
        &self,
        origin: &Origin,
        offset: i64,
        places: &HashSet<(Uuid, i64)>,
    ) -> Result<HashMap<(Uuid, i64), Vec<Digest>>, SinkError> {
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        if places.is_empty() {
            return Ok(found);
        }
        let segments: HashSet<Uuid> = places.iter().map(|(segment, _)| *segment).collect();
        let seqs: HashSet<String> = places.iter().map(|(_, seq)| seq.to_string()).collect();
        let seqs: Vec<String> = seqs.into_iter().collect();
        let sql = format!(
            "SELECT segment_id AS segment, seq, frame_hash AS hash FROM frames \
             WHERE {} AND segment_id IN ({}) AND seq IN ({}) AND verdict IN ('intact', 'fork')",
            before(offset),
            ids(segments.iter()),
            seqs.join(", ")
        );
        let query = bind(self.client().query(&sql), origin).fetch_all::<PlaceRow>();
        for row in timed(query).await? {
            found.entry((row.segment, row.seq)).or_default().push(Digest(row.hash));
        }
        Ok(found)
    }

    /// What a batch that begins at `offset` needs to know.
    ///
    /// # Errors
    /// As any query.
    pub async fn past(
        &self,
        origin: &Origin,
        offset: i64,
        segments: &HashSet<Uuid>,
        missing: &Missing,
        idle: i64,
    ) -> Result<Past, SinkError> {
        let mut past = Past {
            segments: self.ranges(origin, offset, segments).await?,
            ..Past::default()
        };
        if !missing.exchanges.is_empty() {
            past.exchanges = self.exchanges(origin, offset, missing).await?;
        }
        let named = missing.sessions.iter().map(|(_, session)| *session);
        let of_exchanges = past.exchanges.iter().map(|exchange| exchange.session);
        let sessions: HashSet<Uuid> = named.chain(of_exchanges).filter(|id| !id.is_nil()).collect();
        if !missing.keys.is_empty() || !sessions.is_empty() {
            past.sessions = self.sessions(origin, offset, missing, &sessions, idle).await?;
        }
        Ok(past)
    }

    async fn ranges(
        &self,
        origin: &Origin,
        offset: i64,
        segments: &HashSet<Uuid>,
    ) -> Result<HashMap<Uuid, Vec<RangeInclusive<i64>>>, SinkError> {
        let mut ranges: HashMap<_, Vec<_>> = segments.iter().map(|segment| (*segment, Vec::new())).collect();
        if segments.is_empty() {
            return Ok(ranges);
        }
        // Consecutive numbers less their rank are equal: one group per range.
        let sql = format!(
            "SELECT segment, min(seq) AS first, max(seq) AS last FROM (\
             SELECT segment_id AS segment, seq, seq - row_number() OVER (PARTITION BY segment_id ORDER BY seq) AS island \
             FROM (SELECT DISTINCT segment_id, seq FROM frames \
             WHERE {} AND segment_id IN ({}) AND verdict IN ('intact', 'fork'))) GROUP BY segment, island",
            before(offset),
            ids(segments.iter())
        );
        let query = bind(self.client().query(&sql), origin).fetch_all::<RangeRow>();
        for row in timed(query).await? {
            ranges.entry(row.segment).or_default().push(row.first..=row.last);
        }
        Ok(ranges)
    }

    async fn exchanges(
        &self,
        origin: &Origin,
        offset: i64,
        missing: &Missing,
    ) -> Result<Vec<RestoredExchange>, SinkError> {
        let exchanges: HashSet<Uuid> = missing.exchanges.iter().map(|(_, exchange)| *exchange).collect();
        let sql = format!(
            "SELECT session_key, exchange_id AS exchange, argMin(session_id, kafka_offset) AS session, \
             countIf(rpc_method = 'initialize' AND kind = 'message' AND direction = 'to_target') > 0 \
             AND session = exchange_id AND NOT max(session_starts) AS opens, \
             argMin(client_address, kafka_offset) AS address, argMin(claimed_name, kafka_offset) AS name \
             FROM frames WHERE {} AND exchange_id IN ({}) AND kind != 'undecodable' \
             GROUP BY session_key, exchange_id",
            before(offset),
            ids(exchanges.iter())
        );
        let query = bind(self.client().query(&sql), origin).fetch_all::<ExchangeRow>();
        let restored = |row: ExchangeRow| RestoredExchange {
            key: SessionKey(Digest(row.session_key)),
            exchange: row.exchange,
            session: row.session,
            opens: row.opens.then(|| (row.address, claimed(row.name))),
        };
        Ok(timed(query).await?.into_iter().map(restored).collect())
    }

    async fn sessions(
        &self,
        origin: &Origin,
        offset: i64,
        missing: &Missing,
        named: &HashSet<Uuid>,
        idle: i64,
    ) -> Result<Vec<RestoredSession>, SinkError> {
        let mut wanted = Vec::new();
        if !named.is_empty() {
            wanted.push(format!("session_id IN ({})", ids(named.iter())));
        }
        if let Some(earliest) = missing.keys.values().min() {
            let since = earliest.saturating_sub(idle).saturating_sub(SLACK).max(0);
            let keys = digests(missing.keys.keys().map(|key| &key.0));
            wanted.push(format!(
                "session_id IN (SELECT session_id FROM frames WHERE {} AND session_key IN ({keys}) \
                 AND time >= fromUnixTimestamp64Micro({since}))",
                before(offset)
            ));
        }
        // A session that an `initialize` opened has its client's name on the request, not on the answer that starts it.
        let sql = format!(
            "SELECT session_key, session_id AS session, toUnixTimestamp64Micro(max(time)) AS last, \
             max(session_shared) AS shared, max(session_seq) AS frames, max(session_calls) AS calls, \
             max(session_errors) AS errors, max(session_bytes) AS bytes, \
             max(session_starts) AS has_started, maxIf(kafka_offset, session_starts) AS started, \
             argMinIf(client_address, kafka_offset, exchange_id = session_id) AS address, \
             argMinIf(claimed_name, kafka_offset, exchange_id = session_id) AS name \
             FROM frames WHERE {} AND session_id != toUUID('{}') AND kind != 'undecodable' AND ({}) \
             GROUP BY session_key, session_id",
            before(offset),
            Uuid::nil(),
            wanted.join(" OR ")
        );
        let mut query = bind(self.client().query(&sql), origin);
        if !missing.keys.is_empty() {
            query = bind(query, origin);
        }
        let restored = |row: SessionRow| RestoredSession {
            key: SessionKey(Digest(row.session_key)),
            session: row.session,
            last: row.last,
            totals: Totals {
                shared: row.shared,
                frames: row.frames,
                calls: row.calls,
                errors: row.errors,
                bytes: row.bytes,
            },
            started: row.has_started.then(|| (row.started, row.address, claimed(row.name))),
        };
        Ok(timed(query.fetch_all::<SessionRow>())
            .await?
            .into_iter()
            .map(restored)
            .collect())
    }
}

/// Rows have no difference between an absent name and an empty one, and sessions make none.
fn claimed(name: String) -> Option<String> {
    Some(name).filter(|name| !name.is_empty())
}

/// A text as a literal of ClickHouse's SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
