//! The topics' names.

/// The four topics. All start with the configured prefix, default `mcp`, and end with the version of their contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    frames: String,
    audit: String,
    control: String,
    deadletter: String,
}

impl Topics {
    /// The topics under `prefix`.
    ///
    /// # Errors
    ///
    /// What is wrong with the prefix: Kafka allows letters, digits, `.`, `_` and `-`, 249 characters in a topic's name.
    pub fn new(prefix: &str) -> Result<Self, &'static str> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if prefix.is_empty() || !prefix.bytes().all(fits) {
            return Err("a topic's name has letters, digits, `.`, `_` and `-` only");
        }
        if prefix.len() > 200 {
            return Err("longer than 200 characters, and Kafka allows 249 for the whole name");
        }
        Ok(Self::under(prefix))
    }

    fn under(prefix: &str) -> Self {
        Self {
            frames: format!("{prefix}.frames.v1"),
            audit: format!("{prefix}.audit.v1"),
            control: format!("{prefix}.control.v1"),
            deadletter: format!("{prefix}.deadletter.v1"),
        }
    }

    /// Raw frames, with whatever secrets clients and targets sent: restricted.
    pub fn frames(&self) -> &str {
        &self.frames
    }

    /// The redacted stream for SIEMs.
    pub fn audit(&self) -> &str {
        &self.audit
    }

    /// Manifests and seals.
    pub fn control(&self) -> &str {
        &self.control
    }

    /// Origin, reason and size of what the consumer could not decode.
    pub fn deadletter(&self) -> &str {
        &self.deadletter
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self::under("mcp")
    }
}
