//! What the proxy counts. Labels are few and bounded: no user, no tool, no session is ever one.

use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

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
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("tapedeck_proxy");
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register(
            "refusals",
            "Requests not forwarded and answers withheld",
            metrics.refusals.clone(),
        );
        registry.register("in_flight", "Exchanges in progress", metrics.in_flight.clone());
        registry.register("streams", "Event streams open", metrics.streams.clone());
        registry.register_with_unit(
            "body",
            "Bytes of bodies that passed",
            Unit::Bytes,
            metrics.bytes.clone(),
        );
        metrics
    }

    pub(crate) fn answered(&self, target: &str, method: &http::Method, status: u16) {
        let method = match method.as_str() {
            "POST" => "POST",
            "GET" => "GET",
            "DELETE" => "DELETE",
            _ => "other",
        };
        let status = match status {
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500..600 => "5xx",
            _ => "other",
        };
        self.requests
            .get_or_create(&RequestLabels {
                target: target.to_owned(),
                method,
                status,
            })
            .inc();
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

    /// The byte counters of a target, looked up once.
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
