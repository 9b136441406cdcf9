//! A frame as people read it, in a terminal.

use std::io::{self, Write};

use crate::moment;
use crate::text::{bytes, printable, shortened, span};

/// Characters of a payload that are shown unless all are asked for.
const PAYLOAD_SHOWN: usize = 320;

/// A frame, as far as it is shown, wherever it comes from. Times are microseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View<'a> {
    pub(crate) number: u64,
    pub(crate) time: i64,
    pub(crate) kind: &'a str,
    pub(crate) direction: &'a str,
    pub(crate) ended: &'a str,
    pub(crate) rpc_kind: &'a str,
    pub(crate) rpc_method: &'a str,
    pub(crate) rpc_id: &'a str,
    pub(crate) rpc_name: &'a str,
    pub(crate) rpc_error_code: i64,
    pub(crate) rpc_is_error: bool,
    pub(crate) http_method: &'a str,
    pub(crate) http_status: i32,
    pub(crate) content_type: &'a str,
    pub(crate) decision_rule: &'a str,
    pub(crate) part_index: i32,
    pub(crate) part_last: bool,
    pub(crate) payload: &'a str,
    pub(crate) payload_size: i64,
    pub(crate) redaction: &'a str,
    pub(crate) redaction_reason: &'a str,
    pub(crate) redaction_rules: &'a [String],
    pub(crate) truncated: bool,
    pub(crate) verdict: &'a str,
}

/// Whose session it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heading<'a> {
    /// When it began, microseconds since 1970.
    pub(crate) started: i64,
    /// What there is to name the user by, the best first; empty texts are none.
    pub(crate) user: [&'a str; 3],
    pub(crate) target: &'a str,
    pub(crate) client_address: &'a str,
    pub(crate) is_shared: bool,
}

/// What was shown so far.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    first: Option<i64>,
    last: i64,
    frames: u64,
    not_intact: u64,
}

impl Shown {
    /// One frame, with as many characters of its payload.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn frame(&mut self, frame: &View<'_>, full: bool, out: &mut impl Write) -> io::Result<()> {
        let first = *self.first.get_or_insert(frame.time);
        self.last = frame.time;
        self.frames += 1;
        self.not_intact += u64::from(frame.verdict != "intact");
        write!(out, "{}", line(frame, first))?;
        if !frame.payload.is_empty() {
            let limit = if full { usize::MAX } else { PAYLOAD_SHOWN };
            writeln!(out, "                  {}", printable(&shortened(frame.payload, limit)))?;
        }
        Ok(())
    }

    /// What it was, all in all; nothing where nothing was shown.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn end(&self, out: &mut impl Write) -> io::Result<()> {
        let Some(first) = self.first else { return Ok(()) };
        let verdict = match self.not_intact {
            0 => "each fits its hash".to_owned(),
            count => format!("{count} NOT INTACT"),
        };
        writeln!(
            out,
            "\n{} frames in {}; {verdict}.",
            self.frames,
            span(self.last - first)
        )
    }
}

/// A frame without its payload: its number, when it was, and what it is.
pub(crate) fn line(frame: &View<'_>, first: i64) -> String {
    let at = (frame.time - first) as f64 / 1e6;
    format!("{:>4} {at:>+9.3}s {} {}\n", frame.number, arrow(frame), headline(frame))
}

/// Whose session it is, and when it began.
///
/// # Errors
/// Those of `out`.
pub(crate) fn heading(heading: &Heading<'_>, out: &mut impl Write) -> io::Result<()> {
    let user = heading
        .user
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or("nobody");
    writeln!(
        out,
        "{}  {} → {}  from {}{}\n",
        moment::display(heading.started),
        printable(user),
        printable(heading.target),
        printable(heading.client_address),
        if heading.is_shared {
            "  (may be several clients)"
        } else {
            ""
        }
    )
}

pub(crate) fn arrow(frame: &View<'_>) -> &'static str {
    match (frame.kind, frame.direction) {
        ("refused", _) => "✗",
        (_, "to_target") => "→",
        (_, "to_client") => "←",
        _ => "·",
    }
}

/// What came that is no JSON-RPC message: an event without one (such as the first, which only carries an id), an answer
/// without a body, or some other body.
fn unnamed(frame: &View<'_>) -> &'static str {
    match frame.payload_size {
        0 if frame.content_type.starts_with("text/event-stream") => "empty event of",
        0 => "empty answer to",
        _ if frame.content_type.starts_with("text/event-stream") => "event of",
        _ => "body of",
    }
}

/// What the frame is, in a line: method and name, outcome, size, and whatever is out of the ordinary.
pub(crate) fn headline(frame: &View<'_>) -> String {
    let mut words: Vec<String> = Vec::new();
    match frame.kind {
        "message" if frame.rpc_kind.is_empty() || frame.rpc_kind == "none" => words.push(unnamed(frame).to_owned()),
        "message" => words.push(frame.rpc_kind.to_owned()),
        "exchange_start" => {}
        other => words.push(other.replace('_', " ")),
    }
    if frame.rpc_method.is_empty() {
        words.push(frame.http_method.to_owned());
    } else {
        words.push(printable(frame.rpc_method));
    }
    words.push(printable(frame.rpc_name));
    if !frame.rpc_id.is_empty() {
        words.push(format!("#{}", printable(frame.rpc_id)));
    }
    if frame.http_status != 0 && frame.http_status != 200 {
        words.push(format!("HTTP {}", frame.http_status));
    }
    if frame.rpc_error_code != 0 {
        words.push(format!("error {}", frame.rpc_error_code));
    }
    if frame.rpc_is_error {
        words.push("isError".to_owned());
    }
    words.push(printable(frame.decision_rule));
    if frame.kind == "exchange_end" {
        words.push(frame.ended.to_owned());
    }
    if frame.part_index > 0 || !frame.part_last {
        words.push(format!(
            "part {}{}",
            frame.part_index + 1,
            if frame.part_last { ", last" } else { "" }
        ));
    }
    if frame.payload_size > 0 {
        words.push(format!("({})", bytes(frame.payload_size.unsigned_abs())));
    }
    match frame.redaction {
        "masked" | "joined" => words.push(format!("[masked: {}]", frame.redaction_rules.join(", "))),
        "dropped" => words.push(format!("[dropped: {}]", frame.redaction_reason)),
        _ => {}
    }
    if frame.truncated {
        words.push("[truncated]".to_owned());
    }
    if frame.verdict != "intact" {
        words.push(format!("[{}]", frame.verdict.to_uppercase()));
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}
