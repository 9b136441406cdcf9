//! asciinema's cast, version 2: the replay in a terminal, at the times at which it happened.

use serde_json::json;

use super::Rendering;
use crate::serve::api::{Frame, Session};
use crate::show::{self, Shown};

/// The terminal that it was made for.
const WIDTH: u16 = 160;
const HEIGHT: u16 = 48;

/// Writes a cast.
pub(in crate::serve) struct Cast {
    header: Option<Vec<u8>>,
    shown: Shown,
    first: Option<i64>,
    last: f64,
}

impl Cast {
    pub(in crate::serve) fn new(session: &Session) -> Self {
        let mut heading = Vec::new();
        show::heading(&session.heading(), &mut heading).expect("writing to memory cannot fail");
        let header = json!({
            "version": 2,
            "width": WIDTH,
            "height": HEIGHT,
            "timestamp": session.started.microseconds() / 1_000_000,
            "title": format!("tapedeck {}", session.session_id),
        });
        let mut lines = format!("{header}\n").into_bytes();
        lines.extend(event(0.0, &heading));
        Self {
            header: Some(lines),
            shown: Shown::default(),
            first: None,
            last: 0.0,
        }
    }
}

impl Rendering for Cast {
    fn frame(&mut self, frame: Frame, out: &mut Vec<u8>) {
        out.extend(self.header.take().into_iter().flatten());
        let time = frame.time.microseconds();
        let first = *self.first.get_or_insert(time);
        // Clocks may step back; a cast's must not.
        self.last = self.last.max((time - first) as f64 / 1e6);
        let mut text = Vec::new();
        let written = self.shown.frame(&frame.view(), false, &mut text);
        written.expect("writing to memory cannot fail");
        out.extend(event(self.last, &text));
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend(self.header.take().into_iter().flatten());
        let mut text = Vec::new();
        self.shown.end(&mut text).expect("writing to memory cannot fail");
        out.extend(event(self.last, &text));
    }
}

fn event(seconds: f64, text: &[u8]) -> Vec<u8> {
    // A terminal needs to be told to go back to the line's beginning.
    let text = String::from_utf8_lossy(text).replace('\n', "\r\n");
    format!("{}\n", json!([seconds, "o", text])).into_bytes()
}
