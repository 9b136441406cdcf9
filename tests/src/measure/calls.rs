//! A call of 1 KiB: direct, through the proxy, and beside them what the broker alone takes for a record of that size.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tapedeck_dev::identity::AccessToken;
use tapedeck_dev::ports;
use tokio::net::TcpStream;

use super::answers::KIBIBYTE;
use super::load::TOKEN;
use super::parts::{Parts, SLACK, complete, note};
use super::report::median;
use super::usage::{processor_time, resident_memory};
use super::{Extent, Report, Summary};
use crate::sample::Recording;

/// Calls at once.
const CONCURRENCY: [usize; 2] = [1, 32];

const PREFIX: &str = "measure-calls";
const BARE: &str = "measure-bare";

/// What one level of concurrency gave, round after round.
#[derive(Default)]
struct Level {
    direct: Vec<Summary>,
    proxy: Vec<Summary>,
    acknowledged: Vec<Summary>,
    /// Of the proxy, microseconds a request.
    processor: Vec<f64>,
}

pub(super) async fn measure(parts: &Parts, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let kafka = parts.kafka(PREFIX);
    // It makes the topics, and must not compete for the processor afterwards.
    let consumer = parts.consumer(&kafka, &parts.database("measure_calls"), 4).await?;
    consumer.service().stop().await;
    create_topic(&kafka.brokers, BARE).await?;

    let address = format!("127.0.0.1:{}", ports::free()?);
    let (target, _) = parts.ourselves("target")?;
    let target = target.args(["target", &address]).start()?;
    let listens = async || {
        TcpStream::connect(&address)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    };
    target.ready(SLACK, listens).await?;
    let direct = format!("http://{address}/mcp");
    let proxy = parts.proxy(parts.kafka(PREFIX), &direct).await?;
    let through = proxy.endpoint("target");
    let machine = parts.identity.machines().first().context("there is a machine")?;
    let token = parts.identity.machine_token(machine, &through).await?;
    let process = proxy.service().child().id();

    let mut levels = [Level::default(), Level::default()];
    for round in 1..=extent.rounds {
        for (level, concurrency) in levels.iter_mut().zip(CONCURRENCY) {
            note(&format!(
                "calls: round {round} of {}, {concurrency} at once",
                extent.rounds
            ));
            level
                .direct
                .push(call(parts, &direct, None, concurrency, extent.within).await?);
            let before = processor_time(process)?;
            let called = call(parts, &through, Some(&token), concurrency, extent.within).await?;
            let used = processor_time(process)? - before;
            level.processor.push(used.as_secs_f64() * 1e6 / called.requests as f64);
            level.proxy.push(called);
            level
                .acknowledged
                .push(acknowledge(parts, concurrency, extent.within).await?);
        }
    }
    let memory = resident_memory(process)?;
    for (level, concurrency) in levels.iter().zip(CONCURRENCY) {
        level.report(concurrency, report);
    }
    report.add("memory after all calls", "proxy", memory, "MiB");
    Ok(())
}

impl Level {
    fn report(&self, concurrency: usize, report: &mut Report) {
        let of = |rounds: &[Summary], value: fn(&Summary) -> f64| median(rounds.iter().map(value).collect());
        let contenders = [
            ("direct", &self.direct),
            ("through the proxy", &self.proxy),
            ("the broker's acknowledgement alone", &self.acknowledged),
        ];
        let mut latencies = |percentile: &str, value: fn(&Summary) -> f64| {
            let measure = format!("call of 1 KiB, {concurrency} at once, {percentile}");
            for (contender, rounds) in contenders {
                report.add(&measure, contender, of(rounds, value) / 1000.0, "ms");
            }
            let measure = format!("added latency, {concurrency} at once, {percentile}");
            let added = of(&self.proxy, value) - of(&self.direct, value);
            let alone = of(&self.acknowledged, value);
            report.add(&measure, "the broker's acknowledgement alone", alone / 1000.0, "ms");
            report.add(&measure, "proxy", added / 1000.0, "ms");
        };
        latencies("p50", |summary| summary.p50);
        latencies("p99", |summary| summary.p99);
        let measure = format!("calls, {concurrency} at once");
        for (contender, rounds) in contenders {
            report.add(&measure, contender, of(rounds, |summary| summary.per_second), "1/s");
        }
        let measure = format!("processor time per request, {concurrency} at once");
        report.add(&measure, "proxy", median(self.processor.clone()), "µs");
    }
}

async fn call(
    parts: &Parts,
    url: &str,
    token: Option<&AccessToken>,
    connections: usize,
    within: Duration,
) -> anyhow::Result<Summary> {
    let (mut launch, output) = parts.ourselves("load")?;
    if let Some(token) = token {
        launch = launch.env(TOKEN, token.as_str());
    }
    let launch = launch.args(["load", url, "--connections", &connections.to_string()]);
    complete(launch, within, &output).await
}

async fn acknowledge(parts: &Parts, in_flight: usize, within: Duration) -> anyhow::Result<Summary> {
    let [_, (_, answer)] = Recording::of("caller").call(KIBIBYTE);
    let bytes = answer.len();
    let (launch, output) = parts.ourselves("acknowledge")?;
    let launch = launch.args(["acknowledge", &parts.broker.bootstrap(), BARE]).args([
        "--bytes",
        &bytes.to_string(),
        "--in-flight",
        &in_flight.to_string(),
    ]);
    complete(launch, within, &output).await
}

pub(super) async fn create_topic(brokers: &str, name: &str) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let topic = NewTopic::new(name, 4, TopicReplication::Fixed(1));
    for created in admin.create_topics([&topic], &AdminOptions::new()).await? {
        created.map_err(|(topic, code)| anyhow!("{topic}: {code}"))?;
    }
    Ok(())
}
