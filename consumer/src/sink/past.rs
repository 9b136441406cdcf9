//! What the table says of the records before a batch: hashes, segments, sessions.
//!
//! A batch may ask for tens of thousands of ids, and ClickHouse refuses statements beyond a size: they are asked for in
//! portions. Portions may overlap in what they find, and whoever takes the answers in does not mind.

use std::ops::RangeInclusive;

use clickhouse::Row;
use foldhash::{HashMap, HashSet};
use serde::Deserialize;
use tapedeck_schemas::{Digest, SessionKey};
use uuid::Uuid;

use super::pieces::{before, bind, digests, ids, numbers};
use super::{Sink, SinkError};
use crate::rows::Origin;
use crate::sessions::{Missing, REMEMBERED, RestoredExchange, RestoredSession, Totals};

/// Ids in one statement: far below `max_query_size` (256 KiB) and `max_ast_elements` (50,000).
const PORTION: usize = 1000;
/// The year 2100, in microseconds: no frame is from later.
pub(super) const LATEST: i64 = 4_102_444_800_000_000;
/// How much earlier than a batch's first frame a session's last may be, beyond the idle limit, for the session to be
/// restored.
pub(super) const SLACK: i64 = REMEMBERED;

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
    /// Requests in the order of the log: `>` or `<` and the id.
    asked: Vec<String>,
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
        let mut found: HashMap<_, Vec<_>> = HashMap::default();
        let mut sorted: Vec<(Uuid, i64)> = places.iter().copied().collect();
        sorted.sort_unstable();
        for portion in sorted.chunks(PORTION) {
            let segments: HashSet<Uuid> = portion.iter().map(|(segment, _)| *segment).collect();
            let seqs: HashSet<i64> = portion.iter().map(|(_, seq)| *seq).collect();
            let sql = format!(
                "SELECT segment_id AS segment, seq, frame_hash AS hash FROM frames \
                 WHERE {} AND segment_id IN ({}) AND seq IN ({}) AND verdict IN ('intact', 'fork')",
                before(offset),
                ids(segments.iter()),
                numbers(seqs.iter())
            );
            let query = bind(self.client().query(&sql), origin).fetch_all::<PlaceRow>();
            for row in self.timed(query).await? {
                // What the product of segments and numbers names besides belongs to another portion, or to nobody.
                if portion.binary_search(&(row.segment, row.seq)).is_ok() {
                    found.entry((row.segment, row.seq)).or_default().push(Digest(row.hash));
                }
            }
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
        let mut past = Past::default();
        for portion in portions(segments.iter().copied()) {
            self.ranges(origin, offset, &portion, &mut past.segments).await?;
        }
        for portion in portions(missing.exchanges.iter().map(|(_, exchange)| *exchange)) {
            past.exchanges.extend(self.exchanges(origin, offset, &portion).await?);
        }
        let named = missing.sessions.iter().map(|(_, session)| *session);
        let of_exchanges = past.exchanges.iter().map(|exchange| exchange.session);
        let sessions: HashSet<Uuid> = named.chain(of_exchanges).filter(|id| !id.is_nil()).collect();
        for portion in portions(sessions.into_iter()) {
            let wanted = format!("session_id IN ({})", ids(portion.iter()));
            past.sessions
                .extend(self.sessions(origin, offset, &wanted, false).await?);
        }
        let earliest = missing.keys.values().min().copied().unwrap_or(0);
        // Whatever a frame says of the time: from 1970 on.
        let since = earliest.saturating_sub(idle).saturating_sub(SLACK).clamp(0, LATEST);
        for portion in portions(missing.keys.keys().map(|key| key.0)) {
            let wanted = format!(
                "session_id IN (SELECT session_id FROM frames WHERE {} AND session_key IN ({}) \
                 AND time >= fromUnixTimestamp64Micro({since}))",
                before(offset),
                digests(portion.iter())
            );
            past.sessions
                .extend(self.sessions(origin, offset, &wanted, true).await?);
        }
        Ok(past)
    }

    async fn ranges(
        &self,
        origin: &Origin,
        offset: i64,
        segments: &[Uuid],
        found: &mut HashMap<Uuid, Vec<RangeInclusive<i64>>>,
    ) -> Result<(), SinkError> {
        found.extend(segments.iter().map(|segment| (*segment, Vec::new())));
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
        for row in self.timed(query).await? {
            found.entry(row.segment).or_default().push(row.first..=row.last);
        }
        Ok(())
    }

    async fn exchanges(
        &self,
        origin: &Origin,
        offset: i64,
        exchanges: &[Uuid],
    ) -> Result<Vec<RestoredExchange>, SinkError> {
        let sql = format!(
            "SELECT session_key, exchange_id AS exchange, argMin(session_id, kafka_offset) AS session, \
             countIf(rpc_method = 'initialize' AND kind = 'message' AND direction = 'to_target') > 0 \
             AND session = exchange_id AND NOT max(session_starts) AS opens, \
             argMin(client_address, kafka_offset) AS address, argMin(claimed_name, kafka_offset) AS name, \
             arrayMap(one -> one.2, arraySort(groupArrayIf((kafka_offset, \
             concat(if(direction = 'to_client', '<', '>'), rpc_id)), \
             kind = 'message' AND rpc_kind = 'request' AND rpc_id != ''))) AS asked \
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
            asked: row.asked,
        };
        Ok(self.timed(query).await?.into_iter().map(restored).collect())
    }

    /// Sessions that a condition selects; `binds_origin` if it leaves an origin of its own open.
    async fn sessions(
        &self,
        origin: &Origin,
        offset: i64,
        wanted: &str,
        binds_origin: bool,
    ) -> Result<Vec<RestoredSession>, SinkError> {
        // A session that an `initialize` opened has its client's name on the request, not on the answer that starts it.
        let sql = format!(
            "SELECT session_key, session_id AS session, toUnixTimestamp64Micro(max(time)) AS last, \
             max(session_shared) AS shared, max(session_seq) AS frames, max(session_calls) AS calls, \
             max(session_errors) AS errors, max(session_bytes) AS bytes, \
             max(session_starts) AS has_started, maxIf(kafka_offset, session_starts) AS started, \
             argMinIf(client_address, kafka_offset, exchange_id = session_id) AS address, \
             argMinIf(claimed_name, kafka_offset, exchange_id = session_id) AS name \
             FROM frames WHERE {} AND session_id != toUUID('{}') AND kind != 'undecodable' AND {wanted} \
             GROUP BY session_key, session_id",
            before(offset),
            Uuid::nil(),
        );
        let mut query = bind(self.client().query(&sql), origin);
        if binds_origin {
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
        Ok(self
            .timed(query.fetch_all::<SessionRow>())
            .await?
            .into_iter()
            .map(restored)
            .collect())
    }
}

/// At most [`PORTION`] at a time; none of nothing.
pub(super) fn portions<T: Clone + Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> Vec<Vec<T>> {
    let items: Vec<T> = items.collect::<HashSet<T>>().into_iter().collect();
    items.chunks(PORTION).map(<[T]>::to_vec).collect()
}

/// Rows have no difference between an absent name and an empty one, and sessions make none.
fn claimed(name: String) -> Option<String> {
    Some(name).filter(|name| !name.is_empty())
}
