//! `tapedeck sessions`.

use std::io::Write;

use anyhow::Context as _;
use clickhouse::Row;
use comfy_table::{ContentArrangement, Table, presets};
use serde::{Deserialize, Serialize};

use crate::arguments::Filter;
use crate::database::Database;
use crate::text::{bytes, printable, span};
use crate::{json, moment};

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

const COLUMNS: &str = "toString(session_id) AS session_id, toString(tenant) AS tenant, \
    toUnixTimestamp64Micro(session_start) AS start, toUnixTimestamp64Micro(last_time) AS last, \
    toString(target) AS target, issuer, subject, principal_name, principal_email, client_id, client_name, client_addresses, \
    revision, frames, calls, errors, bytes, names, shared = 1 AS shared";

pub(crate) async fn list(database: &Database, filter: &Filter, out: &mut impl Write) -> anyhow::Result<()> {
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
        filter.limit
    );
    let mut query = database.query(&sql);
    for moment in [filter.since, filter.until].into_iter().flatten() {
        query = query.bind(moment.microseconds());
    }
    for text in [&filter.user, &filter.target, &filter.tool].into_iter().flatten() {
        query = query.bind(text.as_str());
    }
    let sessions: Vec<Session> = query.fetch_all().await.context("reading sessions from ClickHouse")?;
    if filter.json {
        return sessions.iter().try_for_each(|session| json::line(session, out));
    }
    table(&sessions, out)
}

fn table(sessions: &[Session], out: &mut impl Write) -> anyhow::Result<()> {
    if sessions.is_empty() {
        writeln!(out, "No session fits.")?;
        return Ok(());
    }
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "SESSION", "BEGUN", "LASTED", "USER", "TARGET", "CALLS", "ERRORS", "FRAMES", "SIZE", "USED",
    ]);
    for session in sessions {
        let user = [&session.principal_email, &session.principal_name, &session.subject];
        let user = user
            .into_iter()
            .find(|text| !text.is_empty())
            .map_or("-", String::as_str);
        table.add_row([
            session.session_id.clone(),
            moment::display(session.start),
            span(session.last - session.start),
            printable(user) + if session.shared { " (shared)" } else { "" },
            printable(&session.target),
            session.calls.to_string(),
            session.errors.to_string(),
            session.frames.to_string(),
            bytes(session.bytes),
            names(&session.names),
        ]);
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim())?;
    }
    Ok(())
}

fn names(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut sorted: Vec<String> = names.iter().map(|name| printable(name)).collect();
    sorted.sort();
    let more = sorted.len().saturating_sub(SHOWN);
    sorted.truncate(SHOWN);
    if more > 0 {
        sorted.push(format!("+{more}"));
    }
    sorted.join(", ")
}
