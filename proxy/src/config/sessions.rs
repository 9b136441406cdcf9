//! `[sessions] tag_keys`: the keys that bind a session's id to its owner.

use secrecy::{ExposeSecret, SecretSlice};
use tapedeck_config::{Field, Reader, SecretSource};

/// The shortest key, in bytes: as long as the tag's HMAC-SHA-256 (RFC 2104, section 3).
const SHORTEST: usize = 32;

/// The keys of session tags, newest first: the first makes tags, all of them verify, so that a key rotates without
/// ending sessions. Debug shows no key.
#[derive(Debug)]
pub struct TagKeys {
    /// Invariant: at least one.
    keys: Vec<SecretSlice<u8>>,
    is_random: bool,
}

impl TagKeys {
    /// All keys, at least one, each of at least 32 bytes; the first makes new tags.
    pub fn all(&self) -> &[SecretSlice<u8>] {
        &self.keys
    }

    /// Whether no key is configured, and this one was made for want of one.
    pub fn is_random(&self) -> bool {
        self.is_random
    }

    pub(super) fn build(
        field: Option<Field<'_, Vec<SecretSource>>>,
        reader: &Reader,
        warnings: &mut Vec<String>,
    ) -> Option<Self> {
        let resolve = |source: &SecretSource| {
            let key = source.bytes(reader.environment()).map_err(|error| error.to_string())?;
            match key.expose_secret().len() {
                SHORTEST.. => Ok(key),
                short => Err(format!(
                    "{source} holds {short} bytes, but a key has {SHORTEST} or more; make one with: openssl rand -hex 32"
                )),
            }
        };
        let Some(field) = field.filter(Field::is_present) else {
            warnings.push(
                "no [sessions] tag_keys: a random key is used, so sessions end when this proxy restarts, and replicas \
                 refuse each other's sessions"
                    .to_owned(),
            );
            return Some(Self {
                keys: vec![random()],
                is_random: true,
            });
        };
        let span = field.span();
        let sources = field.optional()?;
        if sources.is_empty() {
            reader.problem(
                span,
                "`sessions.tag_keys` is an empty list; name a key, or leave the section out",
            );
            return None;
        }
        let mut keys = Vec::with_capacity(sources.len());
        for (index, source) in sources.iter().enumerate() {
            match resolve(source) {
                Ok(key) => keys.push(key),
                Err(message) => reader.problem(span.clone(), format!("`sessions.tag_keys[{index}]`: {message}")),
            }
        }
        (keys.len() == sources.len()).then_some(Self { keys, is_random: false })
    }
}

fn random() -> SecretSlice<u8> {
    let mut key = vec![0; SHORTEST];
    rand::fill(key.as_mut_slice());
    SecretSlice::from(key)
}
