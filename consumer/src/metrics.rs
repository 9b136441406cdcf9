//! Figures about loading. Each is documented where it is registered.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tapedeck_redact::Action;

/// Label of figures that each partition has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPartition {
    partition: i32,
}

/// Label of figures about what rules have done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRuleAlone {
    rule: String,
}

/// Labels of figures about what rules would do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRule {
    rule: String,
    action: &'static str,
}

/// All figures.
#[derive(Debug)]
#[allow(missing_docs, reason = "each figure's meaning is its help text below")]
pub struct Metrics {
    registry: Registry,
    pub rows: Counter,
    pub batches: Counter,
    pub duplicates: Counter,
    pub forks: Counter,
    pub tampered: Counter,
    pub undecodable: Counter,
    pub insert_retries: Counter,
    pub lost_to_retention: Counter,
    pub unknown_calls: Counter,
    pub rules_changed: Counter,
    pub rules_refused: Counter,
    pub session_keys: Gauge,
    pub memory: Gauge,
    pub memory_peak: Gauge,
    pub memory_limit: Gauge,
    pub batch_records: Histogram,
    pub batch_bytes: Histogram,
    pub batch_time: Histogram,
    pub insert_time: Histogram,
    pub publish_time: Histogram,
    pub redaction_time: Histogram,
    pub retried: Counter,
    lag_time: Family<OfPartition, Gauge<f64, AtomicU64>>,
    redacted: Family<OfRuleAlone, Counter>,
    would_redact: Family<OfRule, Counter>,
    lag: Family<OfPartition, Gauge>,
    offset: Family<OfPartition, Gauge>,
    newest: Family<OfPartition, Gauge<f64, AtomicU64>>,
    sessions: Family<OfPartition, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tapedeck_consumer");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let rows = counter("rows", "Rows inserted into frames");
        let batches = counter("batches", "Batches loaded");
        let duplicates = counter("duplicates", "Frames that were there already, by segment, seq and hash");
        let forks = counter("forks", "Frames whose place in their segment another frame has");
        let tampered = counter("tampered", "Frames that do not fit their hash");
        let undecodable = counter("undecodable", "Records that are no frame: dead letters");
        let insert_retries = counter("insert_retries", "Inserts that were tried again");
        let lost = "Records that retention removed before they could be loaded";
        let lost_to_retention = counter("lost_to_retention", lost);
        let unknown = "Calls that a writer left open when it went away without a goodbye";
        let unknown_calls = counter("unknown_calls", unknown);
        let retried = counter(
            "dead_letters_retried",
            "Dead letters that were read again, whatever came of it",
        );
        let rules_changed = counter("rules_changed", "Changes of redaction packs that were taken over");
        let refused = "Changes of redaction packs that were refused: the rules before stay in use";
        let rules_refused = counter("rules_refused", refused);
        let (redacted, would_redact) = (Family::default(), Family::default());
        let help = "Frames in which a rule found something, by rule";
        registry.register("redacted_frames", help, Family::clone(&redacted));
        let help = "Findings of rules that are only tried, by rule and by what they would do";
        registry.register("would_redact", help, Family::clone(&would_redact));
        let (session_keys, lag, offset, newest) = (
            Gauge::default(),
            Family::default(),
            Family::default(),
            Family::default(),
        );
        let seconds = || Histogram::new(exponential_buckets(0.001, 4.0, 10));
        let (batch_records, batch_bytes, batch_time, insert_time, publish_time, redaction_time, lag_time) = (
            Histogram::new(exponential_buckets(1.0, 4.0, 10)),
            Histogram::new(exponential_buckets(1024.0, 4.0, 10)),
            seconds(),
            seconds(),
            seconds(),
            seconds(),
            Family::<OfPartition, Gauge<f64, AtomicU64>>::default(),
        );
        registry.register("batch_records", "Records of a batch", batch_records.clone());
        let help = "Keys and values of a batch's records";
        registry.register_with_unit("batch", help, Unit::Bytes, batch_bytes.clone());
        for (name, help, histogram) in [
            (
                "batch",
                "From a batch's last record to its acknowledged events",
                &batch_time,
            ),
            (
                "insert",
                "Inserting a batch's rows, repeated attempts included",
                &insert_time,
            ),
            (
                "publish",
                "Publishing a batch's events until all are acknowledged",
                &publish_time,
            ),
            ("redaction", "Masking, placing and redacting a batch", &redaction_time),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        registry.register_with_unit(
            "lag",
            "Age of the newest loaded record, while others wait behind it; 0 where none does",
            Unit::Seconds,
            Family::clone(&lag_time),
        );
        let (memory, memory_peak, memory_limit) = (Gauge::default(), Gauge::default(), Gauge::default());
        for (name, help, gauge) in [
            (
                "memory",
                "What records on their way take of the budget that all partitions share",
                &memory,
            ),
            ("memory_peak", "The most that they ever took of it", &memory_peak),
            ("memory_limit", "All of that budget: [batch] memory", &memory_limit),
        ] {
            registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
        }
        let sessions = Family::<OfPartition, Gauge>::default();
        registry.register(
            "sessions_open",
            "Sessions with a frame within [sessions] idle, as far as they are in memory",
            Family::clone(&sessions),
        );
        registry.register(
            "session_keys",
            "Session keys in the memory of the partition loaded last",
            session_keys.clone(),
        );
        registry.register(
            "lag_records",
            "Records in the log that are not loaded yet",
            Family::clone(&lag),
        );
        registry.register(
            "offset",
            "Offset up to which records are loaded",
            Family::clone(&offset),
        );
        registry.register_with_unit(
            "newest_record",
            "Time of the newest loaded record, since 1970",
            Unit::Seconds,
            Family::clone(&newest),
        );
        Self {
            registry,
            rows,
            batches,
            duplicates,
            forks,
            tampered,
            undecodable,
            insert_retries,
            lost_to_retention,
            unknown_calls,
            rules_changed,
            rules_refused,
            redacted,
            would_redact,
            session_keys,
            memory,
            memory_peak,
            memory_limit,
            batch_records,
            batch_bytes,
            batch_time,
            insert_time,
            publish_time,
            redaction_time,
            retried,
            lag_time,
            lag,
            offset,
            newest,
            sessions,
        }
    }
}

impl Metrics {
    /// A partition's records below `offset` are loaded; the newest is from `time`, milliseconds since 1970.
    pub fn loaded_up_to(&self, partition: i32, offset: i64, time: i64) {
        let label = OfPartition { partition };
        self.offset.get_or_create(&label).set(offset);
        self.newest.get_or_create(&label).set(time as f64 / 1000.0);
    }

    /// So many sessions of a partition are open.
    pub fn sessions_open(&self, partition: i32, sessions: usize) {
        let label = OfPartition { partition };
        let sessions = i64::try_from(sessions).unwrap_or(i64::MAX);
        self.sessions.get_or_create(&label).set(sessions);
    }

    /// A partition is not ours any more: what was said of it is for its new owner to say.
    pub fn let_go(&self, partition: i32) {
        let label = OfPartition { partition };
        self.lag_time.remove(&label);
        self.lag.remove(&label);
        self.offset.remove(&label);
        self.newest.remove(&label);
        self.sessions.remove(&label);
    }

    /// These rules found something in a frame.
    pub fn found(&self, rules: &[Arc<str>]) {
        for rule in rules {
            let rule = rule.to_string();
            self.redacted.get_or_create(&OfRuleAlone { rule }).inc();
        }
    }

    /// A rule that is only tried would do so to as many findings.
    pub fn would(&self, rule: &str, action: Action, findings: u32) {
        let label = OfRule {
            rule: rule.to_owned(),
            action: action.as_str(),
        };
        self.would_redact.get_or_create(&label).inc_by(u64::from(findings));
    }

    /// A partition is ours from now on, and its records below `position` are loaded.
    pub fn taken_over(&self, partition: i32, position: i64) {
        self.offset.get_or_create(&OfPartition { partition }).set(position);
    }

    /// A partition's log ends at `end`.
    pub fn log_end(&self, partition: i32, end: i64) {
        let label = OfPartition { partition };
        let position = self.offset.get_or_create(&label).get();
        self.lag.get_or_create(&label).set((end - position).max(0));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let newest = self.newest.get_or_create(&label).get();
        // Before the first batch nobody knows.
        let behind = if end > position && newest > 0.0 {
            now.as_secs_f64() - newest
        } else {
            0.0
        };
        self.lag_time.get_or_create(&label).set(behind.max(0.0));
    }

    /// All figures in OpenMetrics' text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a String does not fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_loaded_all_lags_by_nothing_and_who_has_not_by_the_age_of_what_it_has() {
        let metrics = Metrics::default();
        let value = |name: &str| {
            let line = format!("tapedeck_consumer_{name}{{partition=\"3\"}} ");
            let text = metrics.text();
            let value = text.lines().find_map(|one| one.strip_prefix(&line)).map(str::to_owned);
            value
                .unwrap_or_else(|| panic!("{name} is not in:\n{text}"))
                .parse::<f64>()
                .expect("a number")
        };
        metrics.taken_over(3, 0);
        metrics.log_end(3, 10);
        assert_eq!((value("lag_records"), value("lag_seconds")), (10.0, 0.0));
        metrics.loaded_up_to(3, 5, 1_000);
        metrics.log_end(3, 10);
        assert!(value("lag_seconds") > 1e9, "a record of 1970 is old");
        metrics.loaded_up_to(3, 10, 1_000);
        metrics.log_end(3, 10);
        assert_eq!((value("lag_records"), value("lag_seconds")), (0.0, 0.0));
        metrics.let_go(3);
        let text = metrics.text();
        assert!(!text.contains("partition=\"3\""), "its new owner says it:\n{text}");
    }
}
