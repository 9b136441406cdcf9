//! `tapedeck sessions --clickhouse URL`.

use std::io::Write;

use anyhow::Context as _;

use super::Database;
use crate::command::arguments::Sessions;
use crate::command::json;
use crate::command::sessions::line;
use crate::command::table::{self, Line};
use crate::serve::{SESSION_COLUMNS, Session};

pub(crate) async fn list(database: &Database, which: &Sessions, out: &mut impl Write) -> anyhow::Result<()> {
    let (user, filter) = (&which.filter.user, &which.filter.narrow);
    let mut conditions = Vec::new();
    // The start is what the table is ordered by: it goes in before the rows are folded.
    if filter.since.is_some() {
        conditions.push("t.session_start >= fromUnixTimestamp64Micro(?, 'UTC')");
    }
    if filter.until.is_some() {
        conditions.push("t.session_start < fromUnixTimestamp64Micro(?, 'UTC')");
    }
    if user.is_some() {
        conditions.push("has([t.subject, t.principal_email, t.principal_name], ?)");
    }
    if filter.target.is_some() {
        conditions.push("t.target = ?");
    }
    if filter.tool.is_some() {
        conditions.push("has(t.names, ?)");
    }
    let condition = if conditions.is_empty() {
        "1".to_owned()
    } else {
        conditions.join(" AND ")
    };
    let sql = format!(
        "SELECT {SESSION_COLUMNS} FROM sessions_v AS t WHERE {condition} \
         ORDER BY t.session_start DESC, t.session_id DESC LIMIT {}",
        which.shown.limit
    );
    let mut query = database.query(&sql);
    for moment in [filter.since, filter.until].into_iter().flatten() {
        query = query.bind(moment.microseconds());
    }
    for text in [user, &filter.target, &filter.tool].into_iter().flatten() {
        query = query.bind(text.as_str());
    }
    let sessions: Vec<Session> = query.fetch_all().await.context("reading sessions from ClickHouse")?;
    if which.shown.json {
        return sessions.iter().try_for_each(|session| json::line(session, out));
    }
    let lines: Vec<Line<'_>> = sessions.iter().map(line).collect();
    Ok(table::sessions(&lines, out)?)
}
