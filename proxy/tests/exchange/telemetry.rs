//! Traces, as a collector receives them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::json;
use tokio::net::TcpListener;

use crate::RESULT;
use crate::rig::{Reply, Rig, TARGET_SECRET, Target};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// An OTLP endpoint that keeps what it is sent.
struct Collector {
    url: String,
    bodies: Arc<Mutex<Vec<Bytes>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let bodies: Arc<Mutex<Vec<Bytes>>> = Arc::default();
        let all = Arc::clone(&bodies);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let all = Arc::clone(&all);
                let service = service_fn(move |request: Request<Incoming>| {
                    let all = Arc::clone(&all);
                    async move {
                        assert_eq!(request.uri().path(), "/v1/traces");
                        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
                        let body = request.into_body().collect().await.expect("whole").to_bytes();
                        all.lock().expect("no panic").push(body);
                        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, bodies }
    }

    fn spans(&self) -> Vec<Span> {
        let bodies = self.bodies.lock().expect("no panic").clone();
        let requests = bodies
            .into_iter()
            .map(|body| ExportTraceServiceRequest::decode(body).expect("a request as OTLP has it"));
        let resources = requests.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

fn attribute<'a>(span: &'a Span, name: &str) -> &'a str {
    let found = span.attributes.iter().find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{name} is {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_is_a_span_of_its_clients_trace_and_its_targets_parent_without_what_was_said() {
    let collector = Collector::start().await;
    let target = Target::start(|_| async { Reply::json(RESULT) }).await;
    let settings = format!("[telemetry]\notlp = \"{}\"", collector.url);
    let rig = Rig::with(target, "http://127.0.0.1:9", &settings).await;
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": { "name": "echo", "arguments": { "secret": "top of the tape" } } });
    let answer = rig
        .post(body.to_string())
        .header("traceparent", &format!("00-{TRACE}-{PARENT}-01"))
        .header("mcp-protocol-version", "2025-11-25")
        .send()
        .await;
    assert_eq!(answer.whole().await.expect("whole"), RESULT);
    let refused = rig.request("PUT").send().await;
    assert_eq!(refused.status, 405);
    let told = rig.target.seen()[0].headers["traceparent"]
        .to_str()
        .expect("text")
        .to_owned();
    let token = rig.token();
    rig.running.stop().await.expect("a goodbye");

    let spans = collector.spans();
    let of = |kind: SpanKind, name: &str| {
        let is = |span: &&Span| span.kind == kind as i32 && span.name == name;
        spans
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("{name} is not in {spans:?}"))
    };
    let server = of(SpanKind::Server, "tools/call echo");
    assert_eq!(
        (hex(&server.trace_id).as_str(), hex(&server.parent_span_id).as_str()),
        (TRACE, PARENT)
    );
    for (name, value) in [
        ("mcp.method.name", "tools/call"),
        ("mcp.protocol.version", "2025-11-25"),
        ("gen_ai.tool.name", "echo"),
        ("gen_ai.operation.name", "execute_tool"),
        ("jsonrpc.request.id", "7"),
        ("tapedeck.target", "demo"),
        ("tapedeck.end", "answered"),
    ] {
        assert_eq!(attribute(server, name), value, "{name}");
    }
    let client = of(SpanKind::Client, "tools/call echo");
    assert_eq!(
        (&client.trace_id, &client.parent_span_id),
        (&server.trace_id, &server.span_id)
    );
    assert_eq!(told, format!("00-{TRACE}-{}-01", hex(&client.span_id)));
    assert_eq!(
        attribute(of(SpanKind::Server, "PUT"), "error.type"),
        "method_not_allowed"
    );
    let all = format!("{spans:?}");
    for secret in ["top of the tape", TARGET_SECRET, &token, "alice"] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_a_clients_trace_passes_as_it_came() {
    let target = Target::start(|_| async { Reply::json(RESULT) }).await;
    let rig = Rig::new(target).await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let answer = rig
        .post(crate::call(1, "echo"))
        .header("traceparent", &traceparent)
        .send()
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(rig.target.seen()[0].headers["traceparent"], traceparent);
}
