//! So many at once, where how many may change while some are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Places of one kind. Another number of them shares the count of those that are taken.
#[derive(Clone, Debug)]
pub(super) struct Places {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// Places that are taken, until this is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    count: Arc<AtomicUsize>,
    number: usize,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self {
            taken: Arc::default(),
            most,
        }
    }

    /// As many as `most`, of which those that are taken now are taken. They may be more.
    pub(super) fn resized(&self, most: usize) -> Self {
        Self {
            taken: Arc::clone(&self.taken),
            most,
        }
    }

    /// Takes `number` of them, or none where there are fewer.
    pub(super) fn take(&self, number: usize) -> Option<Taken> {
        self.count(number).then(|| Taken {
            count: Arc::clone(&self.taken),
            number,
        })
    }

    fn count(&self, number: usize) -> bool {
        let more = |taken: usize| taken.checked_add(number).filter(|&taken| taken <= self.most);
        // What the count guards is memory, which no other thread reads by it.
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }
}

impl Taken {
    /// Takes `number` more of the same places; false: there are fewer.
    pub(super) fn grow(&mut self, number: usize, places: &Places) -> bool {
        let grown = places.count(number);
        if grown {
            self.number += number;
        }
        grown
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.count.fetch_sub(self.number, Ordering::Relaxed);
    }
}
