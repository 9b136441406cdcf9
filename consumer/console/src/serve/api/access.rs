//! The access log itself: who looked at what.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::page::{Cursor, Moment, Page, answer_page};
use super::parameters::{Limit, Parameters, Term};
use crate::serve::Console;
use crate::serve::access::{Action, Look};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select};
use crate::serve::time::{Asked, Time};

/// Entries on a page, at most.
const MOST: u32 = 500;

/// Somebody looked at something, or was not allowed to.
#[derive(Clone, Debug, Row, Serialize, Deserialize, ToSchema)]
pub(super) struct AccessEntry {
    /// Names the entry.
    #[serde(with = "clickhouse::serde::uuid")]
    #[schema(value_type = Uuid)]
    id: Uuid,
    /// When it was written, which is before the answer left.
    #[schema(value_type = String, format = DateTime)]
    time: Time,
    /// Who: `iss` of the verified token; empty where nobody was known, or for a database user.
    issuer: String,
    /// Who: `sub` of the verified token, or the name of the database user.
    subject: String,
    /// Their name.
    name: String,
    /// Their e-mail address.
    email: String,
    /// The right that was used: viewer, auditor, administrator, sql; empty where none was.
    role: String,
    /// view, search, replay, tail, export, sign_in, sign_out, sql, …
    action: String,
    /// allowed, refused, failed.
    outcome: String,
    /// Why it was refused or failed.
    reason: String,
    /// Tenant of what was looked at, where it is one.
    tenant: String,
    /// The session that was looked at; nil: none, or several.
    #[serde(with = "clickhouse::serde::uuid")]
    #[schema(value_type = Uuid)]
    session_id: Uuid,
    /// What else was looked at.
    object: String,
    /// The question as asked.
    filter: String,
    /// Rows or frames that were shown.
    rows: u64,
    /// Bytes that were sent.
    bytes: u64,
    /// Address that the question came from.
    client_address: String,
    /// `User-Agent`; nobody has verified it.
    user_agent: String,
    /// Names the request, as the answer's `X-Request-Id` does.
    #[serde(with = "clickhouse::serde::uuid")]
    #[schema(value_type = Uuid)]
    request_id: Uuid,
}

const COLUMNS: &str = "t.id AS id, toUnixTimestamp64Micro(t.time) AS time, toString(t.issuer) AS issuer, \
    toString(t.subject) AS subject, toString(t.name) AS name, toString(t.email) AS email, toString(t.role) AS role, \
    toString(t.action) AS action, toString(t.outcome) AS outcome, t.reason AS reason, toString(t.tenant) AS tenant, \
    t.session_id AS session_id, t.object AS object, t.filter AS filter, t.rows AS rows, t.bytes AS bytes, \
    toString(t.client_address) AS client_address, toString(t.user_agent) AS user_agent, t.request_id AS request_id";

/// All that are given must fit.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Subject, e-mail address or name of who looked.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Term>,
    /// What was done.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<Term>,
    /// What came of it.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Term>,
    /// The session that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<Uuid>,
    /// At or after.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Asked>,
    /// Before.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Asked>,
    /// Entries on the page; default 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<Limit<MOST>>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<Cursor<(Moment, Uuid)>>,
}

/// Who looked at what, latest first: viewers see their own looks, auditors also those at sessions of their tenants.
#[utoipa::path(get, path = "/api/v1/access", tag = "oversight", operation_id = "list_access", params(Which),
    responses((status = 200, body = Page<AccessEntry>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Problem> {
    let look = Look::at(Action::View, "access", &which);
    let text = |term: &Option<Term>| term.as_ref().map(|term| term.as_str().to_owned());
    let micro = |asked: Option<Asked>| asked.map(|Asked(time)| time.microseconds());
    let mut select = Select::new(caller.scope(), Relation::Access, COLUMNS)
        .when_given(
            "has([t.subject, t.email, t.name], {user:String})",
            "user",
            text(&which.user),
        )
        .when_given("t.action = {action:String}", "action", text(&which.action))
        .when_given("t.outcome = {outcome:String}", "outcome", text(&which.outcome))
        .when_given("t.session_id = {session:UUID}", "session", which.session)
        .when_given(
            "t.time >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')",
            "from",
            micro(which.from),
        )
        .when_given(
            "t.time < fromUnixTimestamp64Micro({to:Int64}, 'UTC')",
            "to",
            micro(which.to),
        );
    if let Some(Cursor((Moment(time), id))) = which.cursor {
        select = select
            .when(
                "t.time <= fromUnixTimestamp64Micro({after:Int64}, 'UTC') \
                 AND (t.time, t.id) < (fromUnixTimestamp64Micro({after:Int64}, 'UTC'), {after_id:UUID})",
            )
            .bind("after", time)
            .bind("after_id", id);
    }
    let select = select.rest("ORDER BY t.time DESC, t.id DESC LIMIT {limit:UInt32}");
    let place = |entry: &AccessEntry| (Moment(entry.time.microseconds()), entry.id);
    answer_page(&console, &caller, &look, select, Limit::or(which.limit, 100), place).await
}
