//! What an export was: the two rows of the access log, at its beginning and at its end.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::serve::Console;
use crate::serve::access::{Action, Look, answer};
use crate::serve::api::parameters::{Place, SessionId};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select};
use crate::serve::time::Time;

/// What an export was, from the access log: proof of who got what, and a hash to hold a file against.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::serve::api) struct Manifest {
    /// The export: the `X-Request-Id` of its answer.
    id: Uuid,
    /// complete, broken_off, or under_way.
    state: &'static str,
    /// Why it broke off.
    reason: String,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    asked: Time,
    /// When its last piece was let go, or it broke off; null while it is under way.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended: Option<Time>,
    /// `iss` of who got it.
    issuer: String,
    /// `sub` of who got it.
    subject: String,
    /// Their name.
    name: String,
    /// Their e-mail address.
    email: String,
    /// The right that was used.
    role: String,
    /// The session; nil: several.
    session_id: Uuid,
    /// The tenant, where it is a session's.
    tenant: String,
    /// The question: form, filters and bound.
    #[schema(value_type = Object)]
    question: Value,
    /// Frames in it.
    frames: u64,
    /// Its bytes, of the whole also where an answer began later.
    bytes: u64,
    /// SHA-256 of the whole, hexadecimal; empty unless it is complete.
    sha256: String,
}

#[derive(Clone, Debug, Row, Deserialize)]
struct Line {
    time: Time,
    issuer: String,
    subject: String,
    name: String,
    email: String,
    role: String,
    outcome: String,
    reason: String,
    tenant: String,
    #[serde(with = "clickhouse::serde::uuid")]
    session_id: Uuid,
    object: String,
    filter: String,
    rows: u64,
    bytes: u64,
}

/// What an export was: who asked what, how many frames and bytes it is, and its hash.
#[utoipa::path(get, path = "/api/v1/exports/{export}", tag = "oversight", operation_id = "get_export",
    params(("export" = Uuid, Path, description = "The `X-Request-Id` of the export's answer")),
    responses((status = 200, body = Manifest), (status = 404, description = "None, or not for this caller", body = ProblemBody),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(in crate::serve::api) async fn manifest(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Place(id): Place<SessionId>,
) -> Result<Response, Problem> {
    let SessionId(export) = id;
    let look = Look::at(Action::View, "export", &export);
    let columns = "toUnixTimestamp64Micro(t.time) AS time, toString(t.issuer) AS issuer, toString(t.subject) AS subject, \
        toString(t.name) AS name, toString(t.email) AS email, toString(t.role) AS role, toString(t.outcome) AS outcome, \
        t.reason AS reason, toString(t.tenant) AS tenant, t.session_id AS session_id, t.object AS object, \
        t.filter AS filter, t.rows AS rows, t.bytes AS bytes";
    let select = Select::new(caller.scope(), Relation::Access, columns)
        // The id says when it was asked for; clocks may differ by a little.
        .when("t.time >= fromUnixTimestamp64Micro({asked:Int64}, 'UTC') - INTERVAL 5 MINUTE")
        .bind("asked", id.start())
        .when("t.request_id = {export:UUID} AND t.action = 'export' AND t.outcome != 'refused'")
        .bind("export", export)
        .rest("ORDER BY t.time, t.id LIMIT 2");
    let lines = console.store.rows::<Line>(&select).await?;
    if lines.rows() == 0 {
        return Err(Problem::NotFound("there is no such export, or not for you"));
    }
    let found = lines.map(|lines| Manifest::of(export, &lines));
    answer(&console.access, &caller, &look, found).await
}

impl Manifest {
    /// Of the row at its beginning, and the one at its end, if there is one.
    fn of(id: Uuid, lines: &[Line]) -> Option<Self> {
        let begun = lines.first()?;
        let end = lines.get(1);
        let is_complete = end.is_some_and(|end| end.outcome == "allowed");
        let hash = end.and_then(|end| end.object.strip_prefix("sha256:"));
        Some(Self {
            id,
            state: match end {
                None => "under_way",
                Some(_) if is_complete => "complete",
                Some(_) => "broken_off",
            },
            reason: end.map_or_else(String::new, |end| end.reason.clone()),
            asked: begun.time,
            ended: end.map(|end| end.time),
            issuer: begun.issuer.clone(),
            subject: begun.subject.clone(),
            name: begun.name.clone(),
            email: begun.email.clone(),
            role: begun.role.clone(),
            session_id: begun.session_id,
            tenant: begun.tenant.clone(),
            question: serde_json::from_str(&begun.filter).unwrap_or_default(),
            frames: end.map_or(0, |end| end.rows),
            bytes: end.map_or(0, |end| end.bytes),
            sha256: hash.filter(|_| is_complete).unwrap_or_default().to_owned(),
        })
    }
}
