//! What `cargo dev` shows: one line a step, with the time since it began; colours only where someone looks at them.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use tapedeck_dev::progress::{Progress, Step};

/// Standard output.
pub(crate) struct Terminal {
    began: Instant,
    coloured: bool,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        // https://no-color.org: any value but an empty one.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            began: Instant::now(),
            coloured: io::stdout().is_terminal() && !refused,
        }
    }

    /// A step, under the name of the part that it belongs to.
    pub(crate) fn step(&self, part: &str, text: &str) {
        let time = self.dim(&format!("{:6.1} s", self.began.elapsed().as_secs_f64()));
        let part = self.bold(&format!("{part:<12}"));
        // What follows a line break is part of the same step.
        let text = text.replace('\n', "\n                        ");
        self.line(&format!("{time}  {part}  {text}"));
    }

    /// A line that belongs to no part.
    pub(crate) fn say(&self, text: &str) {
        self.step("", text);
    }

    /// A heading.
    pub(crate) fn heading(&self, text: &str) {
        self.line(&format!("\n{}", self.bold(text)));
    }

    /// A line as it is.
    pub(crate) fn line(&self, text: &str) {
        // A closed terminal is no reason to end: a signal says when to.
        let _ = writeln!(io::stdout().lock(), "{text}");
    }

    /// Bold, where someone looks at it.
    pub(crate) fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.styled("2", text)
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.coloured {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

impl Progress for Terminal {
    fn report(&self, step: Step<'_>) {
        match step {
            Step::Installing { part, what } => self.step("install", &format!("{part}, {what}")),
            Step::Waiting { part } => self.step("install", &format!("another process installs {part}; waiting for it")),
            Step::Starting { .. } => {}
            Step::Ready { part, after } => self.step("ready", &format!("{part}, after {:.1} s", after.as_secs_f64())),
            Step::Note { part, text } => self.step(part, text),
            other => self.step("", &format!("{other:?}")),
        }
    }
}
