//! When a message is handed to librdkafka: at once where few are under way to its partition, else together with what
//! comes until those have arrived.
//!
//! An idempotent producer sends nothing more to a partition in which five messages are under way, however they were
//! batched, and its thread looks for room without a pause for as long as a message waits for it (librdkafka 2.12,
//! `rd_kafka_toppar_producer_serve` with `linger.ms` 0). So messages wait here, where that costs nothing, and go as one
//! batch, which costs the broker as much as one message. A single caller never waits; many share their waits.
//!
//! A message that waits has others of its lane under way before it, and whoever reports on those hands it over: nothing
//! waits for nothing, and nothing longer than those before it, which librdkafka gives up after `message.timeout.ms`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::TopicRole;

/// Messages to a partition that may be under way when another one is handed over at once: one less than librdkafka
/// would send.
const FEW: usize = 4;
/// Messages to a partition that may be under way when those that wait are handed over. librdkafka may send the first of
/// them before it sees the others.
const FEWER: usize = 2;

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
}

#[derive(Debug)]
struct Traffic<M> {
    under_way: usize,
    waiting: VecDeque<M>,
}

impl<M> Lanes<M> {
    pub(super) fn new() -> Self {
        let empty = |_| {
            Mutex::new(Traffic {
                under_way: 0,
                waiting: VecDeque::new(),
            })
        };
        Self {
            traffic: std::array::from_fn(empty),
            waiting: AtomicU64::new(0),
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
        now: impl FnOnce() -> Result<(), E>,
        later: impl FnOnce() -> M,
    ) -> Result<(), E> {
        let mut traffic = self.traffic(lane);
        if traffic.under_way <= FEW && traffic.waiting.is_empty() {
            now()?;
            traffic.under_way += 1;
        } else {
            traffic.waiting.push_back(later());
            self.waiting.fetch_or(1 << lane.0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A message was reported on: it is under way no more.
    pub(super) fn arrived(&self, lane: Lane) {
        self.traffic(lane).under_way -= 1;
    }

    /// Hands over, lane by lane, all that waits where few are under way. To be called after messages have
    /// [`arrived`](Self::arrived); `now` says whether a message is under way.
    pub(super) fn hand_over(&self, mut now: impl FnMut(Lane, M) -> bool) {
        let mut lanes = self.waiting.load(Ordering::Relaxed);
        while lanes != 0 {
            let lane = Lane(lanes.trailing_zeros() as u8);
            lanes &= lanes - 1;
            let mut traffic = self.traffic(lane);
            if traffic.under_way > FEWER {
                continue;
            }
            while let Some(message) = traffic.waiting.pop_front() {
                traffic.under_way += usize::from(now(lane, message));
            }
            self.waiting.fetch_and(!(1 << lane.0), Ordering::Relaxed);
        }
    }

    /// Everything that waits, for an owner who will hand over no more.
    pub(super) fn take(&self) -> Vec<M> {
        let lanes = (0..LANES).map(Lane);
        lanes
            .flat_map(|lane| std::mem::take(&mut self.traffic(lane).waiting))
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
