//! The picture of a replay: lines of text for a terminal of any size.

use serde_json::Value;

use super::tape::Tape;
use crate::show;
use crate::text::printable;

/// Whether there are colours (https://no-color.org).
pub(super) struct Look {
    is_coloured: bool,
}

impl Look {
    pub(super) fn from_environment() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            is_coloured: !no_color && !is_dumb,
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        match self.is_coloured {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// The whole picture, a line a row; `loading` is how many frames there will be, until all are here.
pub(super) fn draw(
    tape: &Tape,
    heading: &str,
    loading: Option<u64>,
    look: &Look,
    width: usize,
    height: usize,
) -> Vec<String> {
    let mut lines = vec![look.paint("1", &cut(heading, width))];
    let room = height.saturating_sub(4);
    match tape.is_open() {
        true => lines.extend(payload(tape, width, room)),
        false => lines.extend(frames(tape, look, width, room)),
    }
    lines.resize(height.saturating_sub(3).max(1), String::new());
    lines.push(look.paint("2", &bar(tape, width)));
    lines.push(cut(&status(tape, loading), width));
    let keys = "space play/pause · ←/→ 5 s · ,/. frame · +/- speed · i idle · 0-9 jump · enter payload · q quit";
    lines.push(look.paint("2", &cut(keys, width)));
    lines.truncate(height);
    lines
}

/// The current frame with as many of those before it as there is room for, each with the first line of its payload.
fn frames(tape: &Tape, look: &Look, width: usize, room: usize) -> Vec<String> {
    let first = tape.frames().first().map_or(0, |frame| frame.time.microseconds());
    let mut lines = Vec::new();
    for (index, frame) in tape.frames().iter().enumerate().take(tape.here() + 1).rev() {
        if lines.len() + 2 > room {
            break;
        }
        let view = frame.view();
        let is_bad = view.rpc_is_error || view.rpc_error_code != 0 || matches!(view.kind, "refused" | "gap");
        let line = cut(show::line(&view, first).trim_end(), width);
        let code = match (is_bad, index == tape.here()) {
            (true, true) => "1;31",
            (true, false) => "31",
            (false, true) => "1;36",
            (false, false) => "0",
        };
        // From below: the payload first.
        if !view.payload.is_empty() {
            let text = format!("                  {}", printable(view.payload));
            lines.push(look.paint("2", &cut(&text, width)));
        }
        lines.push(look.paint(code, &line));
    }
    lines.reverse();
    lines
}

/// The current frame's payload, as readable as it gets.
fn payload(tape: &Tape, width: usize, room: usize) -> Vec<String> {
    let Some(frame) = tape.frames().get(tape.here()) else {
        return Vec::new();
    };
    let first = tape.frames().first().map_or(0, |frame| frame.time.microseconds());
    let mut lines = vec![cut(show::line(&frame.view(), first).trim_end(), width)];
    let text = match serde_json::from_str::<Value>(&frame.payload) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_default(),
        Err(_) => frame.payload.clone(),
    };
    for line in text.lines() {
        let shown: Vec<char> = printable(line).chars().collect();
        lines.extend(shown.chunks(width.max(1)).map(|part| part.iter().collect::<String>()));
        if lines.len() >= room {
            break;
        }
    }
    lines.truncate(room);
    lines
}

fn bar(tape: &Tape, width: usize) -> String {
    let room = width.saturating_sub(2);
    let done = match tape.end() {
        0 => room,
        end => ((tape.at() as f64 / end as f64) * room as f64) as usize,
    };
    format!("[{}{}]", "=".repeat(done.min(room)), " ".repeat(room - done.min(room)))
}

fn status(tape: &Tape, loading: Option<u64>) -> String {
    let state = match (tape.is_playing(), tape.at() >= tape.end()) {
        (_, true) => "■",
        (true, _) => "▶",
        (false, _) => "⏸",
    };
    let count = tape.frames().len();
    let here = if count == 0 { 0 } else { tape.here() + 1 };
    let of = match loading {
        None => count.to_string(),
        Some(total) => format!("{count}, loading {total}"),
    };
    let idle = if tape.skips_idle() { "  skipping idle" } else { "" };
    format!(
        "{state} ×{}  {} / {}  frame {here} of {of}{idle}",
        tape.speed(),
        clock(tape.at()),
        clock(tape.end())
    )
}

fn clock(microseconds: i64) -> String {
    let seconds = microseconds / 1_000_000;
    format!(
        "{:02}:{:02}.{:03}",
        seconds / 60,
        seconds % 60,
        microseconds % 1_000_000 / 1000
    )
}

/// At most so many characters: a line that wraps would push the others away.
fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some((end, _)) => text[..end].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_fits_terminals_of_any_size() {
        let look = Look { is_coloured: false };
        for (width, height) in [(0, 0), (1, 1), (20, 3), (80, 24), (300, 100)] {
            let lines = draw(&Tape::new(1.0), "heading", Some(7), &look, width, height);
            assert!(lines.len() <= height, "{width}×{height}");
            assert!(
                lines.iter().all(|line| line.chars().count() <= width.max(2)),
                "{width}×{height}: {lines:?}"
            );
        }
    }

    #[test]
    fn without_colours_nothing_is_sent_but_text() {
        let look = Look { is_coloured: false };
        let lines = draw(&Tape::new(1.0), "heading", None, &look, 80, 24);
        assert!(lines.iter().all(|line| !line.contains('\x1b')));
    }
}
