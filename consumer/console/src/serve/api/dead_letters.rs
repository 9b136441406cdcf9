//! Records that could not be read.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::page::{Cursor, Moment, Page};
use super::parameters::{Limit, Parameters};
use crate::serve::Console;
use crate::serve::access::{Action, Look, answer};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Select, Whole};
use crate::serve::time::{MaybeTime, Time};

/// Dead letters on a page, at most.
const MOST: u32 = 500;

/// A record that is no frame. Nothing of its value is kept here.
#[derive(Clone, Debug, Row, Serialize, Deserialize, ToSchema)]
pub(super) struct DeadLetter {
    /// Configured id of the cluster and topic.
    source: String,
    /// Topic of the record.
    topic: String,
    /// Partition of the record.
    partition: i32,
    /// Offset of the record.
    offset: i64,
    /// Timestamp of the record.
    #[schema(value_type = String, format = DateTime)]
    time: Time,
    /// Stable name of what was wrong with it.
    reason: String,
    /// Bytes of its value.
    size: i64,
    /// The session in which its place is shown; nil: none.
    #[serde(with = "clickhouse::serde::uuid")]
    #[schema(value_type = Uuid)]
    session_id: Uuid,
    /// When it was read again and loaded; null: it was not.
    #[schema(value_type = Option<String>, format = DateTime)]
    retried: MaybeTime,
}

const COLUMNS: &str = "toString(t.kafka_source) AS source, toString(t.kafka_topic) AS topic, \
    t.kafka_partition AS partition, t.kafka_offset AS offset, \
    toInt64(toUnixTimestamp64Milli(t.kafka_time) * 1000) AS time, t.reason AS reason, t.size AS size, \
    t.session_id AS session_id, ifNull(toUnixTimestamp64Micro(t.retried), 0) AS retried";

/// Which page.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Dead letters on the page; default 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<Limit<MOST>>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<Cursor<(Moment, i32, i64)>>,
}

/// Records that could not be read, latest first. They belong to no tenant, so this is for administrators.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "oversight", operation_id = "list_dead_letters", params(Which),
    responses((status = 200, body = Page<DeadLetter>), (status = 403, description = "Not an administrator", body = ProblemBody),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Problem> {
    let administrator = caller.scope().administrator()?;
    let look = Look::at(Action::View, "dead_letters", &which);
    let mut select = Select::whole(administrator, caller.scope(), Whole::DeadLetters, COLUMNS);
    if let Some(Cursor((Moment(time), partition, offset))) = which.cursor {
        select = select
            .when(
                "(t.kafka_time, t.kafka_partition, t.kafka_offset) < (fromUnixTimestamp64Micro({after:Int64}, 'UTC'), \
                 {after_partition:Int64}, {after_offset:Int64})",
            )
            .bind("after", time)
            .bind("after_partition", i64::from(partition))
            .bind("after_offset", offset);
    }
    let limit = Limit::or(which.limit, 100) as usize;
    let select = select
        .rest("ORDER BY t.kafka_time DESC, t.kafka_partition DESC, t.kafka_offset DESC LIMIT {limit:UInt32}")
        .bind("limit", limit as u64 + 1);
    let found = console.store.rows::<DeadLetter>(&select).await?;
    let found = found.page(limit, |one| {
        (Moment(one.time.microseconds()), one.partition, one.offset)
    });
    answer(&console.access, &caller, &look, found).await
}
