//! A session of more than 100,000 frames, as the player asks for it.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use uuid::Uuid;

use super::answered::Times;
use super::stage::Stage;
use crate::measure::parts::note;
use crate::measure::{Extent, Report};

/// Milliseconds for the questions of the first page.
const PAGE: f64 = 100.0;
/// Milliseconds until the first frames are there, the session itself included.
const FIRST: f64 = 150.0;
/// Milliseconds until the frames at any point are there.
const SCRUB: f64 = 100.0;
/// Frames on a page.
const FRAMES: u64 = 200;

/// What ClickHouse takes for the first page.
pub(super) async fn first_page(stage: &Stage, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    note("first pages of long sessions");
    let mut times = Times::default();
    for number in 0..extent.questions {
        let session = long(stage, number);
        let path = format!("/sessions/{session}/frames?limit={FRAMES}");
        let answered = stage.administrator().ask(&path).await?;
        let frames = answered.body["items"].as_array().map_or(0, Vec::len) as u64;
        ensure!(frames == FRAMES, "{frames} frames on the first page");
        times.add(answered.questions);
    }
    times.report("first page of 100,000 frames", Some(PAGE), report)
}

/// What people wait for.
pub(super) async fn measure(stage: &Stage, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    note("long sessions are played");
    let person = stage.administrator();
    let (mut first, mut scrub, mut outline) = (Times::default(), Times::default(), Times::default());
    for number in 0..extent.questions {
        let session = long(stage, number);
        let begun = Instant::now();
        let one = person.ask(&format!("/sessions/{session}")).await?;
        person
            .ask(&format!("/sessions/{session}/frames?limit={FRAMES}"))
            .await?;
        first.add(begun.elapsed().as_secs_f64() * 1e3);
        let total = one.body["frames"].as_u64().context("frames of a session")?;
        // Anywhere, and never at the same place twice.
        let after = (number as u64 * 7_919 * 13) % (total - FRAMES);
        let answered = person
            .ask(&format!("/sessions/{session}/frames?limit={FRAMES}&after={after}"))
            .await?;
        ensure!(
            answered.body["items"][0]["session_seq"] == after + 1,
            "the frame after {after} is another"
        );
        scrub.add(answered.whole);
        if number < 10 {
            outline.add(person.ask(&format!("/sessions/{session}/outline")).await?.whole);
        }
    }
    first.report("first frames of 100,000", Some(FIRST), report)?;
    scrub.report("scrub to any point", Some(SCRUB), report)?;
    outline.report("outline of 100,000 frames", None, report)
}

fn long(stage: &Stage, number: usize) -> Uuid {
    let long = &stage.archive.long;
    long[number % long.len()]
}
