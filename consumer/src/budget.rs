//! What all partitions of this process may hold at once, in bytes: one budget that each of them draws from.
//!
//! Records draw on it from when they are decoded until all that they caused is acknowledged. Whoever has nothing yet waits
//! its turn, first come, first served; whoever has something and gets no more loads what it has, and gives it back. So
//! everybody who holds something goes on without waiting for others, and nobody waits for ever.
//!
//! What waits for the rest of its message keeps its part of the budget beyond its batch: half of all at most, so that records
//! can always come. Half of that half is divided evenly among the partitions: what one target sends there takes nothing from
//! the others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

#[cfg(test)]
mod tests;

/// What a record takes beside its bytes: the decoded frame, its row, its event. Bytes.
const EACH: usize = 2048;
/// Taken at once, so that small records seldom have to ask. Bytes.
const PORTION: usize = 256 * 1024;

/// The budget of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes: usize,
    /// One permit for each byte that is free. It is fair.
    free: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    metrics: Arc<Metrics>,
}

/// What the rooms of all partitions hold.
#[derive(Debug, Default)]
struct Waiting {
    rooms: usize,
    bytes: usize,
    /// Of it, what is beyond the even shares.
    excess: usize,
}

impl Budget {
    /// Of so many bytes: from 1 MiB to 4 GiB; what is beyond is not used.
    #[must_use]
    pub fn new(bytes: u64, metrics: Arc<Metrics>) -> Self {
        let bytes = usize::try_from(bytes.clamp(1024 * 1024, u64::from(u32::MAX))).unwrap_or(usize::MAX);
        metrics.memory_limit.set(bytes as i64);
        Self(Arc::new(Shared {
            bytes,
            free: Arc::new(Semaphore::new(bytes)),
            waiting: Mutex::default(),
            metrics,
        }))
    }

    /// What a client of Kafka's may fetch ahead for each of so many partitions, in bytes: a quarter of the budget for all of
    /// them, but 1 MiB for each, below which librdkafka does not work. It is not drawn from the budget.
    #[must_use]
    pub fn ahead(&self, partitions: usize) -> u64 {
        const MIB: usize = 1024 * 1024;
        (self.0.bytes / 4 / partitions.max(1)).clamp(MIB, 16 * MIB) as u64
    }

    /// Nothing yet, for a batch.
    #[must_use]
    pub fn nothing(&self) -> Reserved {
        Reserved {
            budget: self.clone(),
            permit: None,
            used: 0,
        }
    }

    /// Room for what waits in one partition.
    #[must_use]
    pub fn room(&self) -> Room {
        self.waiting().rooms += 1;
        Room {
            budget: self.clone(),
            permit: None,
            held: 0,
            excess: 0,
        }
    }

    /// Partitions that have room.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.waiting().rooms
    }

    /// What is drawn from it now, in bytes.
    #[must_use]
    pub fn drawn(&self) -> usize {
        self.0.bytes - self.0.free.available_permits()
    }

    fn note(&self) {
        let drawn = self.drawn() as i64;
        self.0.metrics.memory.set(drawn);
        self.0
            .metrics
            .memory_peak
            .inner()
            .fetch_max(drawn, std::sync::atomic::Ordering::Relaxed);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a record of so many bytes costs.
#[must_use]
pub fn cost(record: usize) -> usize {
    // Beside the payload that came there is for a time what is compressed of it.
    record.saturating_add(record / 2).saturating_add(EACH)
}

/// What a batch has drawn. Given back when it is dropped.
#[derive(Debug)]
pub struct Reserved {
    budget: Budget,
    permit: Option<OwnedSemaphorePermit>,
    /// Of what is drawn. Invariant: no more than that.
    used: usize,
}

impl Reserved {
    /// Draws so many bytes if they are free now. One batch has no more than half of all, so that the next can be gathered
    /// while it is loaded.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> bool {
        if self.draw(bytes) {
            self.used += bytes;
            return true;
        }
        false
    }

    fn draw(&mut self, bytes: usize) -> bool {
        let (used, held) = (self.used.saturating_add(bytes), self.held());
        if used > self.budget.0.bytes / 2 {
            return false;
        }
        if used <= held {
            return true;
        }
        // The portion, or what is needed and no more.
        [(used - held).max(PORTION), used - held].into_iter().any(|more| {
            let Ok(more) = u32::try_from(more) else { return false };
            let drawn = Arc::clone(&self.budget.0.free).try_acquire_many_owned(more);
            drawn.map(|permit| self.add(permit)).is_ok()
        })
    }

    /// Draws what one record costs, once it is this batch's turn; half of the budget for one that costs more. Only for who
    /// has nothing: who waits while it holds something may wait for itself.
    pub async fn wait(&mut self, bytes: usize) {
        let bytes = bytes.min(self.budget.0.bytes / 2);
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        if let Ok(permit) = Arc::clone(&self.budget.0.free).acquire_many_owned(wanted).await {
            self.add(permit);
            self.used += bytes;
        }
    }

    fn add(&mut self, permit: OwnedSemaphorePermit) {
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        self.budget.note();
    }

    fn held(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.permit.take();
        self.budget.note();
    }
}

/// What waits in one partition for the rest of its messages. Given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    budget: Budget,
    /// What it holds in the budget: moved from the batches that brought it.
    permit: Option<OwnedSemaphorePermit>,
    held: usize,
    /// Of it, what is beyond the even share, when that was counted last.
    excess: usize,
}

impl Room {
    /// Grows or shrinks to so many bytes. False: there is no room for more, and nothing has changed.
    pub fn resize(&mut self, bytes: usize) -> bool {
        let most = self.budget.0.bytes / 2;
        let mut waiting = self.budget.waiting();
        let share = most / 2 / waiting.rooms.max(1);
        let excess = bytes.saturating_sub(share);
        let (all, all_excess) = (waiting.bytes - self.held + bytes, waiting.excess - self.excess + excess);
        let is_too_much = all > most || (excess > 0 && all_excess > most / 2);
        if bytes > self.held && is_too_much {
            return false;
        }
        (waiting.bytes, waiting.excess) = (all, all_excess);
        drop(waiting);
        (self.held, self.excess) = (bytes, excess);
        true
    }

    /// Keeps as much of a batch's share of the budget as what waits takes, and gives back what it does not any more.
    pub fn keep_of(&mut self, reserved: &mut Reserved) {
        let kept = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if kept > self.held {
            if let Some(permit) = &mut self.permit {
                drop(permit.split(kept - self.held));
            }
        } else if let Some(permit) = &mut reserved.permit {
            let more = (self.held - kept).min(permit.num_permits());
            let moved = permit.split(more);
            reserved.used = reserved.used.saturating_sub(more);
            match (&mut self.permit, moved) {
                (Some(held), Some(moved)) => held.merge(moved),
                (held, moved) => *held = held.take().or(moved),
            }
        }
        self.budget.note();
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut waiting = self.budget.waiting();
        waiting.rooms -= 1;
        waiting.bytes -= self.held;
        waiting.excess -= self.excess;
        drop(waiting);
        self.permit.take();
        self.budget.note();
    }
}
