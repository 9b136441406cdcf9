//! `tapedeck replay`: one session, printed, or played where somebody sits at a terminal.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

use super::api::Api;
use super::arguments::Replay;
use super::failure::Failure;
use super::output::Output;
use super::{against, json, player};
use crate::show::{self, Shown};

/// Frames that are asked for at once.
const PAGE: u32 = 500;
/// Bytes of each payload where only its first line is shown.
const SHORT: u64 = 2048;
/// Nothing that was recorded is longer.
const WHOLE: u64 = 16 << 20;

pub(super) async fn replay(api: &Api, what: &Replay, no_pager: bool) -> anyhow::Result<ExitCode> {
    if let Some(url) = &what.against {
        return against::run(api, what, url).await;
    }
    let is_watched = io::stdout().is_terminal() && io::stdin().is_terminal();
    let session = match api.session(what.session).await {
        Err(error) if matches!(error.downcast_ref(), Some(Failure::NotFound(_))) => {
            return Err(Failure::no_session(what.session).into());
        }
        session => session?,
    };
    if is_watched && !what.json && !what.print && !what.full {
        player::play(api, &session, what.speed.unwrap_or(1.0)).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = Output::new(what.speed.is_none() && !what.json && !no_pager)?;
    let mut shown = Shown::default();
    let mut pace: Option<Pace> = None;
    if !what.json {
        show::heading(&session.heading(), &mut out)?;
    }
    let payload_bytes = if what.json || what.full { WHOLE } else { SHORT };
    let mut after = Some(0);
    while let Some(place) = after {
        let page = api.frames(what.session, place, PAGE, payload_bytes).await?;
        after = page.next;
        for frame in page.items {
            if let Some(speed) = what.speed {
                out.flush()?;
                let time = frame.time.microseconds();
                pace.get_or_insert_with(|| Pace::new(time, speed)).wait_for(time).await;
            }
            match what.json {
                true => json::line(&frame, &mut out)?,
                false => shown.frame(&frame.view(), what.full, &mut out)?,
            }
        }
    }
    if !what.json {
        shown.end(&mut out)?;
    }
    out.end().await?;
    Ok(ExitCode::SUCCESS)
}

/// Frames at the distance at which they were recorded, divided by the speed.
pub(super) struct Pace {
    begun: Instant,
    first: i64,
    speed: f64,
}

impl Pace {
    pub(super) fn new(first: i64, speed: f64) -> Self {
        Self {
            begun: Instant::now(),
            first,
            speed,
        }
    }

    pub(super) async fn wait_for(&self, time: i64) {
        let microseconds = (time - self.first).max(0) as f64 / self.speed;
        tokio::time::sleep_until(self.begun + Duration::from_secs_f64(microseconds / 1e6)).await;
    }
}
