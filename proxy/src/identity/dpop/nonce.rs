//! Nonces that say when they were made, and by whom: nothing is kept of them, and every replica takes those of the others.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

use crate::identity::Now;

/// How long a nonce is good.
pub(super) const LIFETIME: Duration = Duration::from_secs(60);

/// How far another replica's clock may be ahead of ours.
pub(super) const SKEW: Duration = Duration::from_secs(5);

/// Makes nonces, and knows those that were made with any of the same keys.
///
/// A nonce is base64url of 8 bytes, the second in which it was made, and 16 bytes of HMAC-SHA-256 over that.
pub(super) struct Nonces {
    /// Invariant: at least one. The first makes nonces, all of them are taken.
    keys: Vec<SecretSlice<u8>>,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonces(..)")
    }
}

impl Nonces {
    /// From the keys that replicas share: those of session tags. What is made of them here is good for nothing there.
    pub(super) fn new(keys: &[SecretSlice<u8>]) -> Self {
        assert!(!keys.is_empty(), "the configuration has a key, or a random one");
        Self { keys: keys.to_vec() }
    }

    /// A nonce of this moment.
    pub(super) fn issue(&self, now: Now) -> HeaderValue {
        let second = second(now.wall).to_be_bytes();
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&second);
        nonce[8..].copy_from_slice(&code(&self.keys[0], second).finalize().into_bytes()[..16]);
        HeaderValue::from_str(&BASE64_URL_SAFE_NO_PAD.encode(nonce)).expect("base64url fits into a header field")
    }

    /// Whether this is a nonce of ours that is still good.
    pub(super) fn is_good(&self, nonce: &str, now: Now) -> bool {
        let Some(nonce) = BASE64_URL_SAFE_NO_PAD
            .decode(nonce)
            .ok()
            .and_then(|bytes| <[u8; 24]>::try_from(bytes).ok())
        else {
            return false;
        };
        let (made, claimed) = nonce.split_at(8);
        let made: [u8; 8] = made.try_into().expect("split at 8");
        let is_ours = self
            .keys
            .iter()
            .any(|key| code(key, made).verify_truncated_left(claimed).is_ok());
        let (made, now) = (u64::from_be_bytes(made), second(now.wall));
        is_ours && made <= now.saturating_add(SKEW.as_secs()) && now <= made.saturating_add(LIFETIME.as_secs())
    }
}

fn second(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn code(key: &SecretSlice<u8>, made: [u8; 8]) -> Hmac<Sha256> {
    let mac = Hmac::new_from_slice(key.expose_secret()).expect("HMAC takes a key of any length");
    mac.chain_update(b"tapedeck/dpop-nonce/v1").chain_update(made)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn at(second: u64) -> Now {
        Now {
            wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000 + second),
            monotonic: Instant::now(),
        }
    }

    fn keys(bytes: &[u8]) -> Vec<SecretSlice<u8>> {
        bytes.iter().map(|&byte| SecretSlice::from(vec![byte; 32])).collect()
    }

    #[test]
    fn a_nonce_is_good_for_a_minute_at_every_replica_and_when_keys_have_rotated() {
        let (ours, theirs) = (Nonces::new(&keys(&[1])), Nonces::new(&keys(&[2, 1])));
        let nonce = ours.issue(at(100));
        let nonce = nonce.to_str().expect("ASCII");
        for nonces in [&ours, &theirs] {
            for (second, is_good) in [(94, false), (95, true), (100, true), (160, true), (161, false)] {
                assert_eq!(nonces.is_good(nonce, at(second)), is_good, "at {second}");
            }
        }
        assert!(!Nonces::new(&keys(&[2])).is_good(nonce, at(100)), "another key's");
    }

    #[test]
    fn a_nonce_that_was_changed_in_any_bit_is_not_ours() {
        let ours = Nonces::new(&keys(&[1]));
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(ours.issue(at(0))).expect("base64url");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !ours.is_good(&BASE64_URL_SAFE_NO_PAD.encode(changed), at(0)),
                "bit {bit}"
            );
        }
        for wrong in ["", "AAAA", "not base64url"] {
            assert!(!ours.is_good(wrong, at(0)));
        }
    }
}
