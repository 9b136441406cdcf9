//! `sessions` against `frames`: every total is found again, by what the columns are documented to count.

use std::collections::BTreeMap;

use serde::Deserialize;
use tapedeck_dev::services::Database;
use uuid::Uuid;

use super::Wrong;
use super::table::{self, Row};

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct Totals {
    session_id: Uuid,
    frames: u64,
    calls: u64,
    errors: u64,
    bytes: u64,
}

/// Every session of the rows is in `sessions_v` with the totals that its rows add up to, and no other is.
///
/// # Errors
/// When ClickHouse does not answer; names every session that differs.
pub async fn verify(database: &Database, rows: &[Row]) -> anyhow::Result<()> {
    let totals = "SELECT session_id, frames, calls, errors, bytes FROM sessions_v";
    let told: Vec<Totals> = table::query(database, totals).await?;
    let mut expected = totals_of(rows);
    let mut wrong = Wrong::default();
    for told in told {
        match expected.remove(&told.session_id) {
            Some(expected) => wrong.unless(expected == told, || {
                format!("a session's totals are {told:?}, and its frames add up to {expected:?}")
            }),
            None => wrong.add(format!("session {} has no frames, or is there twice", told.session_id)),
        }
    }
    for session in expected.keys() {
        wrong.add(format!("session {session} has frames and no totals"));
    }
    wrong.verdict("sessions against frames")
}

fn totals_of(rows: &[Row]) -> BTreeMap<Uuid, Totals> {
    let mut expected: BTreeMap<Uuid, Totals> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.session_id.is_nil()) {
        let totals = expected.entry(row.session_id).or_default();
        let is_message = row.kind == "message" && row.part_last;
        let is_answer = is_message && row.direction == "to_client";
        let is_bad_end =
            row.kind == "exchange_end" && ["not_forwarded", "upstream_lost", "aborted"].contains(&row.ended.as_str());
        let is_error = row.kind == "refused"
            || is_bad_end
            || is_answer && (row.rpc_kind == "error" || row.rpc_kind == "response" && row.rpc_is_error);
        totals.session_id = row.session_id;
        totals.frames += 1;
        totals.calls += u64::from(is_message && row.direction == "to_target" && row.rpc_kind == "request");
        totals.errors += u64::from(is_error);
        totals.bytes += row.payload_size.unsigned_abs();
    }
    expected
}
