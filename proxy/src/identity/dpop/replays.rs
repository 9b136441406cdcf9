//! Proofs that were used: none is accepted a second time.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::ProofError;
use super::nonce::{LIFETIME, SKEW};

/// How long a proof could come again: as long as its nonce is good.
const REMEMBERED: Duration = LIFETIME.saturating_add(SKEW);

/// The most proofs that one replica takes in a [`REMEMBERED`] time: 4,000 a second. 16 MB at most, twice that while the
/// older half goes.
const MOST: usize = 262_144;

type Seen = [u8; 16];

/// The proofs of the last minute, as hashes.
#[derive(Debug)]
pub(super) struct Replays {
    most: usize,
    halves: Mutex<Halves>,
}

/// What was seen since `since`, and in the time before that: to forget what is old is to drop a set.
#[derive(Debug)]
struct Halves {
    since: Option<Instant>,
    young: HashSet<Seen>,
    old: HashSet<Seen>,
}

impl Default for Replays {
    fn default() -> Self {
        Self::bounded(MOST)
    }
}

impl Replays {
    fn bounded(most: usize) -> Self {
        Self {
            most,
            halves: Mutex::new(Halves {
                since: None,
                young: HashSet::new(),
                old: HashSet::new(),
            }),
        }
    }

    /// Takes a proof: the `jti` of the holder of this key, whose nonce is good at `now`. A second time is refused, and so
    /// is everything when there is no room to remember it.
    pub(super) fn take(&self, thumbprint: &str, jti: &str, now: Instant) -> Result<(), ProofError> {
        let mut hash = Sha256::new();
        hash.update((thumbprint.len() as u64).to_be_bytes());
        hash.update(thumbprint);
        hash.update(jti);
        let digest = hash.finalize();
        let seen: Seen = std::array::from_fn(|at| digest[at]);

        // A panic while the lock was held leaves sets that are whole: every change to them is one call.
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let age = halves.since.map(|since| now.saturating_duration_since(since));
        if age.is_none_or(|age| age > REMEMBERED) {
            let young = std::mem::take(&mut halves.young);
            // After two such times nothing of it can come again.
            halves.old = if age.is_some_and(|age| age <= REMEMBERED * 2) {
                young
            } else {
                HashSet::new()
            };
            halves.since = Some(now);
        }
        if halves.old.contains(&seen) || halves.young.contains(&seen) {
            return Err(ProofError::Replayed);
        }
        if halves.young.len() >= self.most {
            return Err(ProofError::TooMany);
        }
        halves.young.insert(seen);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_proof_is_taken_once_for_each_key() {
        let (replays, now) = (Replays::default(), Instant::now());
        assert_eq!(replays.take("key", "1", now), Ok(()));
        assert_eq!(replays.take("key", "1", now), Err(ProofError::Replayed));
        assert_eq!(replays.take("key", "2", now), Ok(()));
        assert_eq!(replays.take("other", "1", now), Ok(()));
        assert_eq!(
            replays.take("ke", "y1", now),
            Ok(()),
            "no two can be joined to the same"
        );
    }

    #[test]
    fn what_could_not_be_remembered_is_refused_until_there_is_room() {
        let (replays, now) = (Replays::bounded(2), Instant::now());
        let later = now + REMEMBERED + Duration::from_secs(1);
        assert_eq!(replays.take("key", "1", now), Ok(()));
        assert_eq!(replays.take("key", "2", now), Ok(()));
        assert_eq!(replays.take("key", "3", now), Err(ProofError::TooMany));
        assert_eq!(replays.take("key", "1", now), Err(ProofError::Replayed));
        assert_eq!(replays.take("key", "3", later), Ok(()));
    }

    proptest! {
        #[test]
        fn nothing_comes_again_while_its_nonce_could_be_good(
            steps in prop::collection::vec((0_u64..40, 0_u8..6), 1..60),
        ) {
            let replays = Replays::default();
            let mut now = Instant::now();
            let mut taken: Vec<(u8, Instant)> = Vec::new();
            for (pause, jti) in steps {
                now += Duration::from_secs(pause);
                let accepted = replays.take("key", &jti.to_string(), now).is_ok();
                let last = taken.iter().rev().find(|(other, _)| *other == jti).map(|(_, at)| now - *at);
                if last.is_some_and(|age| age <= REMEMBERED) {
                    prop_assert!(!accepted, "{jti} again after {last:?}");
                }
                if last.is_none_or(|age| age > REMEMBERED * 3) {
                    prop_assert!(accepted, "{jti} is remembered for ever");
                }
                if accepted {
                    taken.push((jti, now));
                }
            }
        }
    }
}
