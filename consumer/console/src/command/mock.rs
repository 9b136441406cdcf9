//! `tapedeck mock SESSION`: the recording as an MCP server, which answers each request as it was answered.

mod script;

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::api::Api;
use super::arguments::Mock;
use super::failure::Failure;
use super::messages::exchanges;
use crate::serve::listen;
use script::Script;

/// The longest message, in bytes.
const LONGEST: usize = 16 << 20;

pub(super) async fn mock(api: &Api, what: &Mock) -> anyhow::Result<()> {
    let frames = api.all_frames(what.session).await?;
    let script = Script::new(&exchanges(&frames), &what.fill)?;
    if script.is_empty() {
        return Err(Failure::NotFound(format!("session {} answers no request", what.session)).into());
    }
    let listener = TcpListener::bind(what.listen)
        .await
        .with_context(|| format!("listening on {}", what.listen))?;
    writeln!(
        io::stdout(),
        "http://{}/mcp answers {} requests of session {}",
        listener.local_addr()?,
        script.len(),
        what.session
    )?;
    io::stdout().flush()?;
    let router = Router::new()
        .route("/mcp", post(answer).delete(async || StatusCode::NO_CONTENT))
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(Arc::new(Mutex::new(script)));
    let shutdown = CancellationToken::new();
    let told = shutdown.clone();
    tokio::spawn(async move {
        // Where signals cannot be had, it is ended in another way.
        if tokio::signal::ctrl_c().await.is_ok() {
            told.cancel();
        }
    });
    listen(listener, None, router, shutdown).await;
    Ok(())
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, headers: HeaderMap, body: Bytes) -> Response {
    // A page in a browser, whatever it calls this server, has an origin that is not ours (MCP, "Security Warning").
    let is_foreign = headers.get(ORIGIN).is_some_and(|origin| {
        let host = headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        origin != &format!("http://{host}")
    });
    if is_foreign {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        let error = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32700, "message": "no JSON" } });
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    };
    let Some(id) = message.get("id").filter(|_| message.get("method").is_some()) else {
        return StatusCode::ACCEPTED.into_response();
    };
    // A panic while the lock was held leaves counters that are at most one off.
    let found = script.lock().unwrap_or_else(PoisonError::into_inner).answer(&message);
    match found {
        None => {
            let error = json!({ "code": -32601, "message": "the recording has no such request" });
            Json(json!({ "jsonrpc": "2.0", "id": id, "error": error })).into_response()
        }
        Some(mut messages) if messages.len() == 1 => Json(messages.remove(0)).into_response(),
        Some(messages) => {
            let events: String = messages
                .iter()
                .map(|message| format!("event: message\ndata: {message}\n\n"))
                .collect();
            ([(CONTENT_TYPE, "text/event-stream")], events).into_response()
        }
    }
}
