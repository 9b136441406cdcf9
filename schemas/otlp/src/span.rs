//! What spans about MCP say, by the names that OpenTelemetry has for it, and W3C Trace Context.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tapedeck_schemas::{Frame, Rpc};

/// The longest text of a client's in an attribute, in bytes: ids and names may be as long as bodies.
const LONGEST: usize = 128;

/// A span as others name it (W3C Trace Context, section 3.2); `None` where it is none.
#[must_use]
pub fn traceparent(span: &SpanContext) -> Option<String> {
    let context = Context::new().with_remote_span_context(span.clone());
    let mut fields = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut fields);
    fields.remove("traceparent")
}

/// The span that a `traceparent` names (W3C Trace Context, section 3.2). What is none is ignored.
#[must_use]
pub fn parent(traceparent: Option<&str>) -> Context {
    let fields: HashMap<String, String> = traceparent
        .map(|value| ("traceparent".to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &fields)
}

/// As OpenTelemetry's conventions for MCP have it: the method, and the tool where there is one.
#[must_use]
pub fn name(common: &Frame, rpc: Option<&Rpc>) -> String {
    let method = rpc.and_then(|rpc| rpc.method.as_deref());
    match (method, tool(rpc)) {
        (Some(method), Some(tool)) => format!("{} {tool}", cut(method)),
        (Some(method), None) => cut(method).to_owned(),
        (None, _) => common.http.method.clone().unwrap_or_else(|| "HTTP".to_owned()),
    }
}

/// What is known of an exchange, and of what was asked for. No payload, and nobody's name.
#[must_use]
pub fn attributes(common: &Frame, rpc: Option<&Rpc>) -> Vec<KeyValue> {
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

fn tool(rpc: Option<&Rpc>) -> Option<&str> {
    rpc.filter(|rpc| rpc.method.as_deref() == Some("tools/call"))
        .and_then(|rpc| rpc.name.as_deref())
        .map(cut)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}
