//! Streams in which nothing happens.

use std::io::Write as _;
use std::time::Duration;

use http::Method;
use http_body_util::BodyExt as _;
use tokio::task::JoinSet;
use url::Url;

use super::Client;

/// What is printed once all streams are open.
pub const HELD: &str = "held";

/// Streams that are opened at once: fewer than a listener's queue holds.
const AT_ONCE: usize = 64;

/// Opens so many streams, each on a connection of its own, says so on standard output, and holds them for so long.
///
/// # Errors
/// A stream that was not opened.
pub fn hold(url: &Url, streams: usize, within: Duration) -> anyhow::Result<()> {
    let client = Client::of(url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut held = Vec::with_capacity(streams);
        while held.len() < streams {
            let mut opening = JoinSet::new();
            for _ in 0..AT_ONCE.min(streams - held.len()) {
                let client = client.clone();
                opening.spawn(async move {
                    let mut sender = client.connect().await?;
                    let mut body = client.ask(&mut sender, Method::GET).await?.into_body();
                    // Its first bytes say that it is open all the way.
                    body.frame().await.transpose()?;
                    anyhow::Ok((sender, body))
                });
            }
            while let Some(opened) = opening.join_next().await {
                held.push(opened??);
            }
        }
        writeln!(std::io::stdout(), "{HELD}")?;
        tokio::time::sleep(within).await;
        Ok(())
    })
}
