//! What browsers keep for us and can neither read nor change: sealed with keys that replicas share, so that any of them
//! opens it, after a restart as well.
//!
//! Each seal is made with a key of its own, of a shared key and a random salt (HKDF, RFC 5869), so that no nonce comes twice
//! however many are made (ChaCha20-Poly1305, RFC 8439).

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use secrecy::{ExposeSecret as _, SecretSlice};
use tapedeck_config::SharedKeys;

/// Bytes of a salt.
const SALT: usize = 32;
/// The only nonce: its key is used once.
const NONCE: [u8; 12] = [0; 12];

/// What a seal is for. One for something else does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A browser's session.
    Session,
    /// The ID token that it began with.
    Hint,
    /// A sign-in that is under way.
    SignIn,
}

impl Purpose {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Session => b"tapedeck console session",
            Self::Hint => b"tapedeck console hint",
            Self::SignIn => b"tapedeck console sign-in",
        }
    }
}

/// Seals and opens.
#[derive(Clone)]
pub(in crate::serve) struct Seals {
    /// Invariant: at least one; the first seals, all of them open.
    keys: Vec<SecretSlice<u8>>,
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seals(…)")
    }
}

impl Seals {
    pub(in crate::serve) fn new(keys: &SharedKeys) -> Self {
        Self {
            keys: keys.all().to_vec(),
        }
    }

    /// Seals a text: what comes of it fits into a cookie. Only who names what it is bound to opens it.
    pub(super) fn seal(&self, purpose: Purpose, bound_to: &[u8], text: &[u8]) -> String {
        let salt: [u8; SALT] = rand::random();
        let mut sealed = text.to_vec();
        key(self.keys[0].expose_secret(), &salt, purpose)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(NONCE), Aad::from(bound_to), &mut sealed)
            .expect("no text of ours comes near the longest that can be sealed");
        BASE64_URL_SAFE_NO_PAD.encode([&salt[..], &sealed].concat())
    }

    /// The text, if the seal is one of ours, for this and bound to this.
    pub(super) fn open(&self, purpose: Purpose, bound_to: &[u8], sealed: &str) -> Option<Vec<u8>> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (salt, sealed) = bytes.split_first_chunk::<SALT>()?;
        self.keys.iter().find_map(|one| {
            let mut text = sealed.to_vec();
            let opened = key(one.expose_secret(), salt, purpose)
                .open_in_place(Nonce::assume_unique_for_key(NONCE), Aad::from(bound_to), &mut text)
                .ok()?
                .len();
            text.truncate(opened);
            Some(text)
        })
    }
}

/// The key of one seal.
fn key(shared: &[u8], salt: &[u8; SALT], purpose: Purpose) -> LessSafeKey {
    let extracted = Salt::new(HKDF_SHA256, salt).extract(shared);
    let info = [purpose.name()];
    let expanded = extracted.expand(&info, &CHACHA20_POLY1305);
    LessSafeKey::new(UnboundKey::from(
        expanded.expect("a key is shorter than what HKDF can make"),
    ))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use tapedeck_config::{Environment, SharedKeys};

    use super::{Purpose, Seals};

    fn seals(keys: &[&str]) -> Seals {
        let names: Vec<String> = (0..keys.len())
            .map(|index| format!("{{ env = \"K{index}\" }}"))
            .collect();
        let environment = keys
            .iter()
            .enumerate()
            .map(|(index, key)| (format!("K{index}"), key.repeat(32)));
        let text = format!("keys = [{}]\n", names.join(", "));
        let environment = Environment::Given(environment.collect());
        let keys = tapedeck_config::read_text_with("keys.toml", &text, environment, |root| {
            SharedKeys::read(root.field("keys"))
        });
        Seals::new(&keys.expect("right keys"))
    }

    #[test]
    fn what_one_replica_has_sealed_another_opens_while_they_share_a_key() {
        let sealed = seals(&["a"]).seal(Purpose::Session, b"x", b"alice");
        assert_eq!(
            seals(&["a"]).open(Purpose::Session, b"x", &sealed).as_deref(),
            Some(&b"alice"[..])
        );
        assert_eq!(
            seals(&["b", "a"]).open(Purpose::Session, b"x", &sealed).as_deref(),
            Some(&b"alice"[..])
        );
        assert_eq!(
            seals(&["b"]).open(Purpose::Session, b"x", &sealed),
            None,
            "the key is gone"
        );
        assert_eq!(
            seals(&["a"]).open(Purpose::SignIn, b"x", &sealed),
            None,
            "it is for something else"
        );
        assert_eq!(
            seals(&["a"]).open(Purpose::Session, b"y", &sealed),
            None,
            "it belongs to something else"
        );
        let newer = seals(&["b", "a"]).seal(Purpose::Session, b"x", b"alice");
        assert_eq!(
            seals(&["a"]).open(Purpose::Session, b"x", &newer),
            None,
            "the first key seals"
        );
    }

    proptest! {
        #[test]
        fn no_seal_that_was_changed_anywhere_opens(text: Vec<u8>, place: usize, bit in 0..8_u8) {
            let seals = seals(&["a"]);
            let sealed = seals.seal(Purpose::Session, b"", &text);
            prop_assert_eq!(seals.open(Purpose::Session, b"", &sealed), Some(text));
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&sealed).expect("base64");
            let place = place % bytes.len();
            bytes[place] ^= 1 << bit;
            prop_assert_eq!(seals.open(Purpose::Session, b"", &BASE64_URL_SAFE_NO_PAD.encode(&bytes)), None);
            bytes[place] ^= 1 << bit;
            bytes.truncate(place);
            prop_assert_eq!(seals.open(Purpose::Session, b"", &BASE64_URL_SAFE_NO_PAD.encode(&bytes)), None);
        }
    }
}
