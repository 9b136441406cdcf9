//! Sessions that held a value. The value itself was not kept: its tokens were.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

use super::page::{Cursor, Moment, Page};
use super::parameters::Term;
use crate::serve::Console;
use crate::serve::access::{Action, Look, Tenant, answer};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select, Value};
use crate::serve::rights::Tenants;
use crate::serve::time::{Asked, Time};

/// Sessions on a page, at most.
const MOST: u32 = 200;
/// Sessions on a page, unless the client says otherwise.
const USUAL: u32 = 50;
/// Tenants that are searched at once: each has tokens of its own, for each kind of value.
const TENANTS: u32 = 16;

/// A session in which the value stood.
#[derive(Clone, Debug, Row, Serialize, Deserialize, ToSchema)]
pub(crate) struct Holder {
    /// The session.
    #[serde(with = "clickhouse::serde::uuid")]
    #[schema(value_type = Uuid)]
    pub(crate) session_id: Uuid,
    /// Tenant of the caller.
    pub(crate) tenant: String,
    /// Name of the MCP server.
    pub(crate) target: String,
    /// `sub` of the caller's token.
    pub(crate) subject: String,
    /// Time of the first frame that held it.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) first: Time,
    /// Time of the latest.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) latest: Time,
    /// How many frames held it.
    pub(crate) frames: u64,
    /// Number in the session of the first of them.
    pub(crate) session_seq: u64,
    /// What it was taken for: card, email, …
    pub(crate) kinds: Vec<String>,
}

const COLUMNS: &str = "t.session_id AS session_id, toString(any(t.tenant)) AS tenant, toString(any(t.target)) AS target, \
    toString(max(t.subject)) AS subject, toUnixTimestamp64Micro(min(t.time)) AS first, \
    toUnixTimestamp64Micro(max(t.time)) AS latest, count() AS frames, min(t.session_seq) AS session_seq, \
    arraySort(groupUniqArrayArray(arrayMap(token -> splitByChar(':', token)[1], \
    arrayFilter(token -> has({tokens:Array(String)}, token), t.tokens)))) AS kinds";

/// What to look for, and where.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The value as anybody might write it, such as a card's number, an e-mail address, a phone number.
    // The access log has the question, and null here.
    #[serde(serialize_with = "withheld")]
    #[schema(value_type = String, min_length = 1, max_length = 512)]
    value: Term,
    /// In this tenant only; default: all those that the caller audits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512)]
    tenant: Option<String>,
    /// With this target only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 512)]
    target: Option<Term>,
    /// In sessions that began at or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Asked>,
    /// In sessions that began before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<Asked>,
    /// Sessions on the page; default 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    cursor: Option<Cursor<(Moment, Uuid)>>,
}

fn withheld<S: Serializer>(_: &Term, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_unit()
}

#[derive(Row, Deserialize)]
struct Named {
    tenant: String,
}

/// Sessions of the tenants that one audits in which a value stood that redaction has replaced by a token, the latest first.
/// Asked by POST, so that the value stands in no address; it is not on the access log either, which has all else.
#[utoipa::path(post, path = "/api/v1/values", tag = "search", operation_id = "find_value", request_body = Wanted,
    responses((status = 200, body = Page<Holder>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn find(
    State(console): State<Arc<Console>>,
    caller: Caller,
    question: Bytes,
) -> Result<Response, Problem> {
    // Who may not try values out learns nothing about how that is asked.
    caller.scope().auditor()?;
    let Some(values) = &console.values else {
        return Err(Problem::NotFound(
            "values cannot be searched for here: the console has no [[tokens.key]]",
        ));
    };
    // What the parser says would quote the value.
    let wanted: Wanted = serde_json::from_slice(&question).map_err(|_| wrong())?;
    let limit = wanted.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(wrong());
    }
    let look = Look::at(Action::Search, "values", &wanted);
    let look = look.of_tenant(Tenant(wanted.tenant.clone().unwrap_or_default()));
    let tenants = match caller.scope().audited(wanted.tenant.clone())? {
        Tenants::Named(tenants) => tenants,
        Tenants::All => all(&console, &caller).await?,
    };
    let tokens: BTreeSet<String> = tenants
        .iter()
        .flat_map(|tenant| values.tokens_of(tenant, wanted.value.as_str()))
        .collect();

    let micro = |asked: Option<Asked>| asked.map(|Asked(time)| time.microseconds());
    let mut select = Select::new(caller.scope(), Relation::Frames, COLUMNS)
        .when("hasAny(t.tokens, {tokens:Array(String)})")
        .bind("tokens", Value::Texts(tokens.into_iter().collect()))
        .when("t.session_id != toUUID('00000000-0000-0000-0000-000000000000')")
        .when_given("t.tenant = {tenant:String}", "tenant", wanted.tenant.clone())
        .when_given(
            "t.target = {target:String}",
            "target",
            wanted.target.as_ref().map(Term::as_str),
        )
        .when_given(
            "t.session_start >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')",
            "from",
            micro(wanted.from),
        )
        .when_given(
            "t.session_start < fromUnixTimestamp64Micro({to:Int64}, 'UTC')",
            "to",
            micro(wanted.to),
        )
        .rest("GROUP BY t.session_id ORDER BY latest DESC, session_id DESC LIMIT {limit:UInt32}")
        .bind("limit", u64::from(limit) + 1);
    if let Some(Cursor((Moment(time), session))) = &wanted.cursor {
        select = select
            .rest(
                "GROUP BY t.session_id HAVING (latest, session_id) < ({after:Int64}, {after_session:UUID}) \
                 ORDER BY latest DESC, session_id DESC LIMIT {limit:UInt32}",
            )
            .bind("after", *time)
            .bind("after_session", *session);
    }
    let found = console.store.rows::<Holder>(&select).await?;
    let found = found.page(limit as usize, |holder| {
        (Moment(holder.latest.microseconds()), holder.session_id)
    });
    answer(&console.access, &caller, &look, found).await
}

/// The tenants that there are.
async fn all(console: &Console, caller: &Caller) -> Result<Vec<String>, Problem> {
    let select = Select::new(caller.scope(), Relation::SessionParts, "toString(t.tenant) AS tenant")
        .rest("GROUP BY tenant ORDER BY tenant LIMIT {limit:UInt32}")
        .bind("limit", TENANTS + 1);
    let tenants = console.store.rows::<Named>(&select).await?;
    if tenants.rows() > u64::from(TENANTS) {
        return Err(Problem::BadRequest("there are many tenants: say which one".to_owned()));
    }
    let tenants = tenants
        .measure(|tenants| -> Vec<Tenant> { tenants.iter().map(|named| Tenant(named.tenant.clone())).collect() });
    Ok(tenants.into_iter().map(|Tenant(tenant)| tenant).collect())
}

fn wrong() -> Problem {
    let message = "a JSON object is expected: `value`, a text of 1 to 512 bytes without control characters, and perhaps `tenant`, \
                   `target`, `from`, `to`, `limit` from 1 to 200, `cursor`";
    Problem::BadRequest(message.to_owned())
}
