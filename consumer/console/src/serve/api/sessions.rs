//! Sessions: the list, and one.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::page::{Cursor, Moment, Page};
use super::parameters::{Limit, Parameters, Place, SessionId};
use super::session_filter::SessionFilter;
use crate::serve::Console;
use crate::serve::access::{Action, Look, Recorded, Tenant, answer};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select};
use crate::serve::rights::Scope;
use crate::serve::time::Time;
use crate::show::Heading;

/// Sessions on a page, at most.
const MOST: u32 = 200;
/// Parts of sessions that are looked at in one step where few of them may be left.
const CANDIDATES: u32 = 400;
/// Steps before a page is given out as it is.
const STEPS: usize = 8;

/// What one client did in one sitting.
#[derive(Clone, Debug, Row, Serialize, Deserialize, ToSchema)]
pub(crate) struct Session {
    /// Names the session; its start is in it.
    #[serde(with = "clickhouse::serde::uuid")]
    #[schema(value_type = Uuid)]
    pub(crate) session_id: Uuid,
    /// Tenant of the caller.
    pub(crate) tenant: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) started: Time,
    /// Time of its latest frame.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) latest: Time,
    /// Name of the MCP server.
    pub(crate) target: String,
    /// `iss` of the caller's token.
    pub(crate) issuer: String,
    /// `sub` of the caller's token; empty where nobody was known.
    pub(crate) subject: String,
    /// Name of the caller.
    pub(crate) name: String,
    /// E-mail address of the caller.
    pub(crate) email: String,
    /// OAuth client id.
    pub(crate) client_id: String,
    /// What the client calls itself; nobody has verified it.
    pub(crate) client_name: String,
    /// Addresses that the client came from.
    pub(crate) client_addresses: Vec<String>,
    /// MCP revision.
    pub(crate) revision: String,
    /// Frames so far.
    pub(crate) frames: u64,
    /// Requests to the target so far.
    pub(crate) calls: u64,
    /// Errors, refusals and bad ends so far.
    pub(crate) errors: u64,
    /// Payload bytes both ways so far.
    pub(crate) bytes: u64,
    /// Tools, prompts and resources used.
    pub(crate) names: Vec<String>,
    /// Several clients could not be told apart.
    pub(crate) shared: bool,
}

impl Session {
    /// Whose it is, for a terminal.
    pub(crate) fn heading(&self) -> Heading<'_> {
        Heading {
            started: self.started.microseconds(),
            user: [&self.email, &self.name, &self.subject],
            target: &self.target,
            client_address: self.client_addresses.first().map_or("", String::as_str),
            is_shared: self.shared,
        }
    }
}

/// Of `sessions_v` under the alias `t`, for [`Session`].
pub(crate) const COLUMNS: &str = "t.session_id AS session_id, toString(t.tenant) AS tenant, \
    toUnixTimestamp64Micro(t.session_start) AS started, toUnixTimestamp64Micro(t.last_time) AS latest, \
    toString(t.target) AS target, t.issuer AS issuer, t.subject AS subject, t.principal_name AS name, \
    t.principal_email AS email, t.client_id AS client_id, t.client_name AS client_name, \
    t.client_addresses AS client_addresses, t.revision AS revision, t.frames AS frames, t.calls AS calls, \
    t.errors AS errors, t.bytes AS bytes, t.names AS names, t.shared = 1 AS shared";

/// A part of a session: enough to find it.
#[derive(Clone, Copy, Debug, Row, Deserialize)]
struct Candidate {
    started: i64,
    #[serde(with = "clickhouse::serde::uuid")]
    session_id: Uuid,
}

/// Which page of which sessions.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Sessions on the page; default 50.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Limit<MOST>>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Cursor<(Moment, Uuid)>>,
}

/// Sessions, newest first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", operation_id = "list_sessions", params(SessionFilter, Which),
    responses((status = 200, body = Page<Session>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Parameters(filter): Parameters<SessionFilter>,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Problem> {
    let action = match filter.text {
        Some(_) => Action::Search,
        None => Action::View,
    };
    let look = Look::at(action, "sessions", &(&filter, &which));
    let found = find(&console, caller.scope(), &filter, &which).await?;
    answer(&console.access, &caller, &look, found).await
}

/// Two steps: candidates by the order of the table, which stops early, then what they are, whole. Parts of one session are
/// candidates of their own, and some filters hold only for whole sessions; so it is done again until the page is full.
async fn find(
    console: &Console,
    scope: &Scope,
    filter: &SessionFilter,
    which: &Which,
) -> Result<Recorded<Page<Session>>, Problem> {
    let limit = Limit::or(which.limit, 50);
    // Few sessions are in several parts, those that began just now: no more than the page and some of them.
    let candidates = match filter.is_of_one_part() {
        false => CANDIDATES.max(limit * 2),
        true => limit + 1 + limit / 4,
    };
    let mut after = which
        .cursor
        .as_ref()
        .map(|Cursor((Moment(start), session))| (*start, *session));
    let mut page = Recorded::found(Vec::new());
    for _ in 0..STEPS {
        let mut select = Select::new(
            scope,
            Relation::SessionParts,
            "toUnixTimestamp64Micro(t.session_start) AS started, t.session_id AS session_id",
        );
        select = filter.of_any_part(scope, select);
        if let Some((start, session)) = after {
            select = select
                .when("t.session_start <= fromUnixTimestamp64Micro({after_start:Int64}, 'UTC')")
                .when(
                    "(t.session_start, t.session_id) < (fromUnixTimestamp64Micro({after_start:Int64}, 'UTC'), {after:UUID})",
                )
                .bind("after_start", start)
                .bind("after", session);
        }
        let select = select
            .rest("ORDER BY t.session_start DESC, t.session_id DESC LIMIT {candidates:UInt32}")
            .bind("candidates", candidates);
        let parts = console.store.rows::<Candidate>(&select).await?;
        let mut is_end = parts.rows() < u64::from(candidates);
        let mut places = places(&parts);
        let room = limit as usize - page.rows() as usize;
        if filter.is_of_one_part() && places.len() > room + 1 {
            places.truncate(room + 1);
            is_end = false;
        }
        let Some(last) = places.last().copied() else {
            after = None;
            break;
        };
        let more = whole(console, scope, filter, &places, room + 1).await?;
        let is_full = more.rows() > room as u64;
        page.append(more.truncate(room));
        if is_full {
            after = page
                .measure(|page: &Vec<Session>| page.last().map(|last| (last.started.microseconds(), last.session_id)));
            break;
        }
        after = (!is_end).then_some(last);
        if is_end {
            break;
        }
    }
    Ok(page.map(|items| Page {
        items,
        next: after.map(|(start, session)| Cursor((Moment(start), session)).text()),
    }))
}

/// The distinct sessions that parts are of, in their order.
fn places(parts: &Recorded<Vec<Candidate>>) -> Vec<(i64, Uuid)> {
    let mut places = parts.measure(|parts| {
        let places = parts.iter().map(|part| (part.started, part.session_id));
        places.collect::<Vec<_>>()
    });
    places.dedup();
    places
}

/// The sessions at these places, whole: each is in one granule of the table.
async fn whole(
    console: &Console,
    scope: &Scope,
    filter: &SessionFilter,
    places: &[(i64, Uuid)],
    limit: usize,
) -> Result<Recorded<Vec<Session>>, Problem> {
    // The view says the same, but half of the time would go into planning it. No other partition has a part of them.
    let select = Select::new(scope, Relation::SessionParts, COLUMNS)
        .join("FINAL PREWHERE (t.session_start, t.session_id) IN {places:Array(Tuple(DateTime64(6, 'UTC'), UUID))}")
        .bind("places", places)
        .rest(
            "ORDER BY t.session_start DESC, t.session_id DESC LIMIT {limit:UInt32} \
             SETTINGS do_not_merge_across_partitions_select_final = 1",
        )
        .bind("limit", limit as u64);
    // The text was looked for when the candidates were found.
    let without_text = SessionFilter {
        text: None,
        ..filter.clone()
    };
    console
        .store
        .rows::<Session>(&without_text.of_whole(scope, select))
        .await
}

/// One session, if the caller may see it; that there is none and that they may not look the same.
pub(super) async fn visible(console: &Console, scope: &Scope, id: SessionId) -> Result<Recorded<Session>, Problem> {
    let select = Select::new(scope, Relation::SessionParts, COLUMNS)
        .join(
            "FINAL PREWHERE t.session_start = fromUnixTimestamp64Micro({session_start:Int64}, 'UTC') \
             AND t.session_id = {session:UUID}",
        )
        .bind("session_start", id.start())
        .bind("session", id.0)
        .rest("LIMIT 1");
    let found = console.store.rows::<Session>(&select).await?.first();
    found.ok_or(Problem::NotFound("there is no such session, or not for you"))
}

/// A look at a session, which names its tenant.
pub(super) fn look(action: Action, object: &str, filter: &impl Serialize, session: &Recorded<Session>) -> Look {
    let (tenant, id) = session.measure(|session| (Tenant(session.tenant.clone()), session.session_id));
    Look::at(action, object, filter).of_tenant(tenant).into_session(id)
}

/// The session of which something is about to be shown, and that look.
pub(super) async fn replayed(
    console: &Console,
    caller: &Caller,
    id: SessionId,
    object: &str,
    which: &impl Serialize,
) -> Result<(Recorded<Session>, Look), Problem> {
    let session = visible(console, caller.scope(), id).await?;
    let look = look(Action::Replay, object, which, &session);
    Ok((session, look))
}

/// One session.
#[utoipa::path(get, path = "/api/v1/sessions/{session}", tag = "sessions", operation_id = "get_session",
    params(("session" = Uuid, Path, description = "Its id")),
    responses((status = 200, body = Session), (status = 404, description = "None, or not for this caller", body = ProblemBody),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn one(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Place(id): Place<SessionId>,
) -> Result<Response, Problem> {
    let session = visible(&console, caller.scope(), id).await?;
    let look = look(Action::View, "session", &(), &session);
    answer(&console.access, &caller, &look, session).await
}
