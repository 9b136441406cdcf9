//! The proxy beside nginx, another MCP proxy and nothing: processor time, added latency, delay of events, memory.

mod contenders;
mod events;
mod matrix;
mod memory;
mod peer;

use std::time::Duration;

use tapedeck_dev::process::Launch;

use super::parts::{Parts, SLACK, complete};
use super::{Extent, Report, Summary};
use contenders::{Aim, Stage};

const PREFIX: &str = "measure-proxy";
const BARE: &str = "measure-proxy-bare";

/// The modes in which ours records, as its configuration names them.
const BEST_EFFORT: &str = "best_effort";
const REQUIRED: &str = "required";
const SPOOLED: &str = "spooled";
const MODES: [&str; 3] = [BEST_EFFORT, REQUIRED, SPOOLED];

/// Names of the other contenders.
const DIRECT: &str = "direct";
const NGINX: &str = "nginx";
const PEER: &str = "mcp-proxy";

pub(super) async fn measure(parts: &Parts, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let stage = Stage::set(parts).await?;
    memory::at_first(parts, &stage, extent, report).await?;
    matrix::measure(parts, &stage, extent, report).await?;
    events::measure(parts, &stage, extent, report).await?;
    memory::over_time(parts, &stage, extent, report).await
}

/// Calls what is aimed at, `connections` at once, at that rate or as fast as it goes.
async fn call(
    parts: &Parts,
    aim: &Aim,
    connections: usize,
    rate: Option<f64>,
    within: Duration,
) -> anyhow::Result<Summary> {
    let (launch, output) = parts.ourselves("load")?;
    let launch = aim.environment(launch);
    let launch = launch.args(["load", &aim.url, "--connections", &connections.to_string()]);
    complete(at_rate(launch, rate), within, &output).await
}

/// Publishes records beside the proxy.
async fn acknowledge(
    parts: &Parts,
    bytes: usize,
    in_flight: usize,
    rate: f64,
    within: Duration,
) -> anyhow::Result<Summary> {
    let (launch, output) = parts.ourselves("acknowledge")?;
    let launch = launch.args(["acknowledge", &parts.broker.bootstrap(), BARE]).args([
        "--bytes",
        &bytes.to_string(),
        "--in-flight",
        &in_flight.to_string(),
    ]);
    complete(at_rate(launch, Some(rate)), within, &output).await
}

fn at_rate(launch: Launch, rate: Option<f64>) -> Launch {
    match rate {
        Some(rate) => launch.args(["--rate", &rate.to_string()]),
        None => launch,
    }
}
