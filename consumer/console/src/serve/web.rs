//! All routes, and what stands in front of them.

mod files;
mod pages;
#[cfg(test)]
mod types;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use tokio_util::sync::CancellationToken;

use super::access::nothing_recorded;
use super::problem::Problem;
use super::{Console, api, edge, identity};

/// No request has a body worth more.
const BODY: usize = 64 * 1024;

/// Everything that is served.
pub(super) fn router(console: Arc<Console>, shutdown: CancellationToken) -> Router {
    let (routes, description) = api::routes();
    let description = Arc::new(api::Described::new(&description));
    Router::new()
        .merge(routes)
        .merge(pages::routes())
        .route("/healthz", get(alive))
        .merge(api::pages(description))
        .fallback(async || Problem::NotFound("there is nothing at this path"))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(Extension(api::Shutdown(shutdown)))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&console),
            identity::same_site,
        ))
        .layer(middleware::from_fn_with_state(Arc::clone(&console), edge::pass))
        .with_state(console)
}

/// The process is there; says nothing about ClickHouse, for whose sake nobody should restart it.
async fn alive() -> Response {
    let text = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    nothing_recorded((text, "ok\n").into_response())
}
