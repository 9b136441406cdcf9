//! What one contender did in one round, as its process prints it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Latencies and counts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// All that was done, warming up included.
    pub requests: u64,
    /// Per second, without warming up.
    pub per_second: f64,
    /// Half of them took no longer, microseconds.
    pub p50: f64,
    /// 99 of 100 took no longer, microseconds.
    pub p99: f64,
}

impl Summary {
    /// Of these latencies, measured for so long, with so many more before that do not count.
    pub(super) fn of(mut latencies: Vec<Duration>, within: Duration, warming_up: u64) -> Self {
        latencies.sort_unstable();
        let at = |share: f64| {
            let index = (latencies.len() as f64 * share) as usize;
            let latency = latencies.get(index.min(latencies.len().saturating_sub(1)));
            latency.map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
        };
        Self {
            requests: latencies.len() as u64 + warming_up,
            per_second: latencies.len() as f64 / within.as_secs_f64(),
            p50: at(0.5),
            p99: at(0.99),
        }
    }
}
