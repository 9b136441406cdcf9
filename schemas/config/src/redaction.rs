//! The `[redaction]` section: packs, policies, keys; and `[[…key]]`, wherever keys of tokens are given.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tapedeck_redact::{Action, Policy, TokenKey};

use crate::{SecretSource, Section};

/// What redaction is made from.
#[derive(Clone, Debug)]
pub struct Redaction {
    /// Whether anything is redacted at all.
    pub enabled: bool,
    /// Packs beside the built-in ones.
    pub packs: Vec<PathBuf>,
    /// Packs whose findings are counted and left alone.
    pub tried: Vec<PathBuf>,
    /// How often the files are looked at again.
    pub reload: Duration,
    /// What applies where, in order.
    pub policies: Vec<Policy>,
    /// What tokens are made with, the current ones first.
    pub keys: Vec<TokenKey>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self {
            enabled: true,
            packs: Vec::new(),
            tried: Vec::new(),
            reload: Duration::from_secs(10),
            policies: Vec::new(),
            keys: Vec::new(),
        }
    }
}

impl Redaction {
    /// Reads the section, or its defaults where there is none. What is wrong is reported there.
    pub fn read(section: Option<&Section<'_>>) -> Self {
        let defaults = Self::default();
        let Some(section) = section else { return defaults };
        let policies = section.sections("policy");
        Self {
            enabled: section.field("enabled").or(defaults.enabled),
            packs: section.field("packs").or(defaults.packs),
            tried: section.field("try").or(defaults.tried),
            reload: section.field("reload").and_then(positive).or(defaults.reload),
            policies: policies.iter().map(policy).collect(),
            keys: token_keys(section),
        }
    }
}

fn policy(section: &Section<'_>) -> Policy {
    let names = |key| section.field::<Vec<String>>(key).or(Vec::new());
    let actions = [
        ("mask", Action::Mask),
        ("token", Action::Token),
        ("hash", Action::Hash),
        ("partial", Action::Partial),
        ("drop", Action::Drop),
    ];
    let actions = actions
        .into_iter()
        .flat_map(|(key, action)| names(key).into_iter().map(move |name| (name, action)));
    Policy {
        tenants: names("tenants"),
        targets: names("targets"),
        tools: names("tools"),
        enable: names("enable"),
        disable: names("disable"),
        actions: actions.collect(),
    }
}

fn positive(duration: Duration) -> Result<Duration, &'static str> {
    match duration.is_zero() {
        true => Err("it must be longer than nothing"),
        false => Ok(duration),
    }
}

/// The keys in a section's `[[key]]`, in the file's order. What is wrong with one is reported, and it is left out.
pub fn token_keys(section: &Section<'_>) -> Vec<TokenKey> {
    section.sections("key").iter().filter_map(key).collect()
}

fn key(section: &Section<'_>) -> Option<TokenKey> {
    let id = section
        .field::<String>("id")
        .required("what tokens call the key, such as \"2026a\"");
    let tenants = section.field::<Vec<String>>("tenants").or(Vec::new());
    let environment = section.reader().environment();
    let secret = section.field::<SecretSource>("secret");
    let secret = secret.and_then(|source| source.bytes(environment));
    let secret = secret.required_at("where the key is: { file = \"…\" } or { env = \"…\" }");
    let (id, secret) = (id?, secret?);
    match TokenKey::new(&id, secret.value.expose_secret(), tenants) {
        Ok(key) => Some(key),
        Err(error) => {
            section.reader().problem(section.span(), error.to_string());
            None
        }
    }
}
