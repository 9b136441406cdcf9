//! Traces for OpenTelemetry: a span for each batch, and one for each call in it, in the trace of whoever made the call. Off,
//! unless configured.
//!
//! A frame names its client's span, or the proxy's where the client has none; a call's span is that one's child, and linked to
//! its batch's. Spans are made of redacted frames, and say no payload and nobody's name. What a collector does not take is
//! lost, and no batch waits for it.

use std::time::SystemTime;

use opentelemetry::trace::{Link, Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};
use tapedeck_otlp::span::{attributes, name, parent};
use tapedeck_otlp::{Exporter, OtlpError};
use tapedeck_schemas::{Direction, Kind, RpcKind};
use url::Url;

use crate::rows::{Origin, Row};

/// Calls of one batch that have a span: the exporter holds 2,048 by default, and a batch may have tens of thousands.
const CALLS: usize = 1000;

/// Makes the spans of batches. Cheap to clone; does nothing where traces are off.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<On>);

#[derive(Clone, Debug)]
struct On {
    exporter: Exporter,
    tracer: SdkTracer,
}

impl Traces {
    /// Exports to the collector at `endpoint`, the whole URL; to none, where there is none.
    ///
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// Where no client of this collector can be made. Whether it is there is not asked.
    pub fn start(endpoint: Option<&Url>) -> Result<Self, OtlpError> {
        let Some(endpoint) = endpoint else {
            return Ok(Self(None));
        };
        let exporter = Exporter::start(endpoint, "tapedeck-consumer")?;
        let tracer = exporter.tracer();
        Ok(Self(Some(On { exporter, tracer })))
    }

    /// Of a batch that begins now.
    pub fn batch(&self, origin: &Origin, records: usize) -> BatchTrace {
        let Some(on) = &self.0 else {
            return BatchTrace(None);
        };
        let name = format!("load {}", origin.topic);
        let origin = origin_attributes(origin);
        let mut all = origin.clone();
        all.extend([
            KeyValue::new("messaging.operation.type", "process"),
            KeyValue::new("messaging.operation.name", "load"),
            KeyValue::new("messaging.batch.message_count", count(records)),
        ]);
        let span = on
            .tracer
            .span_builder(name)
            .with_kind(SpanKind::Consumer)
            .with_attributes(all)
            .start_with_context(&on.tracer, &Context::new());
        BatchTrace(Some(Box::new(Begun {
            tracer: on.tracer.clone(),
            began: SystemTime::now(),
            span,
            origin,
            calls: Vec::new(),
            is_loaded: false,
        })))
    }

    /// Exports what is left.
    pub async fn shutdown(&self) {
        if let Some(on) = &self.0 {
            on.exporter.shutdown().await;
        }
    }
}

/// What a collector learns of one batch. One that is dropped before it is loaded has failed, or was abandoned.
#[derive(Debug)]
#[must_use]
pub struct BatchTrace(Option<Box<Begun>>);

#[derive(Debug)]
struct Begun {
    tracer: SdkTracer,
    began: SystemTime,
    span: Span,
    origin: Vec<KeyValue>,
    /// Told once they are loaded.
    calls: Vec<Call>,
    is_loaded: bool,
}

#[derive(Debug)]
struct Call {
    name: String,
    parent: Context,
    attributes: Vec<KeyValue>,
}

impl BatchTrace {
    /// These rows are to be loaded.
    pub fn takes(&mut self, rows: &[Row]) {
        let Some(begun) = &mut self.0 else { return };
        begun
            .span
            .set_attribute(KeyValue::new("tapedeck.rows", count(rows.len())));
        let calls = rows.iter().filter_map(|row| Call::of(row, &begun.origin));
        begun.calls.extend(calls.take(CALLS));
    }

    /// They are in the table, and told of.
    pub fn loaded(mut self) {
        let Some(mut begun) = self.0.take() else { return };
        begun.is_loaded = true;
        let batch = begun.span.span_context().clone();
        for call in std::mem::take(&mut begun.calls) {
            begun
                .tracer
                .span_builder(call.name)
                .with_kind(SpanKind::Consumer)
                .with_start_time(begun.began)
                .with_attributes(call.attributes)
                .with_links(vec![Link::with_context(batch.clone())])
                .start_with_context(&begun.tracer, &call.parent)
                .end();
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.is_loaded {
            self.span.set_attribute(KeyValue::new("error.type", "not_loaded"));
            self.span.set_status(Status::error("the batch was not loaded"));
        }
    }
}

impl Call {
    /// What a row says of a call that somebody traces; `None` of all other rows.
    fn of(row: &Row, origin: &[KeyValue]) -> Option<Self> {
        let frame = row.frame.frame();
        let rpc = frame.rpc.as_ref().filter(|rpc| rpc.kind == RpcKind::Request)?;
        if frame.kind != Kind::Message || frame.direction != Direction::ToTarget {
            return None;
        }
        let parent = parent(Some(frame.traceparent.as_deref()?));
        if !parent.span().span_context().is_sampled() {
            return None;
        }
        let mut attributes = attributes(frame, Some(rpc));
        if frame.session_id.is_none() {
            attributes.push(KeyValue::new("mcp.session.id", row.place.session.to_string()));
        }
        attributes.extend_from_slice(origin);
        attributes.push(KeyValue::new("messaging.kafka.offset", row.offset));
        Some(Self {
            name: format!("load {}", name(frame, Some(rpc))),
            parent,
            attributes,
        })
    }
}

/// Where records come from, as OpenTelemetry's conventions for messaging have it.
fn origin_attributes(origin: &Origin) -> Vec<KeyValue> {
    vec![
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("messaging.destination.name", origin.topic.clone()),
        KeyValue::new("messaging.destination.partition.id", origin.partition.to_string()),
    ]
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
