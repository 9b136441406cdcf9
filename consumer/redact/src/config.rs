//! What the engine is made from.

use crate::{keyring::TokenKey, pack::Confidence, policy::Policy};
use std::{collections::BTreeSet, fmt};

/// Rules and limits of an engine.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether anything is redacted at all. Where it is not, every body and text is kept as it is, whatever it is.
    pub enabled: bool,
    /// The packs to compile, in order; the built-in ones by default.
    pub packs: Vec<Pack>,
    /// Ids of rules to leave out.
    pub disabled: BTreeSet<String>,
    /// Rules less sure of their findings are left out; [`Confidence::Low`] by default, which is all rules.
    pub confidence: Confidence,
    /// Whether [`redact_text`](crate::Redactor::redact_text) also masks personal data. Off by default: who acted on
    /// what is identity, which a record is for.
    pub personal_in_metadata: bool,
    /// What is switched, and what becomes of findings, by tenant, target and tool.
    pub policies: Vec<Policy>,
    /// What tokens are made with; without a key for a tenant, its tokens are masks.
    pub keys: Vec<TokenKey>,
    /// Bounds; beyond any of them a body is dropped.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            packs: Pack::built_in(),
            disabled: BTreeSet::new(),
            confidence: Confidence::Low,
            personal_in_metadata: false,
            policies: Vec::new(),
            keys: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// A rule pack before it is compiled.
#[derive(Clone, Debug)]
pub struct Pack {
    /// What errors call it, such as its file name.
    pub name: String,
    /// The pack itself, TOML.
    pub toml: String,
}

impl Pack {
    /// The packs that come with the engine.
    pub fn built_in() -> Vec<Self> {
        [
            ("credentials.toml", include_str!("../packs/credentials.toml")),
            ("keys.toml", include_str!("../packs/keys.toml")),
            ("personal.toml", include_str!("../packs/personal.toml")),
            ("national.toml", include_str!("../packs/national.toml")),
            ("secrets.toml", include_str!("../packs/secrets.toml")),
            ("issuers.toml", include_str!("../packs/issuers.toml")),
        ]
        .map(|(name, toml)| Self {
            name: name.to_owned(),
            toml: toml.to_owned(),
        })
        .into()
    }
}

/// Bounds on what one body may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a body that comes whole. One that comes in chunks may have any size.
    pub body: usize,
    /// Bytes of a string that is looked at whole. A longer one is looked at window by window; one that begins like JSON, and
    /// anything else so long that it could not be kept, drops the body, or what is left of it.
    pub string: usize,
    /// Arrays and objects inside each other, in one JSON text.
    pub depth: usize,
    /// JSON texts inside strings of JSON texts.
    pub nesting: usize,
    /// Byte visits allowed for each byte of a body, on top of a million for any body.
    pub work_per_byte: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 16 << 20,
            string: 8 << 20,
            depth: 128,
            nesting: 8,
            work_per_byte: 256,
        }
    }
}

/// Why no engine could be made: everything that is wrong with the packs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redaction rules are refused")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// One thing that is wrong with a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The pack's name.
    pub pack: String,
    /// Line in the pack, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.pack, self.line, self.message)
    }
}
