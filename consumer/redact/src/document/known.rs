//! Strings of a body that were searched already.
//!
//! MCP asks servers to send a structured result as text, too, so most strings of an answer come twice.

use crate::edit::Edit;
use foldhash::{HashMap, HashMapExt as _};

/// Strings that are kept, and bytes of the longest.
const STRINGS: usize = 256;
const LONGEST: usize = 4096;

/// What was found in a string.
#[derive(Debug)]
pub(super) struct Found<'r> {
    pub(super) edits: Vec<Edit<'r>>,
    /// What the search took of the body's budget. A string that comes again takes as much, so that it makes no difference
    /// whether it is known.
    pub(super) visits: u64,
}

/// Strings with what was found in them, by the same rules.
#[derive(Debug, Default)]
pub(super) struct Known<'r>(Option<HashMap<Box<str>, Found<'r>>>);

impl<'r> Known<'r> {
    pub(super) fn find(&self, text: &str) -> Option<&Found<'r>> {
        self.0.as_ref()?.get(text)
    }

    pub(super) fn note(&mut self, text: &str, found: Found<'r>) {
        let known = self.0.get_or_insert_with(HashMap::new);
        if known.len() < STRINGS && text.len() <= LONGEST {
            known.insert(text.into(), found);
        }
    }
}
