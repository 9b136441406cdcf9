//! When a message is handed to librdkafka: at once where few are under way to its partition, else together with what
//! comes until those have arrived.
//!
//! An idempotent producer sends nothing more to a partition in which five messages are under way, however they were
//! batched, and its thread looks for room without a pause for as long as a message waits for it (librdkafka 2.12,
//! `rd_kafka_toppar_producer_serve` with `linger.ms` 0). So messages wait here, where that costs nothing, and go as one
//! batch, which costs the broker as much as one message. A single caller never waits; many share their waits.
//!
//! Messages that nobody waits for (a target's record is best effort) are in no hurry: they wait here for a few milliseconds
//! at most, and go with what comes meanwhile. Whoever is behind one in its lane, and is in a hurry, takes it along.
//!
//! A message in a hurry that waits has others of its lane under way before it, and whoever reports on those hands it over:
//! nothing waits for nothing, and nothing longer than those before it, which librdkafka gives up after `message.timeout.ms`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::TopicRole;

/// Messages to a partition that may be under way when another one is handed over at once: one less than librdkafka
/// would send.
const FEW: usize = 4;
/// Messages to a partition that may be under way when those that wait are handed over. librdkafka may send the first of
/// them before it sees the others.
const FEWER: usize = 2;

/// Messages in no hurry that are enough for a batch.
const MANY: usize = 256;

/// Whether somebody waits for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// Or may do so.
    Now,
    /// Nobody does.
    Soon,
}

/// One bit each in a word.
const LANES: u8 = 64;
/// Statements have a topic of their own, and are few.
const CONTROL: Lane = Lane(LANES - 1);

/// Messages that share their waits: those to one partition (and, in a topic of more than 63, to some others).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lane(u8);

impl Lane {
    /// Of a message with this key, in a topic with so many partitions.
    pub(super) fn of(topic: TopicRole, key: &[u8], partitions: usize) -> Self {
        match topic {
            TopicRole::Control => CONTROL,
            TopicRole::Frames => Self((partition_of(key, partitions) % usize::from(LANES - 1)) as u8),
        }
    }
}

/// The messages that wait, and how many are under way.
#[derive(Debug)]
pub(super) struct Lanes<M> {
    traffic: [Mutex<Traffic<M>>; LANES as usize],
    /// A bit for each lane in which messages wait.
    waiting: AtomicU64,
    stirred: Arc<Notify>,
}

#[derive(Debug)]
struct Traffic<M> {
    /// With those that are being handed over.
    under_way: usize,
    waiting: VecDeque<M>,
    /// One of them is in a hurry, or they are enough.
    is_urgent: bool,
    /// Some that waited are being handed over, and nothing may overtake them.
    is_moving: bool,
}

impl<M> Lanes<M> {
    /// Whoever hands over is `stirred` where no report may follow: the first message waits for its time, or one is in a hurry.
    pub(super) fn new(stirred: Arc<Notify>) -> Self {
        let empty = |_| {
            Mutex::new(Traffic {
                under_way: 0,
                waiting: VecDeque::new(),
                is_urgent: false,
                is_moving: false,
            })
        };
        Self {
            traffic: std::array::from_fn(empty),
            waiting: AtomicU64::new(0),
            stirred,
        }
    }

    /// Hands a message over with `now`, or keeps what `later` makes of it. Messages of one lane keep the order of these
    /// calls.
    ///
    /// # Errors
    /// Those of `now`: the message is not under way.
    pub(super) fn pass<E>(
        &self,
        lane: Lane,
        haste: Haste,
        now: impl FnOnce() -> Result<(), E>,
        later: impl FnOnce() -> M,
    ) -> Result<(), E> {
        let mut traffic = self.traffic(lane);
        let is_free = traffic.waiting.is_empty() && !traffic.is_moving;
        if haste == Haste::Now && is_free && traffic.under_way <= FEW {
            now()?;
            traffic.under_way += 1;
            return Ok(());
        }
        traffic.waiting.push_back(later());
        let was_waiting = self.waiting.fetch_or(1 << lane.0, Ordering::Relaxed) & 1 << lane.0 != 0;
        let is_urgent = haste == Haste::Now || traffic.waiting.len() == MANY;
        traffic.is_urgent |= is_urgent;
        // Where more are under way, their reports lead to the same.
        let begins_to_wait = haste == Haste::Soon && !was_waiting;
        if begins_to_wait || is_urgent && traffic.under_way <= FEWER {
            self.stirred.notify_one();
        }
        Ok(())
    }

    /// A message was reported on: it is under way no more.
    pub(super) fn arrived(&self, lane: Lane) {
        self.traffic(lane).under_way -= 1;
    }

    /// Hands over, lane by lane, what waits where few are under way: what is urgent and what is before it, or `all`. To be
    /// called after messages have [`arrived`](Self::arrived), by one at a time; `now` says whether a message is under way.
    pub(super) fn hand_over(&self, all: bool, mut now: impl FnMut(Lane, M) -> bool) {
        let mut lanes = self.waiting.load(Ordering::Relaxed);
        while lanes != 0 {
            let lane = Lane(lanes.trailing_zeros() as u8);
            lanes &= lanes - 1;
            // Not under the lock: others may be recorded meanwhile, and are next.
            while let Some(messages) = self.move_on(lane, all) {
                let refused = messages
                    .into_iter()
                    .filter_map(|message| (!now(lane, message)).then_some(()));
                let refused = refused.count();
                self.traffic(lane).under_way -= refused;
            }
        }
    }

    /// What is to be handed over next. None: nothing, and what was moved before is.
    fn move_on(&self, lane: Lane, all: bool) -> Option<VecDeque<M>> {
        let mut traffic = self.traffic(lane);
        traffic.is_moving = false;
        if traffic.waiting.is_empty() || traffic.under_way > FEWER || !(traffic.is_urgent || all) {
            return None;
        }
        traffic.is_moving = true;
        traffic.is_urgent = false;
        traffic.under_way += traffic.waiting.len();
        self.waiting.fetch_and(!(1 << lane.0), Ordering::Relaxed);
        Some(std::mem::take(&mut traffic.waiting))
    }

    /// Whether anything waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) != 0
    }

    /// Everything that waits, for an owner who will hand over no more.
    pub(super) fn take(&self) -> Vec<M> {
        let lanes = (0..LANES).map(Lane);
        lanes
            .flat_map(|lane| {
                let mut traffic = self.traffic(lane);
                self.waiting.fetch_and(!(1 << lane.0), Ordering::Relaxed);
                std::mem::take(&mut traffic.waiting)
            })
            .collect()
    }

    fn traffic(&self, lane: Lane) -> MutexGuard<'_, Traffic<M>> {
        self.traffic[usize::from(lane.0)]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The partition that Kafka's default partitioner chooses for a key, as the producer's `partitioner` does: murmur2 of
/// the key without its highest bit (`org.apache.kafka.clients.producer.internals.BuiltInPartitioner`).
fn partition_of(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions.max(1)
}

/// MurmurHash2 of 32 bits, with Kafka's seed.
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ key.len() as u32;
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |last, &byte| last << 8 | u32::from(byte));
        hash = (hash ^ last).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests;
