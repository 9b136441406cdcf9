//! Writers and the calls that they left open: what the table says of them, and what is noted of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use clickhouse::Row;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tapedeck_schemas::{
    Client, Commitments, Digest, Direction, End, Frame, Http, Kind, Principal, Protocol, Rpc, RpcKind, SessionKey,
};
use uuid::Uuid;

use super::pieces::{bind, ids, literal, partition};
use super::{Sink, SinkError};
use crate::rows::Origin;

/// Exchanges in one statement.
const PORTION: usize = 1000;

/// A request without an answer, whose exchange has no end.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenCall {
    /// The request's frame as its row has it: masked, without payload, salts and hashes of neighbours. Its time is that of
    /// the last frame of its exchange: until then the call is known to have been under way.
    pub frame: Frame,
    /// Its session.
    pub session: Uuid,
}

#[derive(Row, Deserialize)]
struct ExchangeRow {
    #[serde(with = "clickhouse::serde::uuid")]
    exchange: Uuid,
    last: i64,
    /// Direction and id of its requests, then of its answers.
    asked: Vec<(String, String)>,
    answered: Vec<(String, String)>,
}

#[derive(Row, Deserialize)]
struct AnswerRow {
    #[serde(with = "clickhouse::serde::uuid")]
    exchange: Uuid,
    direction: String,
    rpc_id: String,
}

#[derive(Row, Deserialize)]
struct RequestRow {
    #[serde(with = "clickhouse::serde::uuid")]
    session_id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    exchange_id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    segment_id: Uuid,
    seq: i64,
    #[serde(with = "clickhouse::serde::uuid")]
    writer_id: Uuid,
    session_key: [u8; 32],
    direction: String,
    tenant: String,
    target: String,
    issuer: String,
    subject: String,
    principal_name: String,
    principal_email: String,
    groups: Vec<String>,
    client_id: String,
    token_id: String,
    client_address: String,
    user_agent: String,
    claimed_name: String,
    claimed_version: String,
    revision: String,
    rpc_method: String,
    rpc_id: String,
    rpc_name: String,
    http_method: String,
    has_payload: bool,
    payload_commitment: [u8; 32],
    frame_hash: [u8; 32],
    kafka_offset: i64,
}

impl Sink {
    /// Writers of this partition whose goodbye or silence has not been acted on since their latest frame.
    ///
    /// # Errors
    /// As any query.
    pub async fn unsettled_writers(&self, origin: &Origin) -> Result<Vec<Uuid>, SinkError> {
        #[derive(Row, Deserialize)]
        struct WriterRow {
            #[serde(with = "clickhouse::serde::uuid")]
            writer_id: Uuid,
        }
        let sql = format!(
            "SELECT writer_id FROM writers_v WHERE {} AND last_time > settled_time",
            partition()
        );
        let rows = self
            .timed(bind(self.client().query(&sql), origin).fetch_all::<WriterRow>())
            .await?;
        Ok(rows.into_iter().map(|row| row.writer_id).collect())
    }

    /// The calls that a writer left open, in the order of the log. All its frames must be in the table.
    ///
    /// Calls that had waited for longer than a day when it wrote its last frame are not looked for.
    ///
    /// # Errors
    /// As any query.
    pub async fn open_calls(&self, origin: &Origin, writer: Uuid) -> Result<Vec<OpenCall>, SinkError> {
        let exchanges = self.open_exchanges(origin, writer).await?;
        let mut open = Vec::new();
        for portion in exchanges.chunks(PORTION) {
            open.extend(self.open_in(origin, portion).await?);
        }
        open.sort_by_key(|(offset, _)| *offset);
        Ok(open.into_iter().map(|(_, call)| call).collect())
    }

    /// Exchanges without an end in which a request has no answer.
    async fn open_exchanges(&self, origin: &Origin, writer: Uuid) -> Result<Vec<ExchangeRow>, SinkError> {
        let place = partition();
        let sql = format!(
            "SELECT exchange_id AS exchange, toUnixTimestamp64Micro(max(time)) AS last, \
             groupArrayIf((toString(direction), rpc_id), rpc_kind = 'request') AS asked, \
             groupArrayIf((toString(direction), rpc_id), rpc_kind IN ('response', 'error')) AS answered \
             FROM frames WHERE {place} AND writer_id = toUUID('{writer}') \
             AND time >= (SELECT max(last_time) - INTERVAL 1 DAY FROM writers_v WHERE {place} AND writer_id = toUUID('{writer}')) \
             AND kind IN ('message', 'exchange_start', 'exchange_end') \
             GROUP BY exchange_id HAVING max(ended != '') = 0 AND notEmpty(asked)"
        );
        let query = bind(bind(self.client().query(&sql), origin), origin).fetch_all::<ExchangeRow>();
        let mut rows = self.timed(query).await?;
        rows.retain_mut(|row| {
            let answered = std::mem::take(&mut row.answered);
            // An error without an id is about the message as a whole.
            let all = answered
                .iter()
                .any(|(direction, of)| direction == "to_client" && of.is_empty());
            row.asked.retain(|(asked, id)| {
                let is_answered = answered.iter().any(|(direction, of)| direction != asked && of == id);
                !(is_answered || (all && asked == "to_target"))
            });
            !row.asked.is_empty()
        });
        Ok(rows)
    }

    /// Their requests, less those that were answered in another exchange, as on a stream that was resumed, and those that
    /// are noted already.
    async fn open_in(&self, origin: &Origin, exchanges: &[ExchangeRow]) -> Result<Vec<(i64, OpenCall)>, SinkError> {
        let requests = self.requests(origin, exchanges).await?;
        let sessions: HashSet<Uuid> = requests.iter().map(|row| row.session_id).collect();
        let answers = self.answers_elsewhere(origin, &sessions, exchanges).await?;
        let open: HashMap<Uuid, &ExchangeRow> = exchanges.iter().map(|row| (row.exchange, row)).collect();
        let call = |row: RequestRow| {
            let exchange = open.get(&row.exchange_id)?;
            let asked = (row.direction.clone(), row.rpc_id.clone());
            let answer = (row.exchange_id, opposite(&row.direction), row.rpc_id.clone());
            let is_open = exchange.asked.contains(&asked) && !answers.contains(&answer);
            is_open.then(|| (row.kafka_offset, row.into_call(exchange.last)))
        };
        Ok(requests.into_iter().filter_map(call).collect())
    }

    async fn requests(&self, origin: &Origin, exchanges: &[ExchangeRow]) -> Result<Vec<RequestRow>, SinkError> {
        let place = partition();
        let list = ids(exchanges.iter().map(|row| &row.exchange));
        let sql = format!(
            "SELECT session_id, exchange_id, segment_id, seq, writer_id, session_key, toString(direction) AS direction, \
             tenant, target, issuer, subject, principal_name, principal_email, groups, client_id, token_id, \
             client_address, user_agent, claimed_name, claimed_version, revision, rpc_method, rpc_id, rpc_name, \
             http_method, redaction != 'none' AS has_payload, payload_commitment, frame_hash, kafka_offset \
             FROM frames WHERE {place} AND exchange_id IN ({list}) AND kind = 'message' AND rpc_kind = 'request' \
             AND redaction != 'erased' AND (segment_id, seq) NOT IN (SELECT segment_id, seq FROM unknown_calls \
             WHERE {place} AND exchange_id IN ({list}))"
        );
        let query = bind(bind(self.client().query(&sql), origin), origin).fetch_all::<RequestRow>();
        self.timed(query).await
    }

    /// What of these exchanges was answered on another one: exchange, direction of the answer, and id.
    async fn answers_elsewhere(
        &self,
        origin: &Origin,
        sessions: &HashSet<Uuid>,
        exchanges: &[ExchangeRow],
    ) -> Result<HashSet<(Uuid, &'static str, String)>, SinkError> {
        if sessions.is_empty() {
            return Ok(HashSet::new());
        }
        let sql = format!(
            "SELECT answers_exchange AS exchange, toString(direction) AS direction, rpc_id FROM frames \
             WHERE {} AND session_id IN ({}) AND answers_exchange IN ({}) AND kind = 'message'",
            partition(),
            ids(sessions.iter()),
            ids(exchanges.iter().map(|row| &row.exchange))
        );
        let query = bind(self.client().query(&sql), origin).fetch_all::<AnswerRow>();
        let answer = |row: AnswerRow| (row.exchange, known(&row.direction), row.rpc_id);
        Ok(self.timed(query).await?.into_iter().map(answer).collect())
    }

    /// Notes that these calls' ends are unknown. Once or several times is the same.
    ///
    /// # Errors
    /// As any statement.
    pub async fn note_unknown(&self, origin: &Origin, calls: &[OpenCall]) -> Result<(), SinkError> {
        for portion in calls.chunks(PORTION) {
            let list = ids(portion.iter().map(|call| &call.frame.exchange_id));
            let places: Vec<String> = portion
                .iter()
                .map(|call| format!("(toUUID('{}'), {})", call.frame.segment_id, call.frame.seq))
                .collect();
            let sql = format!(
                "INSERT INTO unknown_calls (tenant, session_start, session_id, exchange_id, segment_id, seq, writer_id, \
                 direction, rpc_id, kafka_source, kafka_topic, kafka_partition, kafka_offset, retention) \
                 SELECT tenant, session_start, session_id, exchange_id, segment_id, seq, writer_id, \
                 direction, rpc_id, kafka_source, kafka_topic, kafka_partition, kafka_offset, retention \
                 FROM frames WHERE {} AND exchange_id IN ({list}) AND kind = 'message' AND rpc_kind = 'request' \
                 AND verdict != 'fork' AND (segment_id, seq) IN ({})",
                partition(),
                places.join(", ")
            );
            let named: String = places.concat();
            let named = Digest(Sha256::digest(named).into());
            let token = format!(
                "{}/{}/{}/unknown/{named}",
                origin.source, origin.topic, origin.partition
            );
            let insert = bind(self.client().query(&sql), origin)
                .with_setting("async_insert", "0")
                .with_setting("insert_deduplication_token", token)
                .with_setting("max_partitions_per_insert_block", "0");
            self.timed(insert.execute()).await?;
        }
        Ok(())
    }

    /// Makes what is noted of a writer's calls known to `calls`. Once or several times is the same.
    ///
    /// # Errors
    /// As any statement.
    pub async fn aggregate_unknown(&self, origin: &Origin, writer: Uuid) -> Result<(), SinkError> {
        let whose = format!(
            "kafka_source = {} AND kafka_topic = {} AND kafka_partition = {} AND writer_id = toUUID('{writer}')",
            literal(&origin.source),
            literal(&origin.topic),
            origin.partition
        );
        self.aggregate_unknown_where(&whose).await
    }

    /// The same with the rows of `unknown_calls` that a condition selects.
    ///
    /// # Errors
    /// As any statement.
    pub(super) async fn aggregate_unknown_where(&self, condition: &str) -> Result<(), SinkError> {
        let sql = format!(
            "INSERT INTO calls (retention, tenant, session_start, session_id, called, exchange_id, direction, rpc_id, \
             unknown) SELECT retention, tenant, session_start, session_id, \
             least(toDateTime64(UUIDv7ToDateTime(exchange_id, 'UTC'), 3, 'UTC'), \
             toDateTime64('2100-01-01 00:00:00', 3, 'UTC')), exchange_id, direction, rpc_id, 1 \
             FROM unknown_calls WHERE {condition}"
        );
        let insert = self
            .client()
            .query_raw(&sql)
            .with_setting("async_insert", "0")
            .with_setting("insert_deduplicate", "0")
            .with_setting("max_partitions_per_insert_block", "0");
        self.timed(insert.execute()).await
    }

    /// Notes that a writer's goodbye or silence was acted on.
    ///
    /// # Errors
    /// As any statement.
    pub async fn note_settled(&self, origin: &Origin, writer: Uuid, stopped: bool) -> Result<(), SinkError> {
        let sql = format!(
            "INSERT INTO writers (kafka_source, kafka_topic, kafka_partition, writer_id, first_time, last_time, stopped, \
             settled_time) SELECT kafka_source, kafka_topic, kafka_partition, writer_id, first_time, last_time, {}, \
             last_time FROM writers_v WHERE {} AND writer_id = toUUID('{writer}')",
            u8::from(stopped),
            partition()
        );
        let insert = bind(self.client().query(&sql), origin).with_setting("async_insert", "0");
        self.timed(insert.execute()).await
    }
}

impl RequestRow {
    fn into_call(self, last: i64) -> OpenCall {
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        let is_known = !self.issuer.is_empty() || !self.subject.is_empty();
        let principal = is_known.then(|| {
            Arc::new(Principal {
                issuer: self.issuer,
                subject: self.subject,
                name: text(self.principal_name),
                email: text(self.principal_email),
                groups: self.groups,
                client_id: text(self.client_id),
                token_id: text(self.token_id),
                ..Principal::default()
            })
        });
        let frame = Frame {
            writer_id: self.writer_id,
            segment_id: self.segment_id,
            seq: self.seq,
            exchange_id: self.exchange_id,
            session_key: SessionKey(Digest(self.session_key)),
            time: last,
            kind: Kind::Message,
            direction: match known(&self.direction) {
                "to_client" => Direction::ToClient,
                _ => Direction::ToTarget,
            },
            end: Some(End::Unknown),
            tenant: self.tenant,
            target: self.target,
            principal,
            client: Client {
                address: self.client_address,
                user_agent: text(self.user_agent),
                claimed_name: text(self.claimed_name),
                claimed_version: text(self.claimed_version),
            },
            protocol: Protocol {
                revision: text(self.revision),
                ..Protocol::default()
            },
            rpc: Some(Rpc {
                kind: RpcKind::Request,
                method: text(self.rpc_method),
                id: text(self.rpc_id),
                name: text(self.rpc_name),
                ..Rpc::default()
            }),
            http: Http {
                method: text(self.http_method),
                ..Http::default()
            },
            commitments: Commitments {
                payload: self.has_payload.then_some(Digest(self.payload_commitment)),
                ..Commitments::default()
            },
            frame_hash: Digest(self.frame_hash),
            ..Frame::default()
        };
        OpenCall {
            frame,
            session: self.session_id,
        }
    }
}

fn known(direction: &str) -> &'static str {
    match direction {
        "to_client" => "to_client",
        _ => "to_target",
    }
}

fn opposite(direction: &str) -> &'static str {
    match known(direction) {
        "to_client" => "to_target",
        _ => "to_client",
    }
}
