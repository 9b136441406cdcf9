//! What becomes of a finding.

use serde::Deserialize;
use std::fmt;

/// What stands in the place of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// `‹redacted:RULE›`: nothing of it, not even whether two findings are the same.
    Mask,
    /// `‹KIND:KEY:…›`: the same for the same value of a tenant, however it is written, and found again by whoever may
    /// have the value's tokens made. A mask where the tenant has no key.
    Token,
    /// `‹KIND:#…›`: the same for the same spelling of a value of a tenant, under one key; nobody can search for it. A mask
    /// where the tenant has no key.
    Hash,
    /// `‹KIND:****4242›`: its last four letters and digits. Not for credentials.
    Partial,
    /// `‹dropped:RULE›` in the place of the whole string, number or key that holds it.
    Drop,
}

impl Action {
    /// The name in packs, configuration and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Token => "token",
            Self::Hash => "hash",
            Self::Partial => "partial",
            Self::Drop => "drop",
        }
    }

    /// The action of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Mask, Self::Token, Self::Hash, Self::Partial, Self::Drop]
            .into_iter()
            .find(|action| action.as_str() == name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
