//! The spans of one exchange.

use std::collections::HashMap;
use std::time::SystemTime;

use http::HeaderValue;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, Span};
use tapedeck_schemas::{End, Frame, Rpc};

/// The longest text of a client's in an attribute, in bytes: ids and names may be as long as bodies.
const LONGEST: usize = 128;

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
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        on.client = Some(span);
        let mut fields = HashMap::new();
        TraceContextPropagator::new().inject_context(&context, &mut fields);
        HeaderValue::from_str(fields.get("traceparent")?).ok()
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

/// The client's span, where it names one (W3C Trace Context, section 3.2). What is none is ignored.
fn parent(traceparent: Option<&str>) -> Context {
    let fields: HashMap<String, String> = traceparent
        .map(|value| ("traceparent".to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &fields)
}

/// As OpenTelemetry's conventions for MCP have it: the method, and the tool where there is one.
fn name(common: &Frame, rpc: Option<&Rpc>) -> String {
    let method = rpc.and_then(|rpc| rpc.method.as_deref());
    match (method, tool(rpc)) {
        (Some(method), Some(tool)) => format!("{} {tool}", cut(method)),
        (Some(method), None) => cut(method).to_owned(),
        (None, _) => common.http.method.clone().unwrap_or_else(|| "HTTP".to_owned()),
    }
}

fn tool(rpc: Option<&Rpc>) -> Option<&str> {
    rpc.filter(|rpc| rpc.method.as_deref() == Some("tools/call"))
        .and_then(|rpc| rpc.name.as_deref())
        .map(cut)
}

fn attributes(common: &Frame, rpc: Option<&Rpc>) -> Vec<KeyValue> {
    let mut all = vec![
        KeyValue::new("tapedeck.exchange.id", common.exchange_id.to_string()),
        KeyValue::new("tapedeck.target", common.target.clone()),
        KeyValue::new("network.protocol.name", common.protocol.transport.clone()),
    ];
    let mut add = |name: &'static str, value: Option<&str>| {
        all.extend(value.map(|value| KeyValue::new(name, cut(value).to_owned())));
    };
    let session = common.session_id.map(|session| session.to_string());
    add("http.request.method", common.http.method.as_deref());
    add("mcp.session.id", session.as_deref());
    add("mcp.protocol.version", common.protocol.revision.as_deref());
    add("mcp.method.name", rpc.and_then(|rpc| rpc.method.as_deref()));
    add("jsonrpc.request.id", rpc.and_then(|rpc| rpc.id.as_deref()));
    add("gen_ai.tool.name", tool(rpc));
    add("gen_ai.operation.name", tool(rpc).map(|_| "execute_tool"));
    all
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}
