//! How long events are under way.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http::Method;
use http_body_util::BodyExt as _;
use tokio::task::JoinSet;
use url::Url;

use super::Client;
use crate::measure::Summary;
use crate::measure::target::{STAMP, TICK_COUNT, micros};

/// Listens to so many answers at once, again and again for so long, whose events say when they were sent; the time from
/// then to when each was here.
///
/// # Errors
/// An answer that broke off, or came without events.
pub fn delays(url: &Url, streams: usize, within: Duration) -> anyhow::Result<Summary> {
    let client = Client::of(url)?;
    let until = Instant::now() + within;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut listeners = JoinSet::new();
        for _ in 0..streams {
            listeners.spawn(listen(client.clone(), until));
        }
        let mut delays = Vec::new();
        while let Some(heard) = listeners.join_next().await {
            delays.extend(heard??);
        }
        Ok(Summary::of(delays, within, 0))
    })
}

async fn listen(client: Client, until: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut sender = client.connect().await?;
    let mut delays = Vec::new();
    while Instant::now() < until {
        let mut body = client.ask(&mut sender, Method::POST).await?.into_body();
        let mut text = String::new();
        let mut count = 0;
        while let Some(frame) = body.frame().await {
            let now = micros();
            text.push_str(std::str::from_utf8(&frame?.into_data().unwrap_or_default())?);
            while let Some((event, rest)) = text.split_once("\n\n") {
                if let Some((_, stamp)) = event.split_once(STAMP) {
                    let digits = stamp.split('"').next().unwrap_or_default();
                    let sent: u64 = digits.parse().context("an event does not say when it was sent")?;
                    delays.push(Duration::from_micros(now.saturating_sub(sent)));
                    count += 1;
                }
                text = rest.to_owned();
            }
        }
        ensure!(count == TICK_COUNT, "an answer had {count} events");
        sender.ready().await?;
    }
    Ok(delays)
}
