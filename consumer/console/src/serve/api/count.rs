//! How many sessions fit a filter, as far as anybody wants to know.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::Parameters;
use super::session_filter::SessionFilter;
use crate::serve::Console;
use crate::serve::access::{Action, Look, answer};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select};

/// As far as is counted: a list of more is not read but narrowed.
const MOST: u64 = 1000;

/// How many sessions there are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Count {
    /// Sessions that fit; 1000 at most.
    sessions: u64,
    /// There are more than these.
    is_more: bool,
}

/// How many sessions fit a filter, counted up to 1000.
#[utoipa::path(get, path = "/api/v1/sessions/count", tag = "sessions", operation_id = "count_sessions", params(SessionFilter),
    responses((status = 200, body = Count), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn count(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Parameters(filter): Parameters<SessionFilter>,
) -> Result<Response, Problem> {
    let look = Look::at(Action::Search, "count", &filter);
    let select = Select::new(caller.scope(), Relation::SessionParts, "toUInt8(1) AS one");
    // Parts stop being read as soon as there are enough, and those of one session count once. Where what is asked may stand
    // in different parts, or in none, whole sessions are counted.
    let select = if filter.is_of_one_part() {
        filter
            .of_any_part(caller.scope(), select)
            .rest("LIMIT 1 BY t.session_start, t.session_id LIMIT {limit:UInt64}")
    } else {
        filter
            .of_whole(caller.scope(), select.join("FINAL"))
            .rest("LIMIT {limit:UInt64} SETTINGS do_not_merge_across_partitions_select_final = 1")
    };
    let select = select.bind("limit", MOST + 1);
    let found = console.store.rows::<u8>(&select).await?;
    let sessions = found.rows();
    let count = Count {
        sessions: sessions.min(MOST),
        is_more: sessions > MOST,
    };
    answer(&console.access, &caller, &look, found.map(|_| count)).await
}
