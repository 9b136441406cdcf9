//! Volume, errors and latency over time.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::calls::CallFilter;
use super::parameters::{Number, Parameters};
use super::session_filter::SessionFilter;
use crate::serve::Console;
use crate::serve::access::{Action, Look, answer};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select};
use crate::serve::time::{Asked, Time};

/// Steps in an answer, at most.
const STEPS: i64 = 2000;
/// How far back is counted, unless the client says otherwise.
const COUNTED: SignedDuration = SignedDuration::from_hours(24);

/// Sessions that began in one step.
#[derive(Clone, Debug, Row, Serialize, Deserialize, ToSchema)]
pub(super) struct SessionStep {
    /// Start of the step.
    #[schema(value_type = String, format = DateTime)]
    time: Time,
    /// Sessions that began.
    sessions: u64,
    /// Requests to targets in them, whenever.
    calls: u64,
    /// Errors in them.
    errors: u64,
    /// Payload bytes in them.
    bytes: u64,
}

/// Calls that were asked in one step.
#[derive(Clone, Debug, Row, Serialize, Deserialize, ToSchema)]
pub(super) struct CallStep {
    /// Start of the step.
    #[schema(value_type = String, format = DateTime)]
    time: Time,
    /// Calls.
    calls: u64,
    /// That ended with an error.
    errors: u64,
    /// That the proxy refused.
    refused: u64,
    /// Whose end nobody saw.
    unknown: u64,
    /// Half of the answers took no longer, milliseconds; 0 where none came.
    p50: f64,
    /// 95 % of them.
    p95: f64,
    /// 99 % of them.
    p99: f64,
}

/// Both, each in the order of time; steps without any are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Statistics {
    /// Seconds of a step.
    step: u64,
    /// By when sessions began.
    sessions: Vec<SessionStep>,
    /// By when calls were asked.
    calls: Vec<CallStep>,
}

/// How finely.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Step {
    /// Seconds of a step; default: so many that there are about 100 steps.
    #[param(value_type = Option<u64>, minimum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<Number>,
}

/// Sessions and calls over time. Without `from`, the last 24 hours before `to`. Calls heed all filters but `client` and
/// `text`; `outcome` is that of sessions.
#[utoipa::path(get, path = "/api/v1/statistics", tag = "search", operation_id = "get_statistics", params(SessionFilter, Step),
    responses((status = 200, body = Statistics), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn statistics(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Parameters(filter): Parameters<SessionFilter>,
    Parameters(step): Parameters<Step>,
) -> Result<Response, Problem> {
    let look = Look::at(Action::View, "statistics", &(&filter, &step));
    let to = filter.to.map_or_else(Time::now, |Asked(to)| to);
    let from = filter.from.map_or_else(|| to.minus(COUNTED), |Asked(from)| from);
    let filter = SessionFilter {
        from: Some(Asked(from)),
        to: Some(Asked(to)),
        ..filter
    };
    let seconds = seconds(from, to, step.step)?;
    let select = Select::new(
        caller.scope(),
        Relation::Sessions,
        "toInt64(toUnixTimestamp(toStartOfInterval(t.session_start, toIntervalSecond({step:UInt32})))) * 1000000 AS time, \
         count() AS sessions, sum(t.calls) AS calls, sum(t.errors) AS errors, sum(t.bytes) AS bytes",
    );
    let select = filter
        .of_whole(caller.scope(), select)
        .bind("step", seconds)
        .rest("GROUP BY time ORDER BY time");
    let sessions = console.store.rows::<SessionStep>(&select).await?;
    let select = Select::new(
        caller.scope(),
        Relation::Calls,
        "toInt64(toUnixTimestamp(toStartOfInterval(t.called, toIntervalSecond({step:UInt32})))) * 1000000 AS time, \
         count() AS calls, countIf(t.outcome = 'error') AS errors, countIf(t.outcome = 'refused') AS refused, \
         countIf(t.outcome = 'unknown') AS unknown, \
         ifNotFinite(ifNull(quantileIf(0.5)(t.latency, t.latency IS NOT NULL), 0), 0) AS p50, \
         ifNotFinite(ifNull(quantileIf(0.95)(t.latency, t.latency IS NOT NULL), 0), 0) AS p95, \
         ifNotFinite(ifNull(quantileIf(0.99)(t.latency, t.latency IS NOT NULL), 0), 0) AS p99",
    );
    let select = CallFilter::like(&filter)
        .on(select)
        .bind("step", seconds)
        .rest("GROUP BY time ORDER BY time");
    let calls = console.store.rows::<CallStep>(&select).await?;
    let found = sessions.zip(calls).map(|(sessions, calls)| Statistics {
        step: seconds.into(),
        sessions,
        calls,
    });
    answer(&console.access, &caller, &look, found).await
}

fn seconds(from: Time, to: Time, asked: Option<Number>) -> Result<u32, Problem> {
    let span = (to.microseconds().saturating_sub(from.microseconds()) / 1_000_000).max(1);
    let step = match asked {
        Some(Number(step)) => i64::try_from(step).unwrap_or(i64::MAX),
        None => (span / 100).max(1),
    };
    let most = i64::from(u32::MAX);
    match step {
        1.. if step <= most && span / step <= STEPS => Ok(u32::try_from(step).unwrap_or(u32::MAX)),
        _ => Err(Problem::BadRequest(format!(
            "`step` must be 1 s or more, and there may be {STEPS} steps at most"
        ))),
    }
}
