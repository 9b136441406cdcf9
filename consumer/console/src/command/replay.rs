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
use crate::serve::{Frame, Session};
use crate::show::{self, Shown};

/// Frames that are asked for at once.
const PAGE: u32 = 500;
/// Bytes of each payload where only its first line is shown.
const SHORT: u64 = 2048;
/// Nothing that was recorded is longer.
pub(super) const WHOLE: u64 = 16 << 20;

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
    let mut printer = Printer::begin(what, &session, &mut out)?;
    let payload_bytes = if what.json || what.full { WHOLE } else { SHORT };
    let mut after = Some(0);
    while let Some(place) = after {
        let page = api.frames(what.session, place, PAGE, payload_bytes).await?;
        after = page.next;
        for frame in page.items {
            printer.frame(&frame, &mut out).await?;
        }
    }
    printer.end(&mut out)?;
    out.end().await?;
    Ok(ExitCode::SUCCESS)
}

/// Frames as they are printed, one after the other, wherever they come from.
pub(super) struct Printer<'a> {
    what: &'a Replay,
    shown: Shown,
    pace: Option<Pace>,
}

impl<'a> Printer<'a> {
    pub(super) fn begin(what: &'a Replay, session: &Session, out: &mut impl Write) -> anyhow::Result<Self> {
        if !what.json {
            show::heading(&session.heading(), out)?;
        }
        let (shown, pace) = (Shown::default(), None);
        Ok(Self { what, shown, pace })
    }

    /// Waits for the frame's moment, if it is to have one, and prints it.
    pub(super) async fn frame(&mut self, frame: &Frame, out: &mut impl Write) -> anyhow::Result<()> {
        if let Some(speed) = self.what.speed {
            out.flush()?;
            let time = frame.time.microseconds();
            self.pace
                .get_or_insert_with(|| Pace::new(time, speed))
                .wait_for(time)
                .await;
        }
        match self.what.json {
            true => json::line(frame, out),
            false => Ok(self.shown.frame(&frame.view(), self.what.full, out)?),
        }
    }

    pub(super) fn end(&self, out: &mut impl Write) -> anyhow::Result<()> {
        match self.what.json {
            true => Ok(()),
            false => Ok(self.shown.end(out)?),
        }
    }
}

/// Frames at the distance at which they were recorded, divided by the speed.
struct Pace {
    begun: Instant,
    first: i64,
    speed: f64,
}

impl Pace {
    fn new(first: i64, speed: f64) -> Self {
        Self {
            begun: Instant::now(),
            first,
            speed,
        }
    }

    async fn wait_for(&self, time: i64) {
        let microseconds = (time - self.first).max(0) as f64 / self.speed;
        tokio::time::sleep_until(self.begun + Duration::from_secs_f64(microseconds / 1e6)).await;
    }
}
