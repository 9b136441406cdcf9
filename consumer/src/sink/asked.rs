use clickhouse::Row;
use foldhash::HashSet;
use serde::Deserialize;
use tapedeck_schemas::{Digest, Direction, SessionKey};
use uuid::Uuid;

use super::past::{LATEST, SLACK, portions};
use super::pieces::{before, bind, digests, texts};
use super::{Sink, SinkError};
use crate::calls::{RestoredRequest, Sought};
use crate::rows::Origin;

#[derive(Row, Deserialize)]
struct RequestRow {
    session_key: [u8; 32],
    #[serde(with = "clickhouse::serde::uuid")]
    session: Uuid,
    is_to_client: bool,
    id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    exchange: Uuid,
    at: i64,
}

impl Sink {
    /// The requests before a batch that its answers look for: of each session, direction and id the latest. `earliest` is
    /// the time of the batch's earliest frame, microseconds since 1970.
    ///
    /// # Errors
    /// As any query.
    pub async fn asked(
        &self,
        origin: &Origin,
        offset: i64,
        sought: &HashSet<Sought>,
        earliest: i64,
    ) -> Result<Vec<RestoredRequest>, SinkError> {
        // Nobody waits for longer than a day; another one for clocks that differ.
        let since = earliest.saturating_sub(2 * SLACK).clamp(0, LATEST);
        let mut found = Vec::new();
        for portion in portions(sought.iter().cloned()) {
            let keys: HashSet<Digest> = portion.iter().map(|(key, _, _)| key.0).collect();
            let ids: HashSet<&str> = portion.iter().map(|(_, _, id)| id.as_str()).collect();
            let sql = format!(
                "SELECT session_key, session_id AS session, direction = 'to_client' AS is_to_client, rpc_id AS id, \
                 argMax(exchange_id, kafka_offset) AS exchange, \
                 argMax(toUnixTimestamp64Micro(time), kafka_offset) AS at FROM frames \
                 WHERE {} AND session_key IN ({}) AND rpc_id IN ({}) AND kind = 'message' AND rpc_kind = 'request' \
                 AND time >= fromUnixTimestamp64Micro({since}) GROUP BY session_key, session, is_to_client, id",
                before(offset),
                digests(keys.iter()),
                texts(ids.into_iter())
            );
            let query = bind(self.client().query(&sql), origin).fetch_all::<RequestRow>();
            found.extend(self.timed(query).await?.into_iter().map(|row| RestoredRequest {
                key: SessionKey(Digest(row.session_key)),
                session: row.session,
                direction: if row.is_to_client {
                    Direction::ToClient
                } else {
                    Direction::ToTarget
                },
                id: row.id,
                exchange: row.exchange,
                time: row.at,
            }));
        }
        Ok(found)
    }
}
