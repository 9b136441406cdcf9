//! A frame as people read it.

use std::io::Write;

use super::Frame;
use crate::moment;
use crate::text::{bytes, printable, shortened, span};

/// Characters of a payload that are shown unless all are asked for.
const PAYLOAD_SHOWN: usize = 320;

/// What was shown so far.
#[derive(Default)]
pub(super) struct Shown {
    first: Option<i64>,
    last: i64,
    frames: u64,
    not_intact: u64,
}

impl Shown {
    pub(super) fn frame(&mut self, frame: &Frame, full: bool, out: &mut impl Write) -> anyhow::Result<()> {
        let first = match self.first {
            Some(first) => first,
            None => {
                header(frame, out)?;
                *self.first.insert(frame.time)
            }
        };
        self.last = frame.time;
        self.frames += 1;
        self.not_intact += u64::from(frame.verdict != "intact");
        let at = (frame.time - first) as f64 / 1e6;
        writeln!(
            out,
            "{:>4} {at:>+9.3}s {} {}",
            frame.session_seq,
            arrow(frame),
            headline(frame)
        )?;
        if !frame.payload.is_empty() {
            let limit = if full { usize::MAX } else { PAYLOAD_SHOWN };
            writeln!(
                out,
                "                  {}",
                printable(&shortened(&frame.payload, limit))
            )?;
        }
        Ok(())
    }

    pub(super) fn end(&self, out: &mut impl Write) -> anyhow::Result<()> {
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
        )?;
        Ok(())
    }
}

fn header(frame: &Frame, out: &mut impl Write) -> anyhow::Result<()> {
    let user = [&frame.principal_email, &frame.principal_name, &frame.subject];
    let user = user
        .into_iter()
        .find(|text| !text.is_empty())
        .map_or("nobody", String::as_str);
    writeln!(
        out,
        "{}  {} → {}  from {}{}\n",
        moment::display(frame.time),
        printable(user),
        printable(&frame.target),
        printable(&frame.client_address),
        if frame.session_shared {
            "  (may be several clients)"
        } else {
            ""
        }
    )?;
    Ok(())
}

fn arrow(frame: &Frame) -> &'static str {
    match (frame.kind.as_str(), frame.direction.as_str()) {
        ("refused", _) => "✗",
        (_, "to_target") => "→",
        (_, "to_client") => "←",
        _ => "·",
    }
}

/// What came that is no JSON-RPC message: an event without one (such as the first, which only carries an id), an answer
/// without a body, or some other body.
fn unnamed(frame: &Frame) -> &'static str {
    match frame.payload_size {
        0 if frame.content_type.starts_with("text/event-stream") => "empty event of",
        0 => "empty answer to",
        _ if frame.content_type.starts_with("text/event-stream") => "event of",
        _ => "body of",
    }
}

/// What the frame is, in a line: method and name, outcome, size, and whatever is out of the ordinary.
fn headline(frame: &Frame) -> String {
    let mut words: Vec<String> = Vec::new();
    match frame.kind.as_str() {
        "message" if frame.rpc_kind.is_empty() || frame.rpc_kind == "none" => words.push(unnamed(frame).to_owned()),
        "message" => words.push(frame.rpc_kind.clone()),
        "exchange_start" => {}
        other => words.push(other.replace('_', " ")),
    }
    if frame.rpc_method.is_empty() {
        words.push(frame.http_method.clone());
    } else {
        words.push(printable(&frame.rpc_method));
    }
    words.push(printable(&frame.rpc_name));
    if !frame.rpc_id.is_empty() {
        words.push(format!("#{}", printable(&frame.rpc_id)));
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
    words.push(printable(&frame.decision_rule));
    if frame.kind == "exchange_end" {
        words.push(frame.ended.clone());
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
    match frame.redaction.as_str() {
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
