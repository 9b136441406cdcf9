//! Traces of both services, as a real OpenTelemetry collector receives them.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tapedeck_dev::collector::Collector;
use tapedeck_tests::{Deck, DeckOptions, parts, run, target, until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT: &str = "b7ad6b7169203331";
const SECRET: &str = "4111 1111 1111 1111 is said once";

/// The span of a service and kind with that name, among those of the exchange that `of` picks.
fn find<'a>(
    spans: &'a [Value],
    service: &str,
    kind: u64,
    name: &str,
    of: impl Fn(&Value) -> bool,
) -> Result<&'a Value> {
    let is = |span: &&Value| span["service"] == service && span["kind"] == kind && span["name"] == name && of(span);
    spans
        .iter()
        .find(is)
        .with_context(|| format!("no span {name} of {service} in {spans:#?}"))
}

fn attribute<'a>(span: &'a Value, name: &str) -> Option<&'a str> {
    let attributes = span["attributes"].as_array()?;
    let found = attributes.iter().find(|attribute| attribute["key"] == name)?;
    found["value"]["stringValue"].as_str()
}

#[test]
fn one_trace_leads_from_the_client_through_the_proxy_to_the_consumer_and_says_nothing_that_was_said() -> Result<()> {
    const SERVER: u64 = 2;
    const CONSUMER: u64 = 5;
    run(async {
        let parts = parts().await?;
        let collector = Collector::start(parts.site()).await?;
        let traced = json!({ "telemetry": { "otlp": collector.url() } });
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy: traced.clone(),
                consumer: traced,
                ..DeckOptions::of(vec![target("probe", parts.probe.url())])
            },
        )
        .await?;
        let token = parts.token("alice").await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        // One call of a client that traces, and one of a client that does not.
        let mut tracing = client.clone().with("traceparent", &format!("00-{TRACE}-{CLIENT}-01"))?;
        tracing.call("echo", json!({ "text": SECRET })).await?;
        client.call("echo", json!({ "text": SECRET })).await?;
        deck.settled().await?;
        let wanted = "load tools/call echo";
        until(async || {
            let spans = collector.spans()?;
            let count = |name: &str, kind: u64| {
                let is = |span: &&Value| span["name"] == name && span["kind"] == kind;
                spans.iter().filter(is).count()
            };
            Ok(match (count(wanted, CONSUMER), count("tools/call echo", SERVER)) {
                (2, 2) => Ok(()),
                counts => Err(format!("the collector has {counts:?} spans of two calls")),
            })
        })
        .await?;
        let loads = collector.spans()?;
        let is_traced = |span: &Value| span["traceId"] == TRACE;
        for traced in [true, false] {
            let of = |span: &Value| is_traced(span) == traced;
            let server = find(&loads, "tapedeck-proxy", SERVER, "tools/call echo", of)?;
            let load = find(&loads, "tapedeck-consumer", CONSUMER, wanted, of)?;
            ensure!(
                load["traceId"] == server["traceId"],
                "{load:#} is not in the trace of {server:#}"
            );
            let parent = if traced { &json!(CLIENT) } else { &server["spanId"] };
            ensure!(load["parentSpanId"] == *parent, "{load:#} is not a child of {parent}");
            for (name, value) in [
                ("mcp.method.name", "tools/call"),
                ("mcp.protocol.version", "2025-06-18"),
                ("gen_ai.tool.name", "echo"),
                ("gen_ai.operation.name", "execute_tool"),
                ("messaging.system", "kafka"),
                ("messaging.destination.name", &deck.kafka.frames()),
                ("tapedeck.target", "probe"),
            ] {
                ensure!(
                    attribute(load, name) == Some(value),
                    "{name} is not {value} in {load:#}"
                );
            }
            for name in ["mcp.session.id", "jsonrpc.request.id", "tapedeck.exchange.id"] {
                let (here, there) = (attribute(load, name), attribute(server, name));
                ensure!(here.is_some() && here == there, "{name} differs: {here:?}, {there:?}");
            }
            let batch = &load["links"][0]["spanId"];
            ensure!(
                loads
                    .iter()
                    .any(|span| span["spanId"] == *batch && span["service"] == "tapedeck-consumer"),
                "{load:#} is linked to no batch"
            );
        }
        let all = collector.received();
        for secret in [SECRET, "4111", token.as_str(), "alice"] {
            ensure!(!all.contains(secret), "{secret} is in {all}");
        }
        deck.finish().await?;
        Ok(())
    })
}
