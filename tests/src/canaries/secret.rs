//! One secret, and how it would be recognized wherever it came out.

use std::ops::Range;

/// Bytes that a thing to look for has at least: shorter ones stand somewhere by chance.
const LEAST: usize = 14;
/// Characters of a secret's end that are looked for: enough to be its own, so that half a secret is found as well.
const WINDOW: usize = 14;

/// A value that must not be stored, and what it is planted in.
#[derive(Debug, Clone)]
pub(super) enum Secret {
    /// A text that holds it.
    Text {
        text: String,
        /// Where in the text it is.
        core: Range<usize>,
    },
    /// The value of a member, which its name gives away.
    Member { key: String, value: String },
}

impl Secret {
    /// What must go, with what stands before and after it.
    pub(super) fn text(before: &str, value: &str, after: &str) -> Self {
        Self::Text {
            text: format!("{before}{value}{after}"),
            core: before.len()..before.len() + value.len(),
        }
    }

    pub(super) fn member(key: &str, value: String) -> Self {
        Self::Member {
            key: key.to_owned(),
            value,
        }
    }

    /// The end of the secret: where that is short, with what stands before it and announces it.
    pub(super) fn window(&self) -> &str {
        match self {
            Self::Member { value, .. } => last(value, WINDOW),
            Self::Text { text, core } => {
                let upto = &text[..core.end];
                match core.len() {
                    LEAST.. => last(&text[core.clone()], WINDOW),
                    // A number of nine digits is somebody's row number, too.
                    _ => last(upto, LEAST),
                }
            }
        }
    }

    /// The digits, where there is nothing else.
    pub(super) fn digits(&self) -> Option<&str> {
        let value = match self {
            Self::Member { value, .. } => value,
            Self::Text { text, core } => &text[core.clone()],
        };
        let is_number = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
        is_number.then_some(value)
    }
}

fn last(text: &str, characters: usize) -> &str {
    let count = text.chars().count();
    let from = text.char_indices().nth(count.saturating_sub(characters));
    &text[from.map_or(0, |(at, _)| at)..]
}
