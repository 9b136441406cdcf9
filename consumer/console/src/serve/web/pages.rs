//! The web pages: one application, whatever the path, and the files that it is made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::files::{File, files};
use crate::serve::Console;
use crate::serve::access::nothing_recorded;
use crate::serve::problem::Problem;

/// Where people are within the application; a link to any of these works.
const PLACES: [&str; 9] = [
    "/",
    "/sessions",
    "/sessions/{session}",
    "/live",
    "/overview",
    "/access",
    "/dead-letters",
    "/values",
    "/compare",
];

/// Said in the pages' stead where the build had no Node.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>tapedeck</title>\
    <link rel=\"stylesheet\" href=\"/api/style.css\"></head><body><main><h1>The web pages are not in this program</h1>\
    <p>It was built where Node.js was missing, or without a network. To have them, install Node.js 20.19 or newer with npm and \
    build again:</p><pre>touch consumer/console/build.rs\ncargo install --path consumer/console</pre><p>What went wrong is \
    a warning of the build. <a href=\"/api/\">The API</a> is here all the same.</p></main></body></html>";

type Files = Arc<BTreeMap<String, File>>;

/// The pages, their files, and the icon.
pub(super) fn routes() -> Router<Arc<Console>> {
    let routes = PLACES
        .into_iter()
        .fold(Router::new(), |routes, place| routes.route(place, get(page)));
    routes
        .route("/assets/{name}", get(asset))
        .route("/icon.svg", get(icon))
        .layer(Extension(Arc::new(files())))
}

async fn page(Extension(files): Extension<Files>, headers: HeaderMap) -> Response {
    match files.get("index.html") {
        Some(file) => send(file, &headers),
        None => {
            let html = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store")];
            nothing_recorded((html, NOT_BUILT).into_response())
        }
    }
}

async fn icon(Extension(files): Extension<Files>, headers: HeaderMap) -> Result<Response, Problem> {
    find(&files, "icon.svg", &headers)
}

async fn asset(
    State(_): State<Arc<Console>>,
    Extension(files): Extension<Files>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    find(&files, &format!("assets/{name}"), &headers)
}

fn find(files: &Files, path: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let file = files
        .get(path)
        .ok_or(Problem::NotFound("there is nothing at this path"))?;
    Ok(send(file, headers))
}

/// RFC 9110, sections 8.8.3 and 12.5.3: each coding has a tag of its own.
fn send(file: &File, headers: &HeaderMap) -> Response {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let (coding, content, tag) = file.coded(text(ACCEPT_ENCODING));
    let has = text(IF_NONE_MATCH)
        .split(',')
        .any(|one| one.trim().trim_start_matches("W/") == tag);
    let mut response = match has {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => content.into_response(),
    };
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
    if let Some(name) = coding.name() {
        fields.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    let cached = match file.is_immutable {
        true => "public, max-age=31536000, immutable",
        // Asked for anew each time, and most often not sent again.
        false => "no-cache",
    };
    fields.insert(CACHE_CONTROL, HeaderValue::from_static(cached));
    fields.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    fields.insert(
        ETAG,
        HeaderValue::from_str(tag).expect("base64url in quotes is a header field"),
    );
    nothing_recorded(response)
}
