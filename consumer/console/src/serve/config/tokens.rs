//! `[tokens]`: what the tokens in recordings are made with, so that a value can be searched for.

use std::path::PathBuf;

use tapedeck_config::{Section, token_keys};
use tapedeck_redact::TokenKey;

/// Packs and keys, the same as the consumers have.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Packs beside the built-in ones: their rules may have kinds of their own.
    pub packs: Vec<PathBuf>,
    /// At least one, also those that make no new tokens.
    pub keys: Vec<TokenKey>,
}

impl Tokens {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let packs = section.field("packs").or(Vec::new());
        let keys = token_keys(section);
        if section.node("key").is_none() {
            let message = "[tokens] needs at least one [[tokens.key]], as the consumers have it";
            section.reader().problem(section.span(), message);
        }
        (!keys.is_empty()).then_some(Self { packs, keys })
    }
}
