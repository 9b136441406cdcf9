//! Dead letters that are to be read again.

use clickhouse::Row;
use serde::Deserialize;
use tapedeck_schemas::SessionKey;
use uuid::Uuid;

use super::pieces::{bind, partition};
use super::{Sink, SinkError};
use crate::rows::Origin;

/// Requests that are looked at together.
const AT_ONCE: usize = 100;

#[derive(Row, Deserialize)]
struct SessionRow {
    #[serde(with = "clickhouse::serde::uuid")]
    session: Uuid,
}

impl Sink {
    /// Offsets below `end` whose records somebody wants read again, a hundred at most.
    ///
    /// # Errors
    /// As any query.
    pub async fn wanted_again(&self, origin: &Origin, end: i64) -> Result<Vec<i64>, SinkError> {
        let sql = format!(
            "SELECT DISTINCT kafka_offset FROM retries_v WHERE {} AND kafka_offset < {end} AND outcome = '' \
             ORDER BY kafka_offset LIMIT {AT_ONCE}",
            partition()
        );
        self.timed(bind(self.client().query(&sql), origin).fetch_all::<i64>())
            .await
    }

    /// Whether an offset has the stub of a record that could not be read, and whether it has the row of a frame.
    ///
    /// # Errors
    /// As any query.
    pub async fn letter_rows(&self, origin: &Origin, offset: i64) -> Result<(bool, bool), SinkError> {
        let sql = format!(
            "SELECT countIf(kind = 'undecodable') > 0, countIf(kind != 'undecodable') > 0 FROM frames \
             WHERE {} AND kafka_offset = {offset}",
            partition()
        );
        self.timed(bind(self.client().query(&sql), origin).fetch_one::<(bool, bool)>())
            .await
    }

    /// The session that rows of an exchange are in, wherever they are in the log; `None` where there is no row of it.
    ///
    /// # Errors
    /// As any query.
    pub async fn session_of_exchange(
        &self,
        origin: &Origin,
        key: &SessionKey,
        exchange: Uuid,
    ) -> Result<Option<Uuid>, SinkError> {
        let sql = format!(
            "SELECT argMin(session_id, kafka_offset) AS session FROM frames WHERE {} AND session_key = unhex('{}') \
             AND exchange_id = toUUID('{exchange}') AND kind != 'undecodable' HAVING count() > 0",
            partition(),
            key.0
        );
        let query = bind(self.client().query(&sql), origin).fetch_optional::<SessionRow>();
        Ok(self.timed(query).await?.map(|row| row.session))
    }

    /// Notes what became of the requests for an offset, and in `deadletters` whether its record is loaded now. Once or
    /// several times is the same.
    ///
    /// # Errors
    /// As any statement.
    pub async fn note_retried(&self, origin: &Origin, offset: i64, outcome: &str) -> Result<(), SinkError> {
        if matches!(outcome, "loaded" | "duplicate") {
            let sql = "INSERT INTO deadletters (kafka_source, kafka_topic, kafka_partition, kafka_offset, retried) \
                 SELECT ?, ?, ?, ?, now64(6)";
            let insert = bind(self.client().query(sql), origin).bind(offset);
            self.timed(insert.with_setting("async_insert", "0").execute()).await?;
        }
        let sql = format!(
            "INSERT INTO deadletter_retries (kafka_source, kafka_topic, kafka_partition, kafka_offset, requested, \
             requested_by, outcome) SELECT kafka_source, kafka_topic, kafka_partition, kafka_offset, requested, \
             requested_by, ? FROM retries_v WHERE {} AND kafka_offset = {offset} AND outcome = ''",
            partition()
        );
        let insert = bind(self.client().query(&sql).bind(outcome), origin);
        self.timed(insert.with_setting("async_insert", "0").execute()).await
    }
}
