//! The text of one string or number.

/// The text of the string or number being read, if it is wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture {
    pub(super) text: Vec<u8>,
    limit: usize,
    pub(super) truncated: bool,
    pub(super) escaped: bool,
    pub(super) lone_surrogate: bool,
}

impl Capture {
    pub(super) fn begin(&mut self, limit: usize) {
        self.text.clear();
        *self = Self {
            text: std::mem::take(&mut self.text),
            limit,
            ..Self::default()
        };
    }

    pub(super) fn add(&mut self, text: &[u8]) {
        let room = self.limit - self.text.len();
        self.truncated |= text.len() > room;
        self.text.extend_from_slice(&text[..text.len().min(room)]);
    }

    /// The text, less the rest of a character that the limit cut.
    pub(super) fn text(&self) -> &str {
        match std::str::from_utf8(&self.text) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&self.text[..error.valid_up_to()]).unwrap_or_default(),
        }
    }
}

/// A string as JSON text in its shortest spelling.
pub(super) fn json_string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\0'..='\u{1f}' => json.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => json.push(character),
        }
    }
    json.push('"');
    json
}
