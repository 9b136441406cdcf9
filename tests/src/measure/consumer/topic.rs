//! Topics that are full before anything is loaded from them.

use tapedeck_dev::services::Kafka;
use tapedeck_schemas::wire::Framing;

use crate::measure::parts::{Parts, note};
use crate::sample::{Recording, publish};

/// Callers, each with a session of its own, whose calls alternate.
const CALLERS: usize = 50;

/// How large the messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::measure) enum Sizes {
    /// 1 KiB on average: a request of some 300 bytes, and an answer.
    Kibibyte,
    /// 0.9 KB on average: search results as tools give them.
    ToolLike,
    /// Of 100 messages 60 are small, 30 have 1 to 4 KiB, 9 have 16 KiB and one has 256 KiB.
    Mixture,
}

impl Sizes {
    /// What the table calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kibibyte => "1 KiB",
            Self::ToolLike => "0.9 KB",
            Self::Mixture => "mixture",
        }
    }

    /// Bytes of the answer to a call of that number. All requests are small, so of a hundred answers 20 are small as well,
    /// 60 of middle size, 18 large and two very large, in an order that repeats.
    fn answer(self, call: usize) -> usize {
        match self {
            Self::Kibibyte => 1_650,
            Self::ToolLike => 1_450,
            // 37 and 100 have no divisor in common: each remainder comes once.
            Self::Mixture => match call * 37 % 100 {
                0..20 => 200 + call % 500,
                rest @ 20..80 => 1_024 + (rest - 20) * 3_072 / 60,
                80..98 => 16 * 1_024,
                _ => 256 * 1_024,
            },
        }
    }
}

/// A topic of one partition with so many records in it.
#[derive(Debug)]
pub(in crate::measure) struct Topic {
    pub(in crate::measure) kafka: Kafka,
    pub(in crate::measure) frames: u64,
    pub(in crate::measure) sizes: Sizes,
}

impl Topic {
    /// Creates it, as the consumer's `migrate` does, and records so many calls, each a frame for its request and one for its
    /// answer. What they say repeats from run to run; ids, salts and times do not.
    pub(in crate::measure) async fn filled(
        parts: &Parts,
        prefix: &str,
        sizes: Sizes,
        calls: usize,
        framing: Framing,
    ) -> anyhow::Result<Self> {
        let kafka = parts.kafka(prefix);
        parts.migrate(&kafka, &parts.database("measure_topics"), 1).await?;
        note(&format!("recording {calls} calls of {}", sizes.name()));
        let (brokers, topic) = (kafka.brokers.clone(), kafka.frames());
        let fill = move || {
            let mut callers: Vec<Recording> = (0..CALLERS)
                .map(|number| Recording::of(&format!("caller-{number}")).framed(framing))
                .collect();
            let opened: Vec<_> = callers.iter_mut().map(Recording::opened).collect();
            let called = (0..calls).flat_map(move |number| callers[number % CALLERS].call(sizes.answer(number)));
            publish(&brokers, &topic, opened.into_iter().chain(called))
        };
        let frames = tokio::task::spawn_blocking(fill).await??;
        Ok(Self { kafka, frames, sizes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_mixture_one_message_in_a_hundred_is_very_large() {
        let answers: Vec<usize> = (0..100).map(|call| Sizes::Mixture.answer(call)).collect();
        let within = |from: usize, to: usize| answers.iter().filter(|size| (from..to).contains(*size)).count();
        // Half of all messages are requests.
        assert_eq!(
            [
                100 + within(0, 1_000),
                within(1_000, 5_000),
                within(5_000, 20_000),
                within(20_000, 300_000)
            ],
            [120, 60, 18, 2]
        );
    }
}
