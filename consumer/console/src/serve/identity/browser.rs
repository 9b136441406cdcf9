//! Browsers that have signed in. They hold a random word; what it stands for stays here, so that signing out ends it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use super::User;

/// The most sessions: beyond, the one that was unused longest goes.
const MOST: usize = 100_000;

/// One browser's session.
#[derive(Clone)]
pub(super) struct BrowserSession {
    pub(super) user: Arc<User>,
    /// What a page of ours shows with unsafe requests. No secret of the session itself.
    pub(super) csrf: String,
    /// To sign out at the provider with.
    pub(super) id_token: Arc<SecretString>,
    digest: Digest,
}

impl fmt::Debug for BrowserSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserSession")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// SHA-256 of a word: what is remembered in its stead, so that no cookie can be read out of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Digest([u8; 32]);

impl Digest {
    fn of(word: &str) -> Self {
        Self(Sha256::digest(word).into())
    }
}

#[derive(Debug)]
struct Held {
    session: BrowserSession,
    begun: Instant,
    used: Instant,
}

/// All sessions. They do not outlive the process: after a restart, signing in again is one redirect.
#[derive(Debug)]
pub(in crate::serve) struct BrowserSessions {
    lasts: Duration,
    idle: Duration,
    held: Mutex<HashMap<Digest, Held>>,
}

/// 256 random bits as text.
pub(super) fn random_word() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

impl BrowserSessions {
    pub(in crate::serve) fn new(lasts: Duration, idle: Duration) -> Self {
        Self {
            lasts,
            idle,
            held: Mutex::default(),
        }
    }

    /// How long a session lasts at most.
    pub(super) fn lasts(&self) -> Duration {
        self.lasts
    }

    /// Begins a session; the word is for the browser alone.
    pub(super) fn begin(&self, user: User, id_token: SecretString, now: Instant) -> String {
        let word = random_word();
        let digest = Digest::of(&word);
        let session = BrowserSession {
            user: Arc::new(user),
            csrf: random_word(),
            id_token: Arc::new(id_token),
            digest,
        };
        let mut held = self.held();
        if held.len() >= MOST {
            held.retain(|_, one| self.is_alive(one, now));
        }
        if held.len() >= MOST
            && let Some(oldest) = held.iter().min_by_key(|(_, one)| one.used).map(|(digest, _)| *digest)
        {
            held.remove(&oldest);
        }
        let (begun, used) = (now, now);
        held.insert(digest, Held { session, begun, used });
        word
    }

    /// The session that a browser's word stands for, which is used by that.
    pub(super) fn find(&self, word: &str, now: Instant) -> Option<BrowserSession> {
        let digest = Digest::of(word);
        let mut held = self.held();
        let one = held.get_mut(&digest)?;
        if !self.is_alive(one, now) {
            held.remove(&digest);
            return None;
        }
        one.used = now;
        Some(one.session.clone())
    }

    /// Whether a session goes on; to ask is not to use it.
    pub(super) fn goes_on(&self, session: &BrowserSession, now: Instant) -> bool {
        self.held()
            .get(&session.digest)
            .is_some_and(|one| now.saturating_duration_since(one.begun) < self.lasts)
    }

    /// Ends a session.
    pub(super) fn end(&self, session: &BrowserSession) {
        self.held().remove(&session.digest);
    }

    fn is_alive(&self, one: &Held, now: Instant) -> bool {
        now.saturating_duration_since(one.begun) < self.lasts && now.saturating_duration_since(one.used) < self.idle
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Digest, Held>> {
        // A panic while the lock was held leaves a map that is whole: every change to it is one call.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{BrowserSessions, User};

    #[test]
    fn a_session_ends_when_it_is_old_or_idle_or_signed_out() {
        let sessions = BrowserSessions::new(Duration::from_secs(100), Duration::from_secs(10));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let begin = || sessions.begin(User::for_test("alice", &[]), "token".into(), start);
        let idle = begin();
        assert!(sessions.find(&idle, after(9)).is_some());
        assert!(sessions.find(&idle, after(18)).is_some(), "it was used");
        assert!(sessions.find(&idle, after(28)).is_none(), "it was not");
        let old = begin();
        for second in (5..100).step_by(5) {
            assert!(sessions.find(&old, after(second)).is_some());
        }
        assert!(sessions.find(&old, after(100)).is_none());
        let ended = begin();
        let session = sessions.find(&ended, start).expect("it is there");
        sessions.end(&session);
        assert!(sessions.find(&ended, start).is_none());
        assert!(!sessions.goes_on(&session, start));
    }
}
