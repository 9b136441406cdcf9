//! How much one user may have under way at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// More users than this at once, and those that wait for nothing are forgotten.
const REMEMBERED: usize = 1024;

/// A gate for each user.
#[derive(Debug)]
pub(super) struct Gates {
    wide: usize,
    /// A gate lives as long as somebody is in it or waits at it.
    users: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// Room at a user's gate, until this is dropped.
#[derive(Debug)]
pub(in crate::serve) struct Pass {
    _permit: OwnedSemaphorePermit,
    _gate: Arc<Semaphore>,
}

impl Gates {
    pub(super) fn new(wide: u32) -> Self {
        Self {
            wide: wide as usize,
            users: Mutex::default(),
        }
    }

    /// Waits for room.
    pub(super) async fn enter(&self, user: &str) -> Pass {
        let gate = self.gate(user);
        let permit = Arc::clone(&gate).acquire_owned().await;
        Pass {
            _permit: permit.expect("no gate is ever closed"),
            _gate: gate,
        }
    }

    /// Room, if there is some now.
    pub(super) fn try_enter(&self, user: &str) -> Option<Pass> {
        let gate = self.gate(user);
        let permit = Arc::clone(&gate).try_acquire_owned().ok()?;
        Some(Pass {
            _permit: permit,
            _gate: gate,
        })
    }

    fn gate(&self, user: &str) -> Arc<Semaphore> {
        // A panic while the lock was held leaves a map that is whole: every change to it is one call.
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = users.get(user).and_then(Weak::upgrade) {
            return gate;
        }
        if users.len() >= REMEMBERED {
            users.retain(|_, gate| gate.strong_count() > 0);
        }
        let gate = Arc::new(Semaphore::new(self.wide));
        users.insert(user.to_owned(), Arc::downgrade(&gate));
        gate
    }
}

#[cfg(test)]
mod tests {
    use super::Gates;

    #[tokio::test]
    async fn a_user_has_so_much_room_and_another_has_their_own() {
        let gates = Gates::new(2);
        let (first, _second) = (gates.enter("a").await, gates.enter("a").await);
        assert!(gates.try_enter("a").is_none());
        assert!(gates.try_enter("b").is_some());
        drop(first);
        assert!(gates.try_enter("a").is_some());
    }
}
