//! `tapedeck replay --clickhouse URL`: one session, frame by frame, in the order of their numbers within the session.

use std::io::Write;

use anyhow::Context as _;

use super::Database;
use crate::command::arguments::Replay;
use crate::command::replay::{Printer, WHOLE};
use crate::serve::{FRAME_COLUMNS, Frame, SESSION_COLUMNS, Session, start_of};

/// The start, which the id carries, leads the tables' order: with it only the session's own granules are read.
const OF_SESSION: &str = "t.session_start = fromUnixTimestamp64Micro(?, 'UTC') AND t.session_id = ?";

/// Shows the session; false where there is none.
pub(crate) async fn replay(database: &Database, what: &Replay, out: &mut impl Write) -> anyhow::Result<bool> {
    let (start, id) = (start_of(what.session), what.session.to_string());
    let sql = format!("SELECT {SESSION_COLUMNS} FROM sessions_v AS t WHERE {OF_SESSION}");
    let session = database.query(&sql).bind(start).bind(&id);
    let session = session.fetch_optional::<Session>().await;
    let Some(session) = session.context("reading the session from ClickHouse")? else {
        return Ok(false);
    };
    let sql = format!(
        "SELECT {FRAME_COLUMNS} FROM frames AS t WHERE {OF_SESSION} ORDER BY t.session_seq, t.segment_id, t.seq"
    );
    let frames = database.query(&sql).bind(start).bind(&id).param("payload_bytes", WHOLE);
    let mut frames = frames.fetch::<Frame>().context("reading frames from ClickHouse")?;
    let mut printer = Printer::begin(what, &session, out)?;
    while let Some(frame) = frames.next().await.context("reading frames from ClickHouse")? {
        printer.frame(&frame, out).await?;
    }
    printer.end(out)?;
    Ok(true)
}
