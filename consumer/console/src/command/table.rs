//! Sessions as a table in a terminal.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};

use crate::moment;
use crate::text::{bytes, printable, span};

/// A session, as far as a line of the table has it, wherever it comes from. Times are microseconds since 1970.
pub(super) struct Line<'a> {
    pub(super) id: String,
    pub(super) started: i64,
    pub(super) latest: i64,
    /// What there is to name the user by, the best first; empty texts are none.
    pub(super) user: [&'a str; 3],
    pub(super) is_shared: bool,
    pub(super) target: &'a str,
    pub(super) calls: u64,
    pub(super) errors: u64,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) names: &'a [String],
}

pub(super) fn sessions(lines: &[Line<'_>], out: &mut impl Write) -> io::Result<()> {
    if lines.is_empty() {
        return writeln!(out, "No session fits.");
    }
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "SESSION", "BEGUN", "LASTED", "USER", "TARGET", "CALLS", "ERRORS", "FRAMES", "SIZE", "USED",
    ]);
    for line in lines {
        let user = line.user.into_iter().find(|text| !text.is_empty()).unwrap_or("-");
        table.add_row([
            line.id.clone(),
            moment::display(line.started),
            span(line.latest - line.started),
            printable(user) + if line.is_shared { " (shared)" } else { "" },
            printable(line.target),
            line.calls.to_string(),
            line.errors.to_string(),
            line.frames.to_string(),
            bytes(line.bytes),
            names(line.names),
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

/// A session on a line of its own, without a table.
pub(super) fn session(line: &Line<'_>, out: &mut impl Write) -> io::Result<()> {
    let user = line.user.into_iter().find(|text| !text.is_empty()).unwrap_or("-");
    writeln!(
        out,
        "{}  {}  {} → {}  {} calls, {} errors, {} frames",
        line.id,
        moment::display(line.latest),
        printable(user),
        printable(line.target),
        line.calls,
        line.errors,
        line.frames,
    )
}
