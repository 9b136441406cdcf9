//! What issuers said about tokens, for as long as it counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::AuthError;
use super::verified::TokenDigest;

/// The most tokens that something is remembered of.
const MOST: usize = 16_384;

/// How long a failure counts, for those who waited for the same answer.
const FAILURE: Duration = Duration::from_secs(1);

type Slot<T> = Arc<tokio::sync::Mutex<Option<Kept<T>>>>;

/// An answer, and when it was asked for.
#[derive(Clone, Debug)]
struct Kept<T> {
    answer: Result<T, AuthError>,
    at: Instant,
}

/// A bounded memory of answers. While a token is being asked about, others who need the same answer wait for it.
#[derive(Debug)]
pub(super) struct Answers<T> {
    /// How long an answer counts at most.
    keep: Duration,
    most: usize,
    slots: Mutex<HashMap<TokenDigest, Slot<T>>>,
}

impl<T: Clone> Answers<T> {
    pub(super) fn new(keep: Duration) -> Self {
        Self {
            keep,
            most: MOST,
            slots: Mutex::default(),
        }
    }

    /// The answer about a token that is not older than `oldest` at `now`, and when it was asked for: a remembered one, or
    /// what `ask` brings.
    pub(super) async fn get(
        &self,
        digest: TokenDigest,
        oldest: Duration,
        now: Instant,
        ask: impl Future<Output = Result<T, AuthError>>,
    ) -> Result<(T, Instant), AuthError> {
        let slot = self.slot(digest, now);
        let mut kept = slot.lock().await;
        if let Some(kept) = kept.as_ref() {
            // Who waited came before the answer did: to them it has no age.
            let age = now.saturating_duration_since(kept.at);
            match &kept.answer {
                Ok(answer) if age < oldest.min(self.keep) => return Ok((answer.clone(), kept.at)),
                Err(error) if age < FAILURE => return Err(*error),
                Ok(_) | Err(_) => {}
            }
        }
        let answer = ask.await;
        *kept = Some(Kept {
            answer: answer.clone(),
            at: now,
        });
        answer.map(|answer| (answer, now))
    }

    fn slot(&self, digest: TokenDigest, now: Instant) -> Slot<T> {
        let mut slots = self.slots();
        if slots.len() >= self.most && !slots.contains_key(&digest) {
            // What somebody is waiting for, or still counts, stays.
            slots.retain(|_, slot| match slot.try_lock() {
                Ok(kept) => kept
                    .as_ref()
                    .is_some_and(|kept| now.saturating_duration_since(kept.at) < self.keep),
                Err(_) => true,
            });
            // All of it counts: asking again is dearer than forgetting, and still right.
            if slots.len() >= self.most {
                slots.clear();
            }
        }
        Arc::clone(slots.entry(digest).or_default())
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<TokenDigest, Slot<T>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const KEEP: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn an_answer_counts_for_a_while_and_a_failure_for_those_who_waited() {
        let (answers, start) = (Answers::new(KEEP), Instant::now());
        let (digest, asked) = (TokenDigest::of("token"), AtomicUsize::new(0));
        let get = async |after: u64, oldest: u64, answer: Result<u8, AuthError>| {
            let ask = async {
                asked.fetch_add(1, Ordering::Relaxed);
                answer
            };
            let (oldest, now) = (Duration::from_secs(oldest), start + Duration::from_secs(after));
            (
                answers.get(digest, oldest, now, ask).await.map(|(answer, _)| answer),
                asked.load(Ordering::Relaxed),
            )
        };
        assert_eq!(get(0, 30, Ok(1)).await, (Ok(1), 1));
        assert_eq!(get(29, 30, Ok(2)).await, (Ok(1), 1));
        assert_eq!(get(29, 5, Ok(2)).await, (Ok(2), 2), "too old for who asks");
        assert_eq!(get(59, 3600, Ok(3)).await, (Ok(3), 3), "never older than all may be");
        let away = AuthError::ProviderUnreachable;
        assert_eq!(get(100, 30, Err(away)).await, (Err(away), 4));
        assert_eq!(get(100, 30, Ok(4)).await, (Err(away), 4));
        assert_eq!(get(101, 30, Ok(4)).await, (Ok(4), 5));
    }

    #[tokio::test]
    async fn one_asks_and_the_others_wait_for_the_same_answer() {
        let (answers, now, asked) = (Answers::new(KEEP), Instant::now(), AtomicUsize::new(0));
        let ask = || {
            answers.get(TokenDigest::of("token"), KEEP, now, async {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(7)
            })
        };
        let (first, second, third) = tokio::join!(ask(), ask(), ask());
        for answer in [first, second, third] {
            assert_eq!(answer.map(|(answer, _)| answer), Ok(7));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let mut answers = Answers::new(KEEP);
        answers.most = 4;
        let start = Instant::now();
        for at in 0..40_u32 {
            let now = start + Duration::from_secs(10) * at;
            let digest = TokenDigest::of(&at.to_string());
            answers
                .get(digest, KEEP, now, async { Ok(at) })
                .await
                .expect("an answer");
            assert!(answers.slots().len() <= 4);
        }
    }
}
