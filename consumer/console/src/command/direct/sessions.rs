//! `tapedeck sessions --clickhouse URL`.

use std::io::Write;

use anyhow::Context as _;
use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::Database;
use crate::command::arguments::Sessions;
use crate::command::json;
use crate::command::table::{self, Line};

/// A row of `sessions_v`. Times are microseconds since 1970.
#[derive(Debug, Row, Serialize, Deserialize)]
pub(crate) struct Session {
    session_id: String,
    tenant: String,
    start: i64,
    last: i64,
    target: String,
    issuer: String,
    subject: String,
    principal_name: String,
    principal_email: String,
    client_id: String,
    client_name: String,
    client_addresses: Vec<String>,
    revision: String,
    frames: u64,
    calls: u64,
    errors: u64,
    bytes: u64,
    names: Vec<String>,
    shared: bool,
}

impl Session {
    fn line(&self) -> Line<'_> {
        Line {
            id: self.session_id.clone(),
            started: self.start,
            latest: self.last,
            user: [&self.principal_email, &self.principal_name, &self.subject],
            is_shared: self.shared,
            target: &self.target,
            calls: self.calls,
            errors: self.errors,
            frames: self.frames,
            bytes: self.bytes,
            names: &self.names,
        }
    }
}

const COLUMNS: &str = "toString(session_id) AS session_id, toString(tenant) AS tenant, \
    toUnixTimestamp64Micro(session_start) AS start, toUnixTimestamp64Micro(last_time) AS last, \
    toString(target) AS target, issuer, subject, principal_name, principal_email, client_id, client_name, client_addresses, \
    revision, frames, calls, errors, bytes, names, shared = 1 AS shared";

pub(crate) async fn list(database: &Database, which: &Sessions, out: &mut impl Write) -> anyhow::Result<()> {
    let filter = &which.filter;
    let mut conditions = Vec::new();
    // The start is what the table is ordered by: it goes in before the rows are folded.
    if filter.since.is_some() {
        conditions.push("session_start >= fromUnixTimestamp64Micro(?, 'UTC')");
    }
    if filter.until.is_some() {
        conditions.push("session_start < fromUnixTimestamp64Micro(?, 'UTC')");
    }
    if filter.user.is_some() {
        conditions.push("has([subject, principal_email, principal_name], ?)");
    }
    if filter.target.is_some() {
        conditions.push("target = ?");
    }
    if filter.tool.is_some() {
        conditions.push("has(names, ?)");
    }
    let condition = if conditions.is_empty() {
        "1".to_owned()
    } else {
        conditions.join(" AND ")
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM sessions_v WHERE {condition} ORDER BY session_start DESC, session_id DESC LIMIT {}",
        which.limit
    );
    let mut query = database.query(&sql);
    for moment in [filter.since, filter.until].into_iter().flatten() {
        query = query.bind(moment.microseconds());
    }
    for text in [&filter.user, &filter.target, &filter.tool].into_iter().flatten() {
        query = query.bind(text.as_str());
    }
    let sessions: Vec<Session> = query.fetch_all().await.context("reading sessions from ClickHouse")?;
    if which.json {
        return sessions.iter().try_for_each(|session| json::line(session, out));
    }
    let lines: Vec<Line<'_>> = sessions.iter().map(Session::line).collect();
    Ok(table::sessions(&lines, out)?)
}
