//! What the proxy counts. Labels are few and bounded: no user, no tool, no session is ever one.

use std::sync::OnceLock;
use std::sync::atomic::AtomicI64;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry, Unit};

/// A part of the registry, in which metrics are made and registered at once.
pub(crate) struct Registering<'a>(&'a mut Registry);

impl<'a> Registering<'a> {
    /// Names begin with `prefix`.
    pub(crate) fn under(registry: &'a mut Registry, prefix: &'static str) -> Self {
        Self(registry.sub_registry_with_prefix(prefix))
    }

    pub(crate) fn metric<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        self.this(name, help, M::default())
    }

    /// One that has been made already.
    pub(crate) fn this<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    /// One whose name ends in its unit.
    pub(crate) fn in_unit<M: Metric + Clone>(&mut self, name: &str, unit: Unit, help: &str, metric: M) -> M {
        self.0.register_with_unit(name, help, unit, metric.clone());
        metric
    }
}

/// Labels of [`Metrics::requests`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    target: String,
    method: &'static str,
    status: &'static str,
}

/// Labels of [`Metrics::refusals`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

/// Labels of [`Metrics::bytes`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByteLabels {
    target: String,
    direction: &'static str,
}

/// Everything that this crate's request path counts. Cheap to clone: clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    /// `tapedeck_proxy_requests_total`: requests answered, by target (empty: none), HTTP method and status class
    /// (`2xx` to `5xx`). Each counts once, when the head of its answer is released.
    requests: Family<RequestLabels, Counter>,
    /// `tapedeck_proxy_refusals_total`: requests that the proxy did not forward, and answers that it withheld, by the
    /// stable name of the reason, which is also `decision.rule` of the refusal's frame.
    refusals: Family<RefusalLabels, Counter>,
    /// `tapedeck_proxy_in_flight`: exchanges that have begun and not ended, streams included. They outlive their
    /// clients where an answer is read to its end for the record.
    in_flight: Gauge<i64, AtomicI64>,
    /// `tapedeck_proxy_streams`: server-sent-events answers that are open.
    streams: Gauge<i64, AtomicI64>,
    /// `tapedeck_proxy_body_bytes_total`: bytes of bodies, by target and direction: `to_target` as forwarded, `to_client` as
    /// released.
    bytes: Family<ByteLabels, Counter>,
}

impl Metrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let mut new = Registering::under(registry, "tapedeck_proxy");
        Self {
            requests: new.metric("requests", "Requests answered"),
            refusals: new.metric("refusals", "Requests not forwarded and answers withheld"),
            in_flight: new.metric("in_flight", "Exchanges in progress"),
            streams: new.metric("streams", "Event streams open"),
            bytes: new.in_unit("body", Unit::Bytes, "Bytes of bodies that passed", Family::default()),
        }
    }

    /// The counters of the answers about one target, or of none.
    pub(crate) fn answers(&self, target: &str) -> Answers {
        Answers {
            target: target.to_owned(),
            requests: self.requests.clone(),
            counters: Default::default(),
        }
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// Counts an exchange as long as the guard lives.
    pub(crate) fn exchange(&self) -> Gauged {
        Gauged::new(self.in_flight.clone())
    }

    /// Counts a stream as long as the guard lives.
    pub(crate) fn stream(&self) -> Gauged {
        Gauged::new(self.streams.clone())
    }

    /// The byte counters of a target, looked up once for all.
    pub(crate) fn flow(&self, target: &str) -> Flow {
        let of = |direction| {
            self.bytes.get_or_create_owned(&ByteLabels {
                target: target.to_owned(),
                direction,
            })
        };
        Flow {
            to_target: of("to_target"),
            to_client: of("to_client"),
        }
    }
}

/// Names of methods, and of classes of statuses, in labels.
const METHODS: [&str; 4] = ["POST", "GET", "DELETE", "other"];
const STATUSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "other"];

/// The counters of the answers about one target, each looked up at its first use: that takes longer than to count.
#[derive(Debug)]
pub(crate) struct Answers {
    target: String,
    requests: Family<RequestLabels, Counter>,
    counters: [[OnceLock<Counter>; STATUSES.len()]; METHODS.len()],
}

impl Answers {
    pub(crate) fn count(&self, method: &Method, status: StatusCode) {
        let method = METHODS[..3]
            .iter()
            .position(|name| *name == method.as_str())
            .unwrap_or(3);
        let status = match status.as_u16() {
            200..300 => 0,
            300..400 => 1,
            400..500 => 2,
            500..600 => 3,
            _ => 4,
        };
        let counter = self.counters[method][status].get_or_init(|| {
            self.requests.get_or_create_owned(&RequestLabels {
                target: self.target.clone(),
                method: METHODS[method],
                status: STATUSES[status],
            })
        });
        counter.inc();
    }
}

/// One more, until it is dropped: an exchange that panics is not counted for ever.
#[derive(Debug)]
pub(crate) struct Gauged(Gauge<i64, AtomicI64>);

impl Gauged {
    fn new(gauge: Gauge<i64, AtomicI64>) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Gauged {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Bytes of one target's bodies.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    to_target: Counter,
    to_client: Counter,
}

impl Flow {
    pub(crate) fn to_target(&self, bytes: usize) {
        self.to_target.inc_by(bytes as u64);
    }

    pub(crate) fn to_client(&self, bytes: usize) {
        self.to_client.inc_by(bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn answers_are_counted_by_target_method_and_class_and_only_those_that_were_given() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        // As after a change of the configuration: another look-up, and the same counter.
        for answers in [metrics.answers("demo"), metrics.answers("demo")] {
            answers.count(&Method::POST, StatusCode::ACCEPTED);
            answers.count(&Method::PATCH, StatusCode::METHOD_NOT_ALLOWED);
        }
        let mut text = String::new();
        encode(&mut text, &registry).expect("text");
        let counted: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("tapedeck_proxy_requests_total{"))
            .collect();
        assert_eq!(counted.len(), 2, "{text}");
        for line in [
            r#"{target="demo",method="POST",status="2xx"} 2"#,
            r#"{target="demo",method="other",status="4xx"} 2"#,
        ] {
            assert!(counted.iter().any(|one| one.ends_with(line)), "{text}");
        }
    }
}
