//! What clients may cost while they are served: exchanges at once, bytes of bodies at once, requests a second.

mod places;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use crate::config::{Limits, Rate};
use crate::identity::Principal;
use places::{Places, Taken};

/// Most principals that are remembered. One that is forgotten has its full burst again, so it is those that had it anyway
/// that go first.
const MOST_REMEMBERED: usize = 65_536;

/// The limits that all exchanges share.
#[derive(Debug)]
pub(crate) struct Gate {
    exchanges: Places,
    /// One for each byte.
    bodies: Places,
    rates: Option<Arc<Rates>>,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            exchanges: Places::new(limits.in_flight),
            bodies: Places::new(limits.request_bodies),
            rates: limits.rate.map(|rate| Arc::new(Rates::new(rate))),
        }
    }

    /// Another with these limits, which counts on: what was admitted before still takes its place.
    pub(crate) fn renewed(&self, limits: &Limits) -> Self {
        let unchanged = self.rates.as_ref().filter(|rates| Some(rates.rate) == limits.rate);
        Self {
            exchanges: self.exchanges.resized(limits.in_flight),
            bodies: self.bodies.resized(limits.request_bodies),
            rates: match unchanged {
                Some(rates) => Some(Arc::clone(rates)),
                None => limits.rate.map(|rate| Arc::new(Rates::new(rate))),
            },
        }
    }

    /// The right to one exchange, until it is dropped; none: there are too many.
    pub(crate) fn exchange(&self) -> Option<Taken> {
        self.exchanges.take(1)
    }

    /// Room for a body that grows.
    pub(crate) fn room(&self) -> Room {
        Room {
            all: self.bodies.clone(),
            taken: None,
        }
    }

    /// Whether this principal may make a request now.
    pub(crate) fn admits(&self, principal: &Principal, now: Instant) -> bool {
        self.rates
            .as_ref()
            .is_none_or(|rates| rates.admits(key_of(&principal.who.issuer, &principal.who.subject), now))
    }
}

/// What a body takes of the memory that all bodies may have; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    all: Places,
    taken: Option<Taken>,
}

impl Room {
    /// Takes `bytes` more; false: there is no such room.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        match &mut self.taken {
            None => self.taken = self.all.take(bytes),
            Some(taken) => return taken.grow(bytes, &self.all),
        }
        self.taken.is_some()
    }
}

/// Names are as long as issuers like: their hash is not.
type Key = [u8; 32];

fn key_of(issuer: &str, subject: &str) -> Key {
    let mut hash = Sha256::new();
    hash.update((issuer.len() as u64).to_be_bytes());
    hash.update(issuer);
    hash.update(subject);
    hash.finalize().into()
}

/// A token bucket for each principal.
#[derive(Debug)]
struct Rates {
    rate: Rate,
    buckets: Mutex<HashMap<Key, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rates {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    fn admits(&self, key: Key, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_REMEMBERED && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| self.filled(*bucket, now) < self.burst());
            // All of them are busy: forgetting some is kinder than refusing strangers to them.
            if buckets.len() >= MOST_REMEMBERED {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            tokens: self.burst(),
            at: now,
        });
        let tokens = self.filled(*bucket, now);
        let admitted = tokens >= 1.0;
        *bucket = Bucket {
            tokens: if admitted { tokens - 1.0 } else { tokens },
            at: bucket.at.max(now),
        };
        admitted
    }

    fn burst(&self) -> f64 {
        f64::from(self.rate.burst.get())
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * f64::from(self.rate.per_second.get());
        (bucket.tokens + gained).min(self.burst())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn gate() -> Gate {
        let rate = Rate {
            per_second: NonZeroU32::new(2).expect("not zero"),
            burst: NonZeroU32::new(5).expect("not zero"),
        };
        Gate::new(&Limits {
            in_flight: 2,
            request_bodies: 1000,
            rate: Some(rate),
            ..Limits::default()
        })
    }

    #[test]
    fn a_principal_has_its_burst_and_then_its_rate_and_takes_nothing_of_others() {
        let (gate, start) = (gate(), Instant::now());
        let principal = |subject| Principal::for_test(subject, &[], SystemTime::now());
        let (alice, bob) = (principal("alice"), principal("bob"));
        let admitted = |who, at| (0..100).filter(|_| gate.admits(who, at)).count();
        assert_eq!(admitted(&alice, start), 5);
        assert_eq!(admitted(&alice, start + Duration::from_secs(1)), 2);
        assert_eq!(admitted(&bob, start + Duration::from_secs(1)), 5);
        assert_eq!(
            admitted(&alice, start + Duration::from_secs(3600)),
            5,
            "it never holds more"
        );
        assert_eq!(admitted(&alice, start), 0, "a clock that goes back gains nothing");
    }

    #[test]
    fn what_is_dropped_makes_room_again() {
        let gate = gate();
        let (one, _two) = (gate.exchange().expect("room"), gate.exchange().expect("room"));
        assert!(gate.exchange().is_none());
        drop(one);
        assert!(gate.exchange().is_some());

        let (mut first, mut second) = (gate.room(), gate.room());
        assert!(first.grow(600) && !second.grow(500) && second.grow(400));
        assert!(!first.grow(1));
        drop(second);
        assert!(first.grow(400) && !first.grow(1));
    }

    #[test]
    fn what_was_admitted_before_a_change_of_limits_counts_after_it() {
        let old = gate();
        let (one, two) = (old.exchange().expect("room"), old.exchange().expect("room"));
        let mut held = old.room();
        assert!(held.grow(900));
        let limits = Limits {
            in_flight: 3,
            request_bodies: 500,
            rate: old.rates.as_ref().map(|rates| rates.rate),
            ..Limits::default()
        };
        let start = Instant::now();
        let alice = Principal::for_test("alice", &[], SystemTime::now());
        assert_eq!((0..100).filter(|_| old.admits(&alice, start)).count(), 5);

        let new = old.renewed(&limits);
        assert!(!new.admits(&alice, start), "the same rate, and the same bucket");
        let three = new.exchange();
        assert!(three.is_some() && new.exchange().is_none());
        assert!(!new.room().grow(1), "900 are more than 500");
        drop((one, two, held));
        assert!(new.exchange().is_some() && new.room().grow(500));
        let unlimited = old.renewed(&Limits::default());
        assert!((0..100).all(|_| unlimited.admits(&alice, start)));
    }
}
