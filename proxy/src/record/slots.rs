//! The slots in memory, by session key.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapedeck_schemas::{Frame, SessionKey};

use super::metrics::Metrics;
use super::segment::Slot;

const SHARDS: usize = 64;

/// A sharded map. Its locks are held for a look-up only, and never together with a slot's.
pub(super) struct Slots {
    shards: [Mutex<HashMap<SessionKey, Arc<Slot>>>; SHARDS],
    strangers: AtomicUsize,
    metrics: Metrics,
}

impl Slots {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            strangers: AtomicUsize::new(0),
            metrics,
        }
    }

    /// The frame's slot, a vacant one if there is none.
    pub(super) fn of(&self, frame: &Frame, stranger: bool, spooled: bool, now: u64) -> Arc<Slot> {
        let mut shard = self.shard(&frame.session_key);
        Arc::clone(shard.entry(frame.session_key).or_insert_with(|| {
            self.metrics.segment_opened();
            self.strangers.fetch_add(usize::from(stranger), Ordering::Relaxed);
            Arc::new(Slot::new(frame, stranger, spooled, now))
        }))
    }

    /// Forgets a slot that was evicted; nothing where another has taken its place.
    pub(super) fn forget(&self, slot: &Arc<Slot>) {
        let mut shard = self.shard(&slot.key);
        if shard.get(&slot.key).is_some_and(|present| Arc::ptr_eq(present, slot)) {
            shard.remove(&slot.key);
            self.metrics.segment_ended();
            self.strangers.fetch_sub(usize::from(slot.stranger), Ordering::Relaxed);
        }
    }

    pub(super) fn contains(&self, key: &SessionKey) -> bool {
        self.shard(key).contains_key(key)
    }

    /// Slots of callers without a principal.
    pub(super) fn strangers(&self) -> usize {
        self.strangers.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Those without a frame at or after `cutoff`.
    pub(super) fn unused_since(&self, cutoff: u64) -> Vec<Arc<Slot>> {
        let unused = |shard: &Mutex<HashMap<_, Arc<Slot>>>| {
            let shard = lock(shard);
            let unused = shard.values().filter(|slot| slot.unused_since(cutoff));
            unused.cloned().collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(unused).collect()
    }

    fn shard(&self, key: &SessionKey) -> MutexGuard<'_, HashMap<SessionKey, Arc<Slot>>> {
        // A key is a digest, so its first byte spreads evenly.
        lock(&self.shards[usize::from(key.as_bytes()[0]) % SHARDS])
    }
}

fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under this lock can panic half way through a change.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
