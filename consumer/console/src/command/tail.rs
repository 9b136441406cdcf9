//! `tapedeck tail`: what happens now.

mod events;

use std::io::{self, Write as _};

use anyhow::Context as _;
use serde_json::Value;

use super::api::{Api, broke_off};
use super::arguments::Tail;
use super::{json, sessions, table};
use crate::serve::{Frame, Session};
use crate::show::{self, Shown};
pub(super) use events::Events;

pub(super) async fn tail(api: &Api, what: &Tail) -> anyhow::Result<()> {
    let mut follower = Follower {
        is_json: what.json,
        shown: Shown::default(),
    };
    let (path, mut query) = match what.session {
        Some(session) => {
            if !what.json {
                show::heading(&api.session(session).await?.heading(), &mut io::stdout())?;
            }
            (format!("/api/v1/sessions/{session}/live"), Vec::new())
        }
        None => ("/api/v1/live".to_owned(), Vec::new()),
    };
    query.extend(what.after.map(|after| ("after", after.to_string())));
    let mut response = api.get(&path, &query, "text/event-stream").await?;
    let mut events = Events::default();
    loop {
        let chunk = tokio::select! {
            chunk = response.chunk() => chunk.map_err(|error| broke_off(&error.without_url()))?,
            ended = tokio::signal::ctrl_c() => return Ok(ended?),
        };
        let Some(chunk) = chunk else { return Ok(()) };
        for (name, data) in events.add(&chunk)? {
            follower.show(&name, &data)?;
        }
    }
}

struct Follower {
    is_json: bool,
    shown: Shown,
}

impl Follower {
    fn show(&mut self, name: &str, data: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match name {
            _ if self.is_json => {
                let value: Value = serde_json::from_str(data).context("an event")?;
                json::line(&value, &mut out)?;
            }
            "frame" => {
                let frame: Frame = serde_json::from_str(data).context("an event")?;
                self.shown.frame(&frame.view(), false, &mut out)?;
            }
            "session" => {
                let session: Session = serde_json::from_str(data).context("an event")?;
                table::session(&sessions::line(&session), &mut out)?;
            }
            _ => {}
        }
        out.flush()?;
        Ok(())
    }
}
