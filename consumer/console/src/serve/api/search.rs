//! Text in what was said, frame by frame.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use jiff::SignedDuration;
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

/// Hits on a page, at most.
const MOST: u32 = 200;
/// How far back is searched, unless the client says otherwise: payloads are read, not looked up.
const SEARCHED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A frame that holds the text.
#[derive(Clone, Debug, Row, Serialize, Deserialize, ToSchema)]
pub(crate) struct Hit {
    /// The session; nil for what belongs to none.
    #[serde(with = "clickhouse::serde::uuid")]
    #[schema(value_type = Uuid)]
    pub(crate) session_id: Uuid,
    /// The frame's number in the session.
    pub(crate) session_seq: u64,
    /// Segment of the frame.
    #[serde(with = "clickhouse::serde::uuid")]
    #[schema(value_type = Uuid)]
    pub(crate) segment_id: Uuid,
    /// Number in the segment.
    pub(crate) seq: i64,
    /// The proxy's wall clock.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) time: Time,
    /// Tenant of the caller.
    pub(crate) tenant: String,
    /// Name of the MCP server.
    pub(crate) target: String,
    /// `sub` of the caller's token.
    pub(crate) subject: String,
    /// to_target, to_client, none.
    pub(crate) direction: String,
    /// JSON-RPC method.
    pub(crate) method: String,
    /// Tool, prompt or resource URI.
    pub(crate) name: String,
    /// The text, with what stands before and after it.
    pub(crate) excerpt: String,
    /// Where in the excerpt the text begins, in characters from 0.
    pub(crate) excerpt_at: u64,
}

const COLUMNS: &str = "t.session_id AS session_id, t.session_seq AS session_seq, t.segment_id AS segment_id, t.seq AS seq, \
    toUnixTimestamp64Micro(t.time) AS time, toString(t.tenant) AS tenant, toString(t.target) AS target, \
    toString(t.subject) AS subject, toString(t.direction) AS direction, toString(t.rpc_method) AS method, \
    toString(t.rpc_name) AS name, \
    substringUTF8(toValidUTF8(t.payload), greatest(toInt64(positionCaseInsensitiveUTF8(t.payload, {text:String})) - 80, 1), 240) \
    AS excerpt, toUInt64(least(positionCaseInsensitiveUTF8(t.payload, {text:String}) - 1, 80)) AS excerpt_at";

/// What to look for, and where.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// The text, upper and lower case alike.
    #[param(value_type = String, min_length = 1, max_length = 512)]
    text: Term,
    /// Begun at or after; default: seven days before `to`.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Asked>,
    /// Begun before; default: now.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Asked>,
    /// In this session only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<Uuid>,
    /// With this target only.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Term>,
    /// In what was said of this tool, prompt or resource only.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool: Option<Term>,
    /// Hits on the page; default 50.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<Limit<MOST>>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<Cursor<(Moment, Uuid, i64)>>,
}

/// Frames that hold a text, latest first.
#[utoipa::path(get, path = "/api/v1/search", tag = "search", operation_id = "search", params(Search),
    responses((status = 200, body = Page<Hit>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn search(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Parameters(search): Parameters<Search>,
) -> Result<Response, Problem> {
    let look = Look::at(Action::Search, "frames", &search).into_session(search.session.unwrap_or_default());
    let text = |term: &Option<Term>| term.as_ref().map(|term| term.as_str().to_owned());
    let to = search.to.map_or_else(Time::now, |Asked(to)| to);
    let from = search.from.map_or_else(|| to.minus(SEARCHED), |Asked(from)| from);
    let mut select = Select::new(caller.scope(), Relation::Frames, COLUMNS)
        .when("t.session_start >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')")
        .bind("from", from.microseconds())
        .when("t.session_start < fromUnixTimestamp64Micro({to:Int64}, 'UTC')")
        .bind("to", to.microseconds())
        .when("positionCaseInsensitiveUTF8(t.payload, {text:String}) > 0")
        .bind("text", search.text.as_str())
        .when_given("t.session_id = {session:UUID}", "session", search.session)
        .when_given("t.target = {target:String}", "target", text(&search.target))
        .when_given("t.rpc_name = {tool:String}", "tool", text(&search.tool));
    if let Some(Cursor((Moment(time), segment, seq))) = search.cursor {
        select = select
            .when(
                "(t.time, t.segment_id, t.seq) < (fromUnixTimestamp64Micro({after:Int64}, 'UTC'), {after_segment:UUID}, \
                 {after_seq:Int64})",
            )
            .bind("after", time)
            .bind("after_segment", segment)
            .bind("after_seq", seq);
    }
    let select = select.rest("ORDER BY t.time DESC, t.segment_id DESC, t.seq DESC LIMIT {limit:UInt32}");
    let place = |hit: &Hit| (Moment(hit.time.microseconds()), hit.segment_id, hit.seq);
    answer_page(&console, &caller, &look, select, Limit::or(search.limit, 50), place).await
}
