//! A page that plays a session, in one file: it asks nobody for anything, and what was recorded is text in it and never
//! markup.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Rendering;
use super::rendering::json_for_page;
use crate::serve::api::{Frame, Session};

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/player.js");
const BODY: &str = include_str!("page/body.html");

/// Writes a page.
pub(in crate::serve) struct Page {
    head: Option<String>,
    has_frames: bool,
}

impl Page {
    pub(in crate::serve) fn new(session: &Session) -> Self {
        // By their hashes: a script that somebody plants in the file does not run (CSP 3, section 6.7.3.3).
        let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
            hash(SCRIPT),
            hash(STYLE)
        );
        let head = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>tapedeck {}</title><style>{STYLE}</style></head>\n\
             {BODY}<script type=\"application/json\" id=\"session\">{}</script>\n\
             <script type=\"application/json\" id=\"frames\">[",
            session.session_id,
            json_for_page(session),
        );
        Self {
            head: Some(head),
            has_frames: false,
        }
    }
}

impl Rendering for Page {
    fn frame(&mut self, frame: Frame, out: &mut Vec<u8>) {
        out.extend(self.head.take().into_iter().flat_map(String::into_bytes));
        let comma = if std::mem::replace(&mut self.has_frames, true) {
            ",\n"
        } else {
            "\n"
        };
        let view = frame.view();
        let shown = json!({
            "n": view.number,
            "t": view.time,
            "line": crate::show::headline(&view),
            "arrow": crate::show::arrow(&view),
            "error": view.rpc_is_error || view.rpc_error_code != 0 || view.kind == "refused" || view.kind == "gap",
            "masked": view.redaction_rules,
            "payload": view.payload,
        });
        out.extend(comma.as_bytes());
        out.extend(json_for_page(&shown).into_bytes());
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend(self.head.take().into_iter().flat_map(String::into_bytes));
        out.extend(format!("\n]</script><script>{SCRIPT}</script></body></html>\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{BODY, SCRIPT, STYLE};

    #[test]
    fn the_page_asks_nobody_and_makes_no_markup_of_what_was_recorded() {
        for text in [BODY, SCRIPT, STYLE] {
            assert!(!text.contains("://") && !text.contains("//"), "a comment or a host");
        }
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
        ] {
            assert!(!SCRIPT.contains(sink), "{sink}");
        }
        assert!(
            !BODY.contains(" style=") && !BODY.contains(" on"),
            "the policy forbids it"
        );
    }
}
