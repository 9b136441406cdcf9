//! Keys for tokens: what makes the same value look the same, and lets who may ask for it find it again.
//!
//! A token is `KIND:KEY:` and twenty letters of base32 (RFC 4648): the first hundred bits of HMAC-SHA-256 (RFC 2104) over
//! the value's canonical spelling, under a key derived from the tenant, the kind and the id of the configured key. Nothing
//! leads back from it without that key, not even by trying all values; and nothing at all leads from one tenant to another.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};
use zeroize::Zeroizing;

/// Letters of a token behind its kind and key.
pub(crate) const LETTERS: usize = 20;
/// Bytes of a key's id at most.
pub(crate) const LONGEST_ID: usize = 16;
/// Bytes of a secret at least: as many as it yields.
const LEAST_SECRET: usize = 32;
/// Tenants whose derived keys are kept; with more of them, all are forgotten and derived again.
const TENANTS: usize = 1024;

/// A key that tokens are made with.
///
/// Keys rotate by putting a new one in front: tokens are made with the first that is for a tenant, and looked for with all.
#[derive(Clone)]
pub struct TokenKey {
    id: Arc<str>,
    secret: Arc<Zeroizing<Vec<u8>>>,
    tenants: Vec<String>,
}

/// Why a key is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The id stands in each token.
    #[error("a key's id is 1 to {LONGEST_ID} of a-z, 0-9 and -")]
    Id,
    /// Short secrets can be guessed, and with them all values.
    #[error("a key's secret has {LEAST_SECRET} bytes at least; `openssl rand -hex 32` makes one")]
    Short,
}

impl TokenKey {
    /// A key for these tenants, or for all if there are none.
    ///
    /// # Errors
    /// The id does not fit into tokens, or the secret is short.
    pub fn new(id: &str, secret: &[u8], tenants: Vec<String>) -> Result<Self, KeyError> {
        let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(sound) {
            return Err(KeyError::Id);
        }
        if secret.len() < LEAST_SECRET {
            return Err(KeyError::Short);
        }
        Ok(Self {
            id: id.into(),
            secret: Arc::new(Zeroizing::new(secret.to_vec())),
            tenants,
        })
    }

    /// The id that its tokens have.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn is_for(&self, tenant: &str) -> bool {
        self.tenants.is_empty() || self.tenants.iter().any(|other| other == tenant)
    }

    fn of_tenant(&self, tenant: &str, kinds: usize) -> TenantKey {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes a key of any length");
        mac.update(b"tapedeck tokens of tenant\0");
        mac.update(tenant.as_bytes());
        TenantKey {
            id: Arc::clone(&self.id),
            secret: Zeroizing::new(mac.finalize().into_bytes().into()),
            kinds: (0..kinds).map(|_| OnceLock::new()).collect(),
        }
    }
}

/// Names the key, never its secret.
impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("id", &self.id)
            .field("tenants", &self.tenants)
            .finish_non_exhaustive()
    }
}

/// What a tenant's tokens are made with.
pub(crate) struct TenantKey {
    pub(crate) id: Arc<str>,
    secret: Zeroizing<[u8; 32]>,
    /// One for each kind of value, made when it is needed first.
    kinds: Box<[OnceLock<Hmac<Sha256>>]>,
}

impl TenantKey {
    /// The letters of the token of `canonical`, a value of the kind of this name and number.
    pub(crate) fn letters(&self, (number, kind): (u16, &str), canonical: &str) -> Letters {
        let made = || self.derive("token", kind);
        let mac = match self.kinds.get(usize::from(number)) {
            Some(key) => key.get_or_init(made).clone(),
            None => made(),
        };
        base32(mac, canonical)
    }

    /// The letters of the hash of `value`. Another key than tokens have, so that whoever may make tokens learns nothing of it.
    pub(crate) fn hash(&self, kind: &str, value: &str) -> Letters {
        base32(self.derive("hash", kind), value)
    }

    fn derive(&self, purpose: &str, kind: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.secret).expect("HMAC takes a key of any length");
        // No part holds a zero, so no two of them run together to the same.
        for part in [purpose, kind, &self.id] {
            mac.update(part.as_bytes());
            mac.update(b"\0");
        }
        let key = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
        Hmac::new_from_slice(&*key).expect("HMAC takes a key of any length")
    }
}

fn base32(mut mac: Hmac<Sha256>, value: &str) -> Letters {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    mac.update(value.as_bytes());
    let digest: [u8; 32] = mac.finalize().into_bytes().into();
    let bits = digest[..13]
        .iter()
        .fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    Letters(std::array::from_fn(|at| {
        ALPHABET[(bits >> (104 - 5 * (at + 1)) & 31) as usize]
    }))
}

/// What a token ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Letters([u8; LETTERS]);

impl Letters {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("letters of base32 are ASCII")
    }
}

/// Whether these could be the letters of a token.
pub(crate) fn are_letters(text: &str) -> bool {
    text.len() == LETTERS && text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
}

/// All keys of an engine.
#[derive(Default)]
pub(crate) struct Keyring {
    keys: Vec<TokenKey>,
    kinds: usize,
    known: RwLock<HashMap<Box<str>, Option<Arc<TenantKey>>>>,
}

impl Keyring {
    /// `kinds` is the number of kinds of values.
    pub(crate) fn new(keys: Vec<TokenKey>, kinds: usize) -> Self {
        Self {
            keys,
            kinds,
            known: RwLock::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key that a tenant's tokens are made with.
    pub(crate) fn current(&self, tenant: &str) -> Option<Arc<TenantKey>> {
        if self.keys.is_empty() {
            return None;
        }
        // Whoever panicked held a map that is whole at any time.
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(tenant) {
            return known.clone();
        }
        let made = self.live(tenant).next().map(Arc::new);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TENANTS {
            known.clear();
        }
        known.insert(tenant.into(), made.clone());
        made
    }

    /// All keys that a tenant's tokens may have been made with.
    pub(crate) fn live(&self, tenant: &str) -> impl Iterator<Item = TenantKey> {
        self.keys
            .iter()
            .filter(move |key| key.is_for(tenant))
            .map(move |key| key.of_tenant(tenant, self.kinds))
    }
}

#[cfg(test)]
mod tests {
    use super::{Keyring, TokenKey, are_letters};

    fn key(id: &str, tenants: &[&str]) -> TokenKey {
        let tenants = tenants.iter().map(|tenant| (*tenant).to_owned()).collect();
        TokenKey::new(id, format!("{id} and thirty-two bytes of a secret").as_bytes(), tenants).expect("it is sound")
    }

    #[test]
    fn a_token_depends_on_value_kind_tenant_and_key_and_on_nothing_else() {
        let ring = Keyring::new(vec![key("b", &[]), key("a", &[])], 2);
        let current = ring.current("acme").expect("there is a key");
        let token = current.letters((0, "card"), "4111");
        assert!(are_letters(token.as_str()), "{token:?}");
        assert_eq!(
            ring.current("acme")
                .expect("there is a key")
                .letters((0, "card"), "4111"),
            token
        );
        let older = ring.live("acme").nth(1).expect("there are two");
        for other in [
            current.letters((0, "card"), "4112"),
            current.letters((1, "iban"), "4111"),
            current.hash("card", "4111"),
            ring.current("other")
                .expect("there is a key")
                .letters((0, "card"), "4111"),
            older.letters((0, "card"), "4111"),
        ] {
            assert_ne!(other, token);
        }
        assert_eq!((&*current.id, &*older.id), ("b", "a"));
    }

    #[test]
    fn a_tenant_has_the_keys_that_are_for_it() {
        let ring = Keyring::new(vec![key("acme", &["acme"]), key("all", &[])], 1);
        assert_eq!(&*ring.current("acme").expect("there is a key").id, "acme");
        assert_eq!(&*ring.current("other").expect("there is a key").id, "all");
        assert!(Keyring::new(vec![key("acme", &["acme"])], 1).current("other").is_none());
    }

    #[test]
    fn weak_keys_are_refused_and_secrets_are_not_shown() {
        assert!(TokenKey::new("a", b"short", Vec::new()).is_err());
        assert!(TokenKey::new("A", &[7; 32], Vec::new()).is_err());
        assert!(!format!("{:?}", key("a", &[])).contains("thirty"));
    }
}
