//! What is counted about configurations.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::metrics::Registering;

/// What became of a configuration that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is in force.
    Applied,
    /// It, or a file that it names, is wrong.
    Invalid,
    /// It changes what only a restart can.
    Refused,
}

/// Labels of [`Metrics::reloads`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    outcome: &'static str,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Applied, Self::Invalid, Self::Refused];

    fn labels(self) -> ReloadLabels {
        let outcome = match self {
            Self::Applied => "applied",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
        };
        ReloadLabels { outcome }
    }
}

#[derive(Debug)]
pub(super) struct Metrics {
    /// `tapedeck_proxy_config_reloads_total`: configurations that were read after the start, by `outcome`: `applied`;
    /// `invalid`: it, or a file that it names, is wrong; `refused`: it changes what only a restart can.
    reloads: Family<ReloadLabels, Counter>,
    /// `tapedeck_proxy_config_last_reload_successful`: 1 if what was read last is in force, 0 if it could not be used. Worth
    /// an alert: the file says something else than the proxy does.
    successful: Gauge<i64, AtomicI64>,
    /// `tapedeck_proxy_config_applied_timestamp_seconds`: when what is in force was put in force, in Unix time.
    applied: Gauge<f64, AtomicU64>,
}

impl Metrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let mut new = Registering::under(registry, "tapedeck_proxy_config");
        let metrics = Self {
            reloads: new.metric("reloads", "Configurations read after the start"),
            successful: new.metric(
                "last_reload_successful",
                "Whether the configuration read last is in force",
            ),
            applied: new.in_unit(
                "applied_timestamp",
                Unit::Seconds,
                "When the configuration in force was put in force",
                Gauge::default(),
            ),
        };
        for outcome in Outcome::ALL {
            // Counts from zero on: a rate needs the first one, too.
            drop(metrics.reloads.get_or_create(&outcome.labels()));
        }
        metrics
    }

    /// What was read at the start is in force.
    pub(super) fn starts(&self, at: SystemTime) {
        self.successful.set(1);
        self.applied.set(seconds(at));
    }

    pub(super) fn reloaded(&self, outcome: Outcome, at: SystemTime) {
        self.reloads.get_or_create(&outcome.labels()).inc();
        match outcome {
            Outcome::Applied => self.starts(at),
            Outcome::Invalid | Outcome::Refused => {
                self.successful.set(0);
            }
        }
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
