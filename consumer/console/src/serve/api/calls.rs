//! Calls: of one session, and of all that the caller may see.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::page::{Cursor, Moment, Page, answer_page};
use super::parameters::{Limit, Parameters, Place, SessionId, Term};
use super::session_filter::SessionFilter;
use super::sessions::replayed;
use crate::serve::Console;
use crate::serve::access::{Action, Look};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select};
use crate::serve::time::{Asked, MaybeTime, Time};

/// Calls on a page, at most.
const MOST: u32 = 1000;
/// How far back calls are listed, unless the client says otherwise.
const LISTED: SignedDuration = SignedDuration::from_hours(24);

/// A JSON-RPC request and its answer.
#[derive(Clone, Debug, Row, Serialize, Deserialize, ToSchema)]
pub(super) struct Call {
    /// The session.
    #[serde(with = "clickhouse::serde::uuid")]
    #[schema(value_type = Uuid)]
    session_id: Uuid,
    /// The exchange of the request.
    #[serde(with = "clickhouse::serde::uuid")]
    #[schema(value_type = Uuid)]
    exchange_id: Uuid,
    /// Tenant of the caller.
    tenant: String,
    /// to_target: the client asked; to_client: the target did.
    direction: String,
    /// JSON-RPC id as sent, as JSON text.
    rpc_id: String,
    /// JSON-RPC method.
    method: String,
    /// Tool, prompt or resource URI.
    name: String,
    /// Name of the MCP server.
    target: String,
    /// `iss` of the caller's token.
    issuer: String,
    /// `sub` of the caller's token.
    subject: String,
    /// When its exchange began: calls are ordered by it.
    #[schema(value_type = String, format = DateTime)]
    called: Time,
    /// When the request was whole.
    #[schema(value_type = String, format = DateTime)]
    started: Time,
    /// When the answer was whole, or else its exchange ended; null: neither is on record.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished: MaybeTime,
    /// HTTP status; 0 for none.
    http_status: i32,
    /// `error.code` of a JSON-RPC error; 0 for none.
    error_code: i64,
    /// Payload bytes of the request.
    request_bytes: i64,
    /// Payload bytes of the answer.
    answer_bytes: i64,
    /// answered, error, unanswered, refused, not_forwarded, cancelled, upstream_lost, aborted, unknown, open.
    outcome: String,
    /// Rule of the proxy that refused or ended it.
    rule: String,
}

const COLUMNS: &str = "t.session_id AS session_id, t.exchange_id AS exchange_id, toString(t.tenant) AS tenant, \
    toString(t.direction) AS direction, t.rpc_id AS rpc_id, t.method AS method, t.name AS name, t.target AS target, \
    t.issuer AS issuer, t.subject AS subject, toInt64(toUnixTimestamp64Milli(t.called) * 1000) AS called, \
    toUnixTimestamp64Micro(t.started) AS started, ifNull(toUnixTimestamp64Micro(t.finished), 0) AS finished, \
    t.http_status AS http_status, t.error_code AS error_code, t.request_bytes AS request_bytes, \
    t.answer_bytes AS answer_bytes, toString(t.outcome) AS outcome, t.rule AS rule";

/// Where a page ends: calls are ordered by when their exchange began, its id, direction and id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct After(Moment, Uuid, String, String);

impl After {
    fn of(last: &Call) -> Self {
        let called = Moment(last.called.microseconds());
        Self(called, last.exchange_id, last.direction.clone(), last.rpc_id.clone())
    }

    /// No id that the database holds is longer than a payload may be, and no cursor that we gave out is.
    fn is_right(&self) -> bool {
        self.2.len() <= 16 && self.3.len() <= 4096 && !self.3.contains(char::is_control)
    }

    fn bind(self, select: Select) -> Select {
        select
            .bind("after_called", self.0.0)
            .bind("after_exchange", self.1)
            .bind("after_direction", self.2)
            .bind("after_rpc", self.3)
    }
}

/// Which page of a session's calls.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Calls on the page; default 200.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Limit<MOST>>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Cursor<After>>,
}

/// All that are given must fit.
#[derive(Clone, Debug, Default, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct CallFilter {
    /// Subject, e-mail address or name of the caller.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Term>,
    /// Name of the target.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Term>,
    /// Tool, prompt or resource URI.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<Term>,
    /// JSON-RPC method.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Term>,
    /// An outcome, as a call has it.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Term>,
    /// The tenant.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<Term>,
    /// Asked at or after; default: 24 hours before `to`.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Asked>,
    /// Asked before; default: now.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Asked>,
}

impl CallFilter {
    /// As much of a filter on sessions as calls have.
    pub(super) fn like(filter: &SessionFilter) -> Self {
        Self {
            user: filter.user.clone(),
            target: filter.target.clone(),
            tool: filter.tool.clone(),
            tenant: filter.tenant.clone(),
            from: filter.from,
            to: filter.to,
            method: None,
            outcome: None,
        }
    }

    /// The conditions, times always among them: the table is ordered by `called`.
    pub(super) fn on(&self, select: Select) -> Select {
        let text = |term: &Option<Term>| term.as_ref().map(|term| term.as_str().to_owned());
        let to = self.to.map_or_else(Time::now, |Asked(to)| to);
        let from = self.from.map_or_else(|| to.minus(LISTED), |Asked(from)| from);
        select
            .when("t.called >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')")
            .bind("from", from.microseconds())
            .when("t.called < fromUnixTimestamp64Micro({to:Int64}, 'UTC')")
            .bind("to", to.microseconds())
            .when_given(
                "has([t.subject, t.principal_email, t.principal_name], {user:String})",
                "user",
                text(&self.user),
            )
            .when_given("t.target = {target:String}", "target", text(&self.target))
            .when_given("t.name = {tool:String}", "tool", text(&self.tool))
            .when_given("t.method = {method:String}", "method", text(&self.method))
            .when_given("t.outcome = {outcome:String}", "outcome", text(&self.outcome))
            .when_given("t.tenant = {tenant:String}", "tenant", text(&self.tenant))
    }
}

/// Calls, latest first.
#[utoipa::path(get, path = "/api/v1/calls", tag = "calls", operation_id = "list_calls", params(CallFilter, Which),
    responses((status = 200, body = Page<Call>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Parameters(filter): Parameters<CallFilter>,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Problem> {
    let look = Look::at(Action::View, "calls", &(&filter, &which));
    let mut select = filter.on(Select::new(caller.scope(), Relation::Calls, COLUMNS));
    if let Some(after) = after(&which)? {
        select = after.bind(select.when(
            "t.called <= fromUnixTimestamp64Micro({after_called:Int64}, 'UTC') \
             AND (t.called, t.exchange_id, toString(t.direction), t.rpc_id) < (fromUnixTimestamp64Micro({after_called:Int64}, \
             'UTC'), {after_exchange:UUID}, {after_direction:String}, {after_rpc:String})",
        ));
    }
    let select = select.rest(
        "ORDER BY t.called DESC, t.exchange_id DESC, toString(t.direction) DESC, t.rpc_id DESC LIMIT {limit:UInt32}",
    );
    answer_page(&console, &caller, &look, select, Limit::or(which.limit, 200), After::of).await
}

/// Calls of a session, in their order.
#[utoipa::path(get, path = "/api/v1/sessions/{session}/calls", tag = "sessions", operation_id = "list_session_calls",
    params(("session" = Uuid, Path, description = "Its id"), Which),
    responses((status = 200, body = Page<Call>), (status = 404, description = "None, or not for this caller", body = ProblemBody),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn of_session(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Place(id): Place<SessionId>,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Problem> {
    let (session, look) = replayed(&console, &caller, id, "calls", &which).await?;
    // No call of a session is older than it or younger than its latest frame: `called` leads the table's order.
    let latest = session.measure(|session| session.latest.microseconds());
    let mut select = Select::new(caller.scope(), Relation::Calls, COLUMNS)
        .when("t.called >= fromUnixTimestamp64Micro({start:Int64}, 'UTC') - INTERVAL 1 MINUTE")
        .bind("start", id.start())
        .when("t.called <= fromUnixTimestamp64Micro({latest:Int64}, 'UTC') + INTERVAL 1 MINUTE")
        .bind("latest", latest)
        .when("t.session_start = fromUnixTimestamp64Micro({start:Int64}, 'UTC') AND t.session_id = {session:UUID}")
        .bind("session", id.0);
    if let Some(after) = after(&which)? {
        select = after.bind(select.when(
            "t.called >= fromUnixTimestamp64Micro({after_called:Int64}, 'UTC') \
             AND (t.called, t.exchange_id, toString(t.direction), t.rpc_id) > (fromUnixTimestamp64Micro({after_called:Int64}, \
             'UTC'), {after_exchange:UUID}, {after_direction:String}, {after_rpc:String})",
        ));
    }
    let select = select.rest("ORDER BY t.called, t.exchange_id, toString(t.direction), t.rpc_id LIMIT {limit:UInt32}");
    answer_page(&console, &caller, &look, select, Limit::or(which.limit, 200), After::of).await
}

fn after(which: &Which) -> Result<Option<After>, Problem> {
    match &which.cursor {
        None => Ok(None),
        Some(Cursor(after)) if after.is_right() => Ok(Some(after.clone())),
        Some(_) => Err(Problem::BadRequest(
            "a cursor is what an earlier page had as `next`".to_owned(),
        )),
    }
}
