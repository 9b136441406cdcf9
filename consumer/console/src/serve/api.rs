//! The API, `/api/v1`: one file for each thing that can be asked for. Routes and description come from the same handlers.

mod access;
mod calls;
mod count;
mod dead_letters;
mod exports;
mod facets;
mod frames;
mod health;
mod live;
mod me;
mod outline;
mod page;
mod pages;
mod parameters;
mod search;
mod session_filter;
mod sessions;
mod statistics;
mod values;

use std::sync::Arc;

use axum::Router;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Console;
use super::identity;
use super::problem::ProblemBody;

pub(crate) use frames::{COLUMNS as FRAME_COLUMNS, Frame, FramePage};
pub(crate) use page::Page;
pub(super) use pages::{Described, pages};
pub(crate) use search::Hit;
pub(crate) use sessions::{COLUMNS as SESSION_COLUMNS, Session};
pub(crate) use values::Holder;

/// Cancelled when the server ends: live streams must not keep it.
#[derive(Clone, Debug)]
pub(super) struct Shutdown(pub(super) CancellationToken);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tapedeck",
        description = "Recorded MCP sessions. Every look is written down before it is answered; what is answered is what the \
            caller may see: viewers their own sessions, auditors those of their tenants, administrators all. Times are \
            RFC 3339 in UTC. Lists are paged by an opaque `cursor`, which a page has as `next` unless it is the last.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(ProblemBody)),
    modifiers(&Schemes),
    security(("session" = []), ("bearer" = [])),
    tags(
        (name = "sessions", description = "What one client did in one sitting"),
        (name = "calls", description = "JSON-RPC requests and their answers"),
        (name = "search", description = "Finding and counting"),
        (name = "live", description = "Server-sent events"),
        (name = "oversight", description = "Who looked, and what is missing"),
        (name = "sign-in", description = "OpenID Connect in a browser"),
    )
)]
struct Description;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let cookie = ApiKeyValue::with_description(
            "__Host-tapedeck",
            "Set by /auth/sign-in. Unsafe methods also need the origin's own `Origin` and the token of /api/v1/me in \
             `X-CSRF-Token`.",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(
                "An access token of the configured issuer, for the configured audience (RFC 9068).",
            ))
            .build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

fn described() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(me::me))
        .routes(routes!(sessions::list))
        .routes(routes!(count::count))
        .routes(routes!(sessions::one))
        .routes(routes!(outline::outline))
        .routes(routes!(frames::page))
        .routes(routes!(frames::one))
        .routes(routes!(calls::of_session))
        .routes(routes!(live::frames))
        .routes(routes!(live::sessions))
        .routes(routes!(calls::list))
        .routes(routes!(search::search))
        .routes(routes!(values::find))
        .routes(routes!(facets::facets))
        .routes(routes!(statistics::statistics))
        .routes(routes!(access::list))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::one))
        .routes(routes!(health::health))
        .routes(routes!(exports::of_session))
        .routes(routes!(exports::of_sessions))
        .routes(routes!(exports::manifest))
        .routes(routes!(identity::programs))
        .routes(routes!(identity::sign_in))
        .routes(routes!(identity::callback))
        .routes(routes!(identity::sign_out))
}

/// When a session began, as its id says: microseconds since 1970.
pub(crate) fn start_of(session: Uuid) -> i64 {
    parameters::SessionId(session).start()
}

/// All routes of the API with their description.
pub(super) fn routes() -> (Router<Arc<Console>>, utoipa::openapi::OpenApi) {
    described().split_for_parts()
}

/// The description alone.
pub(super) fn description() -> utoipa::openapi::OpenApi {
    described().into_openapi()
}
