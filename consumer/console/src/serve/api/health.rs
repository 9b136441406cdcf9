//! Whether recordings arrive, and what is known to be missing.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::serve::Console;
use crate::serve::access::{Action, Look, answer};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select, Whole};
use crate::serve::time::MaybeTime;

/// That this is answered says that ClickHouse answers and that the access log can be written.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Time of the latest frame in what the caller may see, of the last 24 hours; null: none.
    #[schema(value_type = Option<String>, format = DateTime)]
    latest_frame: MaybeTime,
    /// Frames that are known to be missing; null for those who are no administrators.
    missing_frames: Option<i64>,
}

#[derive(Clone, Debug, Row, Deserialize)]
struct Latest {
    latest: MaybeTime,
}

#[derive(Clone, Debug, Row, Deserialize)]
struct Missing {
    frames: i64,
}

/// Whether recordings arrive, and what is known to be missing.
#[utoipa::path(get, path = "/api/v1/health", tag = "oversight", operation_id = "get_health",
    responses((status = 200, body = Health), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn health(State(console): State<Arc<Console>>, caller: Caller) -> Result<Response, Problem> {
    let look = Look::at(Action::View, "health", &());
    let select = Select::new(
        caller.scope(),
        Relation::SessionParts,
        "toUnixTimestamp64Micro(max(t.last_time)) AS latest",
    )
    .when("t.session_start >= now64(6) - INTERVAL 1 DAY");
    let latest = console.store.rows::<Latest>(&select).await?;
    let missing = match caller.scope().administrator() {
        Err(_) => None,
        Ok(administrator) => {
            let select = Select::whole(
                administrator,
                caller.scope(),
                Whole::Gaps,
                "toInt64(sum(t.frames)) AS frames",
            );
            let missing = console.store.rows::<Missing>(&select).await?;
            Some(missing.measure(|rows| rows.first().map_or(0, |missing| missing.frames)))
        }
    };
    let found = latest.map(|rows| Health {
        latest_frame: rows.first().map_or(MaybeTime::NEVER, |latest| latest.latest),
        missing_frames: missing,
    });
    answer(&console.access, &caller, &look, found).await
}
