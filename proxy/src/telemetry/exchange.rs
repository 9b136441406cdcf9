//! The spans of one exchange.

use std::time::SystemTime;

use http::HeaderValue;
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};
use tapedeck_otlp::span::{attributes, name, parent, traceparent};
use tapedeck_schemas::{End, Frame, Rpc};

/// What a collector learns of one exchange. Does nothing where traces are off.
#[derive(Debug, Default)]
pub(crate) struct ExchangeTrace(Option<Box<On>>);

#[derive(Debug)]
struct On {
    tracer: SdkTracer,
    arrived: SystemTime,
    /// From the client's request to the end of its answer.
    server: Option<Span>,
    /// From when the target may see it to the end of what the target says.
    client: Option<Span>,
}

impl ExchangeTrace {
    /// Of an exchange that begins now.
    pub(super) fn begin(tracer: SdkTracer) -> Self {
        Self(Some(Box::new(On {
            tracer,
            arrived: SystemTime::now(),
            server: None,
            client: None,
        })))
    }

    /// It is known what was asked for, as far as it will be. `common` is what the exchange's frames have in common; the
    /// client's span that it names is the parent.
    pub(crate) fn asked(&mut self, common: &Frame, rpc: Option<&Rpc>) {
        let Some(on) = self.0.as_mut().filter(|on| on.server.is_none()) else {
            return;
        };
        let span = on
            .tracer
            .span_builder(name(common, rpc))
            .with_kind(SpanKind::Server)
            .with_start_time(on.arrived)
            .with_attributes(attributes(common, rpc));
        let parent = parent(common.traceparent.as_deref());
        on.server = Some(span.start_with_context(&on.tracer, &parent));
    }

    /// The exchange's own span as others name it (W3C Trace Context).
    pub(crate) fn traceparent(&self) -> Option<String> {
        traceparent(self.0.as_ref()?.server.as_ref()?.span_context())
    }

    /// The target is asked now. Gives what it is told as its parent (W3C Trace Context).
    pub(crate) fn forwards(&mut self, common: &Frame, rpc: Option<&Rpc>) -> Option<HeaderValue> {
        let on = self.0.as_mut()?;
        let server = Context::new().with_remote_span_context(on.server.as_ref()?.span_context().clone());
        let span = on
            .tracer
            .span_builder(name(common, rpc))
            .with_kind(SpanKind::Client)
            .with_attributes([KeyValue::new("server.address", common.target.clone())])
            .start_with_context(&on.tracer, &server);
        let told = traceparent(span.span_context());
        on.client = Some(span);
        HeaderValue::from_str(&told?).ok()
    }

    /// The target's answer has begun.
    pub(crate) fn answered(&mut self, status: u16) {
        let client = self.0.as_mut().and_then(|on| on.client.as_mut());
        if let Some(span) = client {
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        }
        self.set(|span| span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status))));
    }

    /// A message of the answer: an error, or a tool's own failure, is the exchange's.
    pub(crate) fn said(&mut self, rpc: &Rpc) {
        if let Some(code) = rpc.error_code {
            self.set(|span| {
                span.set_attribute(KeyValue::new("rpc.jsonrpc.error_code", code));
                span.set_attribute(KeyValue::new("error.type", code.to_string()));
                span.set_status(Status::error("the target answered with an error"));
            });
        } else if rpc.is_error == Some(true) {
            self.set(|span| {
                span.set_attribute(KeyValue::new("error.type", "tool_error"));
                span.set_status(Status::error("the tool failed"));
            });
        }
    }

    /// The proxy says no, by a rule.
    pub(crate) fn refused(&mut self, common: &Frame, rpc: Option<&Rpc>, rule: &str, status: u16) {
        self.asked(common, rpc);
        self.set(|span| {
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
            span.set_attribute(KeyValue::new("error.type", rule.to_owned()));
            span.set_status(Status::error("refused"));
        });
    }

    /// It is over.
    pub(crate) fn ended(&mut self, end: End) {
        self.set(|span| {
            span.set_attribute(KeyValue::new("tapedeck.end", end.to_string()));
            if matches!(end, End::NotForwarded | End::UpstreamLost | End::Aborted) {
                span.set_attribute(KeyValue::new("error.type", end.to_string()));
                span.set_status(Status::error("it did not end as it should"));
            }
        });
        // The inner one first; what is dropped is exported.
        if let Some(on) = self.0.take() {
            drop(on.client);
            drop(on.server);
        }
    }

    fn set(&mut self, change: impl FnOnce(&mut Span)) {
        if let Some(span) = self.0.as_mut().and_then(|on| on.server.as_mut()) {
            change(span);
        }
    }
}
