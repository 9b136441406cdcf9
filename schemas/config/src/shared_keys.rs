//! Keys that the replicas of a service share: a list, so that a key can be replaced and nothing breaks.

use secrecy::{ExposeSecret, SecretSlice};

use crate::{Field, SecretSource};

/// The shortest key, in bytes: as long as the output of SHA-256, with which such keys are used (RFC 2104, section 3).
const SHORTEST: usize = 32;

/// Keys, newest first: the first makes what clients hold, all of them accept it, so that a key rotates and nobody notices.
/// Debug shows no key.
#[derive(Clone, Debug)]
pub struct SharedKeys {
    /// Invariant: at least one, each of at least 32 bytes.
    keys: Vec<SecretSlice<u8>>,
    is_random: bool,
}

impl SharedKeys {
    /// All keys, at least one, each of at least 32 bytes; the first makes.
    pub fn all(&self) -> &[SecretSlice<u8>] {
        &self.keys
    }

    /// Whether no key is configured, and this one was made for want of one.
    pub fn is_random(&self) -> bool {
        self.is_random
    }

    /// One key that nobody else has: what it makes is worth nothing after a restart, or at another replica.
    pub fn random() -> Self {
        let mut key = vec![0; SHORTEST];
        rand::fill(key.as_mut_slice());
        Self {
            keys: vec![SecretSlice::from(key)],
            is_random: true,
        }
    }

    /// The keys that a list of `{ env = "NAME" }` and `{ file = "path" }` names; a [random](Self::random) one where there is no
    /// list. What is wrong is reported, then `None`.
    pub fn read(field: Field<'_, Vec<SecretSource>>) -> Option<Self> {
        if !field.is_present() {
            return Some(Self::random());
        }
        let (reader, name, span) = (field.reader(), field.name().to_owned(), field.span());
        let sources = field.optional()?;
        if sources.is_empty() {
            reader.problem(span, format!("`{name}` is an empty list; name a key, or leave it out"));
            return None;
        }
        let mut keys = Vec::with_capacity(sources.len());
        for (index, source) in sources.iter().enumerate() {
            let key = source.bytes(reader.environment()).map_err(|error| error.to_string());
            match key.and_then(|key| long_enough(key, source)) {
                Ok(key) => keys.push(key),
                Err(message) => reader.problem(span.clone(), format!("`{name}[{index}]`: {message}")),
            }
        }
        let is_random = false;
        (keys.len() == sources.len()).then_some(Self { keys, is_random })
    }
}

fn long_enough(key: SecretSlice<u8>, source: &SecretSource) -> Result<SecretSlice<u8>, String> {
    match key.expose_secret().len() {
        SHORTEST.. => Ok(key),
        short => Err(format!(
            "{source} holds {short} bytes, but a key has {SHORTEST} or more; make one with: openssl rand -hex 32"
        )),
    }
}
