//! `tapedeck replay --clickhouse URL`: one session, frame by frame, in the order of their numbers within the session.

use std::io::Write;

use anyhow::Context as _;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Database;
use crate::command::arguments::Replay;
use crate::command::json;
use crate::command::replay::Pace;
use crate::show::{self, Heading, Shown, View};

/// A row of `frames`, without what only proofs need. Times are microseconds since 1970.
#[derive(Debug, Row, Serialize, Deserialize)]
pub(crate) struct Frame {
    session_seq: u64,
    time: i64,
    kind: String,
    direction: String,
    ended: String,
    exchange_id: String,
    segment_id: String,
    seq: i64,
    writer_id: String,
    writer_seq: i64,
    tenant: String,
    target: String,
    issuer: String,
    subject: String,
    principal_name: String,
    principal_email: String,
    client_id: String,
    client_address: String,
    user_agent: String,
    claimed_name: String,
    claimed_version: String,
    revision: String,
    rpc_kind: String,
    rpc_method: String,
    rpc_id: String,
    rpc_name: String,
    rpc_error_code: i64,
    rpc_is_error: bool,
    http_method: String,
    http_status: i32,
    content_type: String,
    sse_event: String,
    sse_id: String,
    sse_comment: String,
    decision_rule: String,
    part_index: i32,
    part_last: bool,
    payload_size: i64,
    redaction: String,
    redaction_reason: String,
    redaction_rules: Vec<String>,
    truncated: bool,
    session_shared: bool,
    verdict: String,
    frame_hash: String,
    payload: String,
}

impl Frame {
    fn view(&self) -> View<'_> {
        View {
            number: self.session_seq,
            time: self.time,
            kind: &self.kind,
            direction: &self.direction,
            ended: &self.ended,
            rpc_kind: &self.rpc_kind,
            rpc_method: &self.rpc_method,
            rpc_id: &self.rpc_id,
            rpc_name: &self.rpc_name,
            rpc_error_code: self.rpc_error_code,
            rpc_is_error: self.rpc_is_error,
            http_method: &self.http_method,
            http_status: self.http_status,
            content_type: &self.content_type,
            decision_rule: &self.decision_rule,
            part_index: self.part_index,
            part_last: self.part_last,
            payload: &self.payload,
            payload_size: self.payload_size,
            redaction: &self.redaction,
            redaction_reason: &self.redaction_reason,
            redaction_rules: &self.redaction_rules,
            truncated: self.truncated,
            verdict: &self.verdict,
        }
    }

    fn heading(&self) -> Heading<'_> {
        Heading {
            started: self.time,
            user: [&self.principal_email, &self.principal_name, &self.subject],
            target: &self.target,
            client_address: &self.client_address,
            is_shared: self.session_shared,
        }
    }
}

const COLUMNS: &str = "session_seq, toUnixTimestamp64Micro(frames.time) AS time, toString(kind) AS kind, \
    toString(direction) AS direction, toString(ended) AS ended, toString(exchange_id) AS exchange_id, \
    toString(segment_id) AS segment_id, seq, toString(writer_id) AS writer_id, writer_seq, toString(tenant) AS tenant, \
    toString(target) AS target, toString(issuer) AS issuer, toString(subject) AS subject, \
    toString(principal_name) AS principal_name, toString(principal_email) AS principal_email, toString(client_id) AS client_id, \
    toString(client_address) AS client_address, toString(user_agent) AS user_agent, \
    toString(claimed_name) AS claimed_name, toString(claimed_version) AS claimed_version, \
    toString(revision) AS revision, toString(rpc_kind) AS rpc_kind, \
    toString(rpc_method) AS rpc_method, rpc_id, toString(rpc_name) AS rpc_name, rpc_error_code, rpc_is_error, \
    toString(http_method) AS http_method, http_status, toString(content_type) AS content_type, \
    toString(sse_event) AS sse_event, sse_id, sse_comment, toString(decision_rule) AS decision_rule, part_index, \
    part_last, payload_size, toString(redaction) AS redaction, toString(redaction_reason) AS redaction_reason, \
    arrayMap(rule -> toString(rule), redaction_rules) AS redaction_rules, truncated, session_shared, \
    toString(verdict) AS verdict, lower(hex(frame_hash)) AS frame_hash, toValidUTF8(payload) AS payload";

/// Shows the session; false where there is none.
pub(crate) async fn replay(database: &Database, what: &Replay, out: &mut impl Write) -> anyhow::Result<bool> {
    // The start, which the id carries, leads the table's order: with it only the session's own granules are read.
    let sql = format!(
        "SELECT {COLUMNS} FROM frames WHERE session_start = fromUnixTimestamp64Micro(?, 'UTC') AND session_id = ? \
         ORDER BY session_seq, segment_id, frames.seq"
    );
    let mut rows = database
        .query(&sql)
        .bind(start(what.session))
        .bind(what.session.to_string())
        .fetch::<Frame>()
        .context("reading frames from ClickHouse")?;
    let mut shown = Shown::default();
    let mut pace: Option<Pace> = None;
    let mut found = false;
    while let Some(frame) = rows.next().await.context("reading frames from ClickHouse")? {
        if !found && !what.json {
            show::heading(&frame.heading(), out)?;
        }
        found = true;
        if let Some(speed) = what.speed {
            out.flush()?;
            pace.get_or_insert_with(|| Pace::new(frame.time, speed))
                .wait_for(frame.time)
                .await;
        }
        if what.json {
            json::line(&frame, out)?;
        } else {
            shown.frame(&frame.view(), what.full, out)?;
        }
    }
    if !what.json {
        shown.end(out)?;
    }
    Ok(found)
}

/// Microseconds since 1970 that a session's id carries (UUIDv7, to the millisecond).
fn start(session: Uuid) -> i64 {
    session.get_timestamp().map_or(0, |timestamp| {
        let (seconds, nanoseconds) = timestamp.to_unix();
        seconds as i64 * 1_000_000 + i64::from(nanoseconds) / 1000
    })
}
