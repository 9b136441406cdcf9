//! What happens now, as server-sent events: frames of an open session, and sessions.
//!
//! A stream is on the access log before its first event, and again every minute that it goes on; where that cannot be
//! written, it ends.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, HeaderName};
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::IntoParams;
use uuid::Uuid;

use super::Shutdown;
use super::frames::{Frame, Run};
use super::parameters::{Number, Parameters, Place, SessionId};
use super::sessions::{COLUMNS, Session, look, visible};
use crate::serve::Console;
use crate::serve::access::{Accounted, Action, Entry, Logged, Look, Recorded};
use crate::serve::identity::Caller;
use crate::serve::problem::{Problem, ProblemBody};
use crate::serve::query::{Relation, Select};
use crate::serve::store::Pass;

/// Between two looks at a session's frames.
const FRAMES_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at all sessions.
const SESSIONS_EVERY: Duration = Duration::from_secs(2);
/// Between two entries of the access log.
const LOGGED_EVERY: Duration = Duration::from_secs(60);
/// Frames in one step.
const STEP: u64 = 500;
/// Bytes of one payload; the frame itself has all of it.
const PAYLOAD: u64 = 16 << 10;

/// Where to begin.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// The number of the frame before the first; default: what is there now is left out. `Last-Event-ID` counts before it.
    #[param(value_type = Option<u64>, maximum = 9223372036854775807u64)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Number>,
}

/// A stream that is open.
struct Live {
    console: Arc<Console>,
    caller: Caller,
    look: Look,
    shutdown: Shutdown,
    _pass: Pass,
    logged: Logged,
    logged_at: Instant,
    shown: u64,
    waiting: VecDeque<Event>,
    source: Source,
}

/// An event that is to be.
struct Told {
    name: &'static str,
    id: Option<u64>,
    data: serde_json::Result<String>,
}

enum Source {
    Frames { session: SessionId, after: u64 },
    Sessions { seen: HashMap<Uuid, u64> },
}

/// New frames of a session, as they come: events `frame`, whose id is the frame's number.
#[utoipa::path(get, path = "/api/v1/sessions/{session}/live", tag = "live", operation_id = "tail_session",
    params(("session" = Uuid, Path, description = "Its id"), From),
    responses((status = 200, description = "Events `frame`: a frame as list_frames has it, payloads cut at 16 KiB",
        content_type = "text/event-stream", body = String),
        (status = 404, description = "None, or not for this caller", body = ProblemBody),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn frames(
    State(console): State<Arc<Console>>,
    Extension(shutdown): Extension<Shutdown>,
    caller: Caller,
    Place(id): Place<SessionId>,
    Parameters(from): Parameters<From>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let session = visible(&console, caller.scope(), id).await?;
    let look = look(Action::Tail, "frames", &from, &session);
    let last_event = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok());
    let after = last_event
        .filter(|after| i64::try_from(*after).is_ok())
        .or(from.after.map(|Number(after)| after));
    let after = after.unwrap_or_else(|| session.measure(|session| session.frames));
    open(console, caller, look, shutdown, Source::Frames { session: id, after }).await
}

/// Sessions that begin or go on: events `session`, each the session as list_sessions has it.
#[utoipa::path(get, path = "/api/v1/live", tag = "live", operation_id = "tail_sessions",
    responses((status = 200, description = "Events `session`: what is new in sessions that began within 24 hours",
        content_type = "text/event-stream", body = String),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn sessions(
    State(console): State<Arc<Console>>,
    Extension(shutdown): Extension<Shutdown>,
    caller: Caller,
) -> Result<Response, Problem> {
    let look = Look::at(Action::Tail, "sessions", &());
    let source = Source::Sessions { seen: HashMap::new() };
    open(console, caller, look, shutdown, source).await
}

async fn open(
    console: Arc<Console>,
    caller: Caller,
    look: Look,
    shutdown: Shutdown,
    source: Source,
) -> Result<Response, Problem> {
    let pass = console.store.stream(&caller.scope().user().key())?;
    let entry = Entry::allowed(caller.scope(), caller.asker(), &look, 0, 0);
    let logged = console.access.write(&entry).await?;
    let live = Live {
        console,
        caller,
        look,
        shutdown,
        _pass: pass,
        logged,
        logged_at: Instant::now(),
        shown: 0,
        waiting: VecDeque::new(),
        source,
    };
    let events = futures_util::stream::unfold(live, async |mut live: Live| {
        let event = live.next().await?;
        Some((Ok::<_, Infallible>(event), live))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies in front are not to wait for the stream's end.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response.extensions_mut().insert(Accounted::Logged);
    Ok(response)
}

impl Live {
    /// The next event; none ends the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let found = match self.caller.is_still_signed_in(&self.console).await {
                Ok(false) => return None,
                Ok(true) => {
                    if !self.is_on_record().await {
                        return None;
                    }
                    self.look().await
                }
                Err(problem) => Err(problem),
            };
            match found {
                // ClickHouse may be away for a while; the client would only come back.
                Err(problem) => tracing::debug!(%problem, "a live stream waits"),
                Ok(()) if !self.waiting.is_empty() => continue,
                Ok(()) => {}
            }
            let pause = match self.source {
                Source::Frames { .. } => FRAMES_EVERY,
                Source::Sessions { .. } => SESSIONS_EVERY,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shutdown.0.cancelled() => return None,
            }
        }
    }

    /// Whether the access log says that this goes on.
    async fn is_on_record(&mut self) -> bool {
        if self.logged_at.elapsed() < LOGGED_EVERY {
            return true;
        }
        let entry = Entry::allowed(self.caller.scope(), self.caller.asker(), &self.look, self.shown, 0);
        match self.console.access.write(&entry).await {
            Ok(logged) => {
                (self.logged, self.logged_at, self.shown) = (logged, Instant::now(), 0);
                true
            }
            Err(_) => false,
        }
    }

    async fn look(&mut self) -> Result<(), Problem> {
        match self.source {
            Source::Frames { .. } => self.new_frames().await,
            Source::Sessions { .. } => self.new_sessions().await,
        }
    }

    async fn new_frames(&mut self) -> Result<(), Problem> {
        let Source::Frames { session, after } = &mut self.source else {
            return Ok(());
        };
        let run = Run {
            after: *after,
            count: STEP,
            payload_bytes: PAYLOAD,
        };
        let frames = run.read(&self.console, self.caller.scope(), *session).await?;
        if let Some(last) = frames.measure(|frames| frames.last().map(|frame| frame.session_seq)) {
            *after = last;
        }
        let told = |frame: &Frame| Told {
            name: "frame",
            id: Some(frame.session_seq),
            data: serde_json::to_string(frame),
        };
        self.show(frames.map(|frames| frames.iter().map(told).collect()));
        Ok(())
    }

    async fn new_sessions(&mut self) -> Result<(), Problem> {
        let select = Select::new(self.caller.scope(), Relation::Sessions, COLUMNS)
            .when("t.session_start >= now64(6) - INTERVAL 1 DAY")
            .rest("ORDER BY t.last_time DESC LIMIT 200");
        let sessions = self.console.store.rows::<Session>(&select).await?;
        let Source::Sessions { seen } = &mut self.source else {
            return Ok(());
        };
        let now = sessions.measure(|sessions| {
            sessions
                .iter()
                .map(|one| (one.session_id, one.frames))
                .collect::<Vec<_>>()
        });
        let before = std::mem::replace(seen, now.into_iter().collect());
        let told = |session: &Session| Told {
            name: "session",
            id: None,
            data: serde_json::to_string(session),
        };
        let changed = sessions.map(|sessions| {
            let is_new = |session: &&Session| before.get(&session.session_id) != Some(&session.frames);
            // The latest last, as they happened.
            sessions.iter().rev().filter(is_new).map(told).collect()
        });
        self.show(changed);
        Ok(())
    }

    fn show(&mut self, found: Recorded<Vec<Told>>) {
        for Told { name, id, data } in found.release(&self.logged) {
            // What came from a row can be written as JSON; what cannot is not worth the stream.
            let Ok(data) = data else { continue };
            let mut event = Event::default().event(name).data(data);
            if let Some(id) = id {
                event = event.id(id.to_string());
            }
            self.waiting.push_back(event);
            self.shown += 1;
        }
    }
}
