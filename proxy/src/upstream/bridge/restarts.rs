//! When what has ended may be started again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Pause before the next start: twice as long each time, and as at first again once something lasted.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The pauses of each user: what one of them makes end keeps no other from starting.
#[derive(Debug, Default)]
pub(super) struct Restarts(HashMap<String, Pause>);

#[derive(Clone, Copy, Debug)]
struct Pause {
    length: Duration,
    until: Instant,
}

impl Restarts {
    pub(super) fn may_start(&self, user: &str, now: Instant) -> bool {
        self.0.get(user).is_none_or(|pause| now >= pause.until)
    }

    /// Something of this user's has ended after so long.
    pub(super) fn ended(&mut self, user: &str, lasted: Duration, now: Instant) {
        // What is long past is forgotten, so that this does not grow.
        self.0.retain(|_, pause| now < pause.until + LONGEST);
        if lasted > LONGEST {
            self.0.remove(user);
            return;
        }
        let length = self.0.get(user).map_or(FIRST, |pause| (pause.length * 2).min(LONGEST));
        let until = now + length;
        self.0.insert(user.to_owned(), Pause { length, until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_last_is_started_ever_more_rarely_and_for_its_user_only() {
        let (mut restarts, mut now) = (Restarts::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert!(restarts.may_start("alice", now));
            restarts.ended("alice", Duration::from_secs(1), now);
            assert!(!restarts.may_start("alice", now) && restarts.may_start("bob", now));
            let pause = (1..).find(|&seconds| restarts.may_start("alice", now + Duration::from_secs(seconds)));
            pauses.extend(pause);
            now += Duration::from_secs(*pauses.last().expect("a pause"));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        restarts.ended("alice", Duration::from_secs(3600), now);
        assert!(restarts.may_start("alice", now), "it lasted");
    }
}
