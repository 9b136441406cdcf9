//! The values that a filter can have, with how many sessions have them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parameters::Parameters;
use super::session_filter::SessionFilter;
use crate::serve::Console;
use crate::serve::access::{Action, Look, answer};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select};

/// One value of one facet.
#[derive(Clone, Debug, Row, Serialize, Deserialize, ToSchema)]
pub(super) struct FacetValue {
    /// user, target, tool, client, tenant, outcome: the filter that takes the value.
    facet: String,
    /// The value.
    value: String,
    /// Sessions that have it.
    sessions: u64,
}

/// All facets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Facets {
    /// By facet, then the most frequent first; the first 20 of each.
    values: Vec<FacetValue>,
}

/// What the sessions that fit a filter have in common.
#[utoipa::path(get, path = "/api/v1/facets", tag = "search", operation_id = "list_facets", params(SessionFilter),
    responses((status = 200, body = Facets), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn facets(
    State(console): State<Arc<Console>>,
    caller: Caller,
    Parameters(filter): Parameters<SessionFilter>,
) -> Result<Response, Problem> {
    let look = Look::at(Action::Search, "facets", &filter);
    let select = Select::new(
        caller.scope(),
        Relation::Sessions,
        "pair.1 AS facet, pair.2 AS value, count() AS sessions",
    )
    .join(
        "ARRAY JOIN arrayConcat([\
         ('user', multiIf(t.principal_email != '', t.principal_email, t.principal_name != '', t.principal_name, t.subject)), \
         ('target', toString(t.target)), ('client', t.client_name), ('tenant', toString(t.tenant)), \
         ('outcome', if(t.errors > 0, 'error', 'ok'))], arrayMap(name -> ('tool', name), t.names)) AS pair",
    );
    let select = filter
        .of_whole(caller.scope(), select)
        .when("pair.2 != ''")
        .rest("GROUP BY facet, value ORDER BY facet, sessions DESC, value LIMIT 20 BY facet");
    let found = console.store.rows::<FacetValue>(&select).await?;
    answer(&console.access, &caller, &look, found.map(|values| Facets { values })).await
}
