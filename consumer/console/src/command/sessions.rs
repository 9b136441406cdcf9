//! `tapedeck sessions`.

use super::api::Api;
use super::arguments::Sessions;
use super::json;
use super::output::Output;
use super::table::{self, Line};
use crate::serve::Session;

/// The longest page that the console gives.
const PAGE: u32 = 200;

pub(super) async fn list(api: &Api, which: &Sessions, out: &mut Output) -> anyhow::Result<()> {
    let query = which.filter.query();
    if which.shown.json {
        return api
            .list(
                "/api/v1/sessions",
                query,
                which.shown.limit,
                PAGE,
                |session: Session| json::line(&session, out),
            )
            .await;
    }
    let mut sessions = Vec::new();
    let keep = |session: Session| {
        sessions.push(session);
        Ok(())
    };
    api.list("/api/v1/sessions", query, which.shown.limit, PAGE, keep)
        .await?;
    let lines: Vec<Line<'_>> = sessions.iter().map(line).collect();
    Ok(table::sessions(&lines, out)?)
}

/// A session as a line of a table.
pub(super) fn line(session: &Session) -> Line<'_> {
    Line {
        id: session.session_id.to_string(),
        started: session.started.microseconds(),
        latest: session.latest.microseconds(),
        user: [&session.email, &session.name, &session.subject],
        is_shared: session.shared,
        target: &session.target,
        calls: session.calls,
        errors: session.errors,
        frames: session.frames,
        bytes: session.bytes,
        names: &session.names,
    }
}
