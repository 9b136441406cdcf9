//! Tokens that verified before, so that a client's every request does not cost a signature.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};

use sha2::{Digest, Sha256};

use super::{Principal, keys::KeyThumbprint};

/// Parts of the map, each with its lock.
const SHARDS: usize = 16;

/// The most tokens that a part remembers: 16,384 in all, about 10 MB when every principal has a dozen groups.
const PER_SHARD: usize = 1024;

/// SHA-256 of a token: what is remembered in its stead, so that no token can be read out of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// What a verified token stands for.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    /// Has the time at which the token expires.
    pub(super) principal: Arc<Principal>,
    /// The key that verified the token; none where the issuer itself was asked. The caller counts a hit only while the
    /// issuer publishes this key.
    pub(super) key: Option<KeyThumbprint>,
    /// Until when the issuer's word that the token is active counts; none where it is not asked for that.
    pub(super) until: Option<Instant>,
}

/// A bounded memory of verified tokens. A full part forgets what has expired, or else what expires first.
#[derive(Debug, Default)]
pub(super) struct VerifiedTokens {
    shards: [Mutex<HashMap<TokenDigest, Verified>>; SHARDS],
}

impl VerifiedTokens {
    /// The token, if it is remembered and has not expired.
    pub(super) fn find(&self, digest: &TokenDigest, now: SystemTime) -> Option<Verified> {
        self.shard(digest)
            .get(digest)
            .filter(|verified| verified.principal.expires > now)
            .cloned()
    }

    /// Remembers a token that has just verified.
    pub(super) fn insert(&self, digest: TokenDigest, verified: Verified, now: SystemTime) {
        let mut shard = self.shard(&digest);
        if shard.len() >= PER_SHARD {
            shard.retain(|_, verified| verified.principal.expires > now);
        }
        if shard.len() >= PER_SHARD
            && let Some(first) = shard
                .iter()
                .min_by_key(|(_, v)| v.principal.expires)
                .map(|(digest, _)| *digest)
        {
            shard.remove(&first);
        }
        shard.insert(digest, verified);
    }

    /// A memory of its own, with the tokens of those issuers that `is_kept` names.
    pub(super) fn of_issuers(&self, is_kept: impl Fn(&str) -> bool) -> Self {
        let shards = self.shards.each_ref().map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = shard.iter().filter(|(_, one)| is_kept(&one.principal.who.issuer));
            Mutex::new(kept.map(|(digest, one)| (*digest, one.clone())).collect())
        });
        Self { shards }
    }

    fn shard(&self, digest: &TokenDigest) -> MutexGuard<'_, HashMap<TokenDigest, Verified>> {
        // A panic while the lock was held leaves a map that is whole: every change to it is one call.
        self.shards[usize::from(digest.0[0]) % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{PER_SHARD, SHARDS, TokenDigest, Verified, VerifiedTokens};
    use crate::identity::{Principal, keys::KeyThumbprint};

    fn verified(expires: SystemTime) -> Verified {
        Verified {
            principal: Principal::for_test("alice", &[], expires),
            key: Some(KeyThumbprint::for_test()),
            until: None,
        }
    }

    #[test]
    fn memory_is_bounded_and_the_first_to_expire_goes_first() {
        let tokens = VerifiedTokens::default();
        let now = SystemTime::UNIX_EPOCH;
        let in_one_shard = |index: u64| {
            let mut digest = [0; 32];
            digest[8..16].copy_from_slice(&index.to_be_bytes());
            TokenDigest(digest)
        };
        for index in 0..=PER_SHARD as u64 {
            tokens.insert(in_one_shard(index), verified(now + Duration::from_secs(index + 1)), now);
        }
        assert!(
            tokens.find(&in_one_shard(0), now).is_none(),
            "it would have expired first"
        );
        assert!(tokens.find(&in_one_shard(1), now).is_some());
        assert!(tokens.find(&in_one_shard(PER_SHARD as u64), now).is_some());
        let held: usize = tokens
            .shards
            .iter()
            .map(|shard| shard.lock().expect("no panic").len())
            .sum();
        assert_eq!(held, PER_SHARD);
        assert_eq!(SHARDS * PER_SHARD, 16_384, "as documented");
    }

    #[test]
    fn an_expired_token_is_not_found() {
        let tokens = VerifiedTokens::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let digest = TokenDigest::of("token");
        tokens.insert(digest, verified(now + Duration::from_secs(10)), now);
        assert!(tokens.find(&digest, now + Duration::from_secs(9)).is_some());
        assert!(tokens.find(&digest, now + Duration::from_secs(10)).is_none());
    }
}
