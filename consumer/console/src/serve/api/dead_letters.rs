//! Records that could not be read.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::page::{Cursor, Moment, Page, answer_page};
use super::parameters::{Limit, Number, Parameters, Place, Term};
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

/// That somebody wanted a dead letter read again, and what came of it.
#[derive(Clone, Debug, Row, Serialize, Deserialize, ToSchema)]
pub(super) struct Retry {
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    requested: Time,
    /// Who asked, as given.
    requested_by: String,
    /// Empty: the consumer has not come to it. loaded, duplicate, gone; otherwise why it still cannot be read.
    outcome: String,
    /// When that was written.
    #[schema(value_type = String, format = DateTime)]
    changed: Time,
}

const RETRY_COLUMNS: &str = "toUnixTimestamp64Micro(t.requested) AS requested, t.requested_by AS requested_by, \
    t.outcome AS outcome, toUnixTimestamp64Micro(t.changed) AS changed";

/// A dead letter, and every attempt to read it again.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct OpenedLetter {
    /// The letter.
    letter: DeadLetter,
    /// Attempts, the first one first.
    retries: Vec<Retry>,
}

/// When and where a record is: time, source, topic, partition, offset.
type Record = (Moment, String, String, i32, i64);

/// Which ones: all that are given must fit.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Stable name of what was wrong with it.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Term>,
    /// Topic of the record.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<Term>,
    /// Those that have not been loaded since, or only those that have.
    #[param(inline)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<LetterState>,
    /// Dead letters on the page; default 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<Limit<MOST>>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<Cursor<Record>>,
}

/// What has become of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LetterState {
    /// It has not been loaded.
    Open,
    /// It was read again and loaded.
    Loaded,
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
    let text = |term: &Option<Term>| term.as_ref().map(|term| term.as_str().to_owned());
    let mut select = Select::whole(administrator, caller.scope(), Whole::DeadLetters, COLUMNS)
        .when_given("t.reason = {reason:String}", "reason", text(&which.reason))
        .when_given("t.kafka_topic = {topic:String}", "topic", text(&which.topic));
    select = match which.state {
        None => select,
        Some(LetterState::Open) => select.when("t.retried IS NULL"),
        Some(LetterState::Loaded) => select.when("t.retried IS NOT NULL"),
    };
    if let Some(Cursor((Moment(time), source, topic, partition, offset))) = which.cursor {
        select = select
            .when(
                "(t.kafka_time, toString(t.kafka_source), toString(t.kafka_topic), t.kafka_partition, t.kafka_offset) < \
                 (fromUnixTimestamp64Micro({after:Int64}, 'UTC'), {after_source:String}, {after_topic:String}, \
                  {after_partition:Int64}, {after_offset:Int64})",
            )
            .bind("after", time)
            .bind("after_source", source)
            .bind("after_topic", topic)
            .bind("after_partition", i64::from(partition))
            .bind("after_offset", offset);
    }
    // Clusters and topics write at the same moment, and offsets begin at 0 in each.
    let select = select.rest(
        "ORDER BY t.kafka_time DESC, source DESC, topic DESC, t.kafka_partition DESC, t.kafka_offset DESC LIMIT {limit:UInt32}",
    );
    let place = |one: &DeadLetter| {
        let time = Moment(one.time.microseconds());
        (time, one.source.clone(), one.topic.clone(), one.partition, one.offset)
    };
    answer_page(&console, &caller, &look, select, Limit::or(which.limit, 100), place).await
}

/// One dead letter, and every attempt to read it again. To have it read again is the command line's: `tapedeck deadletters`.
#[utoipa::path(get, path = "/api/v1/dead-letters/{source}/{topic}/{partition}/{offset}", tag = "oversight", operation_id = "get_dead_letter",
    params(("source" = String, Path, description = "Configured id of the cluster and topic", max_length = 512),
        ("topic" = String, Path, description = "Topic of the record", max_length = 512),
        ("partition" = u64, Path, description = "Its partition", maximum = 2147483647u64),
        ("offset" = u64, Path, description = "Its offset", maximum = 9223372036854775807u64)),
    responses((status = 200, body = OpenedLetter), (status = 403, description = "Not an administrator", body = ProblemBody),
        (status = 404, description = "There is none", body = ProblemBody),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn one(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Place((source, topic, partition, offset)): Place<(Term, Term, Number, Number)>,
) -> Result<Response, Problem> {
    let administrator = caller.scope().administrator()?;
    let look = Look::at(Action::View, "dead_letter", &(&source, &topic, partition, offset));
    let of = |whole, columns, order| {
        Select::whole(administrator, caller.scope(), whole, columns)
            .when(
                "t.kafka_source = {source:String} AND t.kafka_topic = {topic:String} \
                 AND t.kafka_partition = {partition:UInt64} AND t.kafka_offset = {offset:UInt64}",
            )
            .bind("source", source.as_str())
            .bind("topic", topic.as_str())
            .bind("partition", partition.0)
            .bind("offset", offset.0)
            .rest(order)
    };
    let letter = of(Whole::DeadLetters, COLUMNS, "LIMIT 1");
    let letter = console.store.rows::<DeadLetter>(&letter).await?.first();
    let letter = letter.ok_or(Problem::NotFound("there is no such dead letter"))?;
    let retries = of(Whole::Retries, RETRY_COLUMNS, "ORDER BY t.requested LIMIT 1000");
    let retries = console.store.rows::<Retry>(&retries).await?;
    let opened = letter
        .zip(retries)
        .map(|(letter, retries)| OpenedLetter { letter, retries });
    answer(&console.access, &caller, &look, opened).await
}
