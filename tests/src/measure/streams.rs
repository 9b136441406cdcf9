//! Event streams on which nothing happens: what each costs the proxy.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tapedeck_dev::ports;
use tokio::net::TcpStream;

use super::Report;
use super::listeners::{Heard, SPEAK};
use super::load::TOKEN;
use super::parts::{Parts, note};
use super::usage::{processor_time, resident_memory};
use crate::until::within;

/// With so many the proxy is to have less than [`GOAL`]. Each takes it two of a process's files.
const STREAMS: usize = 8_000;
/// To see whether it works.
const FEW: usize = 500;
/// MiB, all of the proxy.
const GOAL: f64 = 280.0;
/// KiB for each stream.
const GOAL_EACH: f64 = 32.0;
/// How long the streams are silent before memory is looked at.
const SILENCE: Duration = Duration::from_secs(10);
/// Longer than all of it takes.
const PATIENCE: Duration = Duration::from_secs(180);

const PREFIX: &str = "measure-streams";

/// Opens streams through the proxy, lets them be silent, and then wakes all of them.
///
/// # Errors
/// When a stream does not open, ends, or does not carry the event that its target sends in the end.
pub async fn streams(short: bool) -> anyhow::Result<Report> {
    let count = if short { FEW } else { STREAMS };
    let parts = Parts::start().await?;
    let kafka = parts.kafka(PREFIX);
    // It makes the topics.
    let consumer = parts.consumer(&kafka, &parts.database("measure_streams"), 4).await?;
    consumer.service().stop().await;

    let address = format!("127.0.0.1:{}", ports::free()?);
    let (target, _) = parts.ourselves("silent")?;
    let target = target.args(["silent", &address]).start()?;
    let listens = async || {
        let connected = TcpStream::connect(&address).await;
        connected.map(drop).map_err(|error| error.to_string())
    };
    target.ready(PATIENCE, listens).await?;
    let proxy = parts
        .proxy(parts.kafka(PREFIX), &format!("http://{address}/mcp"))
        .await?;
    let through = proxy.endpoint("target");
    let machine = parts.identity.machines().first().context("there is a machine")?;
    let token = parts.identity.machine_token(machine, &through).await?;
    let process = proxy.service().child().id();

    let before = resident_memory(process)?;
    note(&format!("streams: {count} are opened"));
    let (listeners, output) = parts.ourselves("listeners")?;
    let listeners = listeners
        .env(TOKEN, token.as_str())
        .args(["listeners", &through, "--streams", &count.to_string()])
        .start()?;
    within(PATIENCE, async || {
        Ok(match proxy.service().metric("tapedeck_proxy_streams").await? {
            Some(open) if open == count.to_string() => Ok(()),
            open => Err(format!("{open:?} of {count} streams are open")),
        })
    })
    .await?;
    let used = processor_time(process)?;
    tokio::time::sleep(SILENCE).await;
    let used = processor_time(process)? - used;
    let silent = resident_memory(process)?;

    let woken = reqwest::Client::new()
        .post(format!("http://{address}{SPEAK}"))
        .send()
        .await?;
    ensure!(woken.status().is_success(), "the target does not speak");
    let ended = listeners.exited(PATIENCE).await.context("the listeners do not end")?;
    ensure!(
        ended.success(),
        "the listeners ended with {ended}:\n{}",
        listeners.log_tail()
    );
    let heard: Heard = serde_json::from_str(&fs::read_to_string(output)?)?;
    ensure!(
        heard.events == count,
        "{} of {count} streams carried their event",
        heard.events
    );

    let mut report = Report::default();
    let all = format!("memory with {count} idle streams");
    report.add("memory without streams", "proxy", before, "MiB");
    match short {
        true => report.add(&all, "proxy", silent, "MiB"),
        false => report.add_bounded(&all, "proxy", silent, "MiB", Some(GOAL)),
    }
    let each = (silent - before) * 1024.0 / count as f64;
    report.add_bounded("memory of each", "proxy", each, "KiB", Some(GOAL_EACH));
    let idle = used.as_secs_f64() / SILENCE.as_secs_f64() * 100.0;
    report.add("processor while they are idle", "proxy", idle, "% of a core");
    report.add(
        "memory after each has carried an event",
        "proxy",
        resident_memory(process)?,
        "MiB",
    );
    Ok(report)
}
