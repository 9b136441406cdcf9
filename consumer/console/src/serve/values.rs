//! Values that recordings do not hold: what stands in their place, made again.

use std::fs;
use std::path::PathBuf;

use tapedeck_redact::{Config, ConfigError, Pack, Redactor};

use super::config::Tokens;

/// Why values cannot be searched for.
#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    /// A pack's file cannot be read.
    #[error("the pack {0} cannot be read: {1}")]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// A pack is wrong.
    #[error(transparent)]
    Wrong(#[from] ConfigError),
}

/// Makes tokens of values. Whoever has it can try values out, so its one user is the search that is written down.
#[derive(Debug)]
pub(super) struct Values(Redactor);

impl Values {
    /// # Errors
    /// A pack cannot be read, or is wrong.
    pub(super) fn new(tokens: &Tokens) -> Result<Self, ValuesError> {
        let mut packs = Pack::built_in();
        for path in &tokens.packs {
            let toml = fs::read_to_string(path).map_err(|error| ValuesError::Unreadable(path.clone(), error))?;
            let name = path.display().to_string();
            packs.push(Pack { name, toml });
        }
        let redactor = Redactor::new(Config {
            packs,
            keys: tokens.keys.clone(),
            ..Config::default()
        })?;
        Ok(Self(redactor))
    }

    /// What stands in recordings of a tenant where the value was, for each key and each kind of value.
    pub(super) fn tokens_of(&self, tenant: &str, value: &str) -> Vec<String> {
        self.0.tokens_of(tenant, value)
    }
}
