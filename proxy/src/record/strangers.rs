//! The limit on what callers without a principal can make the recorder write.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Most segments that strangers may have open: each address and target is one.
pub(super) const MAX_SEGMENTS: usize = 1_024;
/// Refusals a second that are written in the long run.
const RATE: f64 = 20.0;
/// Refusals that are written at once after a quiet time.
const BURST: f64 = 200.0;

/// A token bucket for the whole process: a flood of bad tokens costs counting, not disk.
#[derive(Debug)]
pub(super) struct StrangerLimit(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl StrangerLimit {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Bucket { tokens: BURST, at: now }))
    }

    /// Takes a token, if there is one.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * RATE;
        bucket.tokens = (bucket.tokens + gained).min(BURST);
        bucket.at = bucket.at.max(now);
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_cut_to_the_burst_and_then_to_the_rate() {
        let start = Instant::now();
        let limit = StrangerLimit::new(start);
        let admitted = |at| (0..10_000).filter(|_| limit.admits(at)).count();
        assert_eq!(admitted(start), BURST as usize);
        assert_eq!(admitted(start + Duration::from_secs(1)), RATE as usize);
        assert_eq!(admitted(start + Duration::from_secs(3_600)), BURST as usize);
    }

    #[test]
    fn a_clock_reading_from_before_gains_nothing() {
        let start = Instant::now() + Duration::from_secs(60);
        let limit = StrangerLimit::new(start);
        while limit.admits(start) {}
        assert!(!limit.admits(start - Duration::from_secs(30)));
        assert!(!limit.admits(start));
    }
}
