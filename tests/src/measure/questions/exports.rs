//! Exports: how fast frames come, and what the console holds of them meanwhile.

use std::time::Instant;

use anyhow::{Context as _, ensure};

use super::lists::between;
use super::stage::Stage;
use crate::measure::parts::note;
use crate::measure::report::median;
use crate::measure::usage::{processor_time, resident_memory};
use crate::measure::{Extent, Report};

/// Frames a second.
const RATE: f64 = 100_000.0;
/// MiB that the console may grow by once an export is under way: its buffers, whatever the export's length.
const GROWTH: f64 = 32.0;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// An export grows by so many bytes between two looks at the console's memory.
const LOOK: u64 = 64 << 20;

/// What one export gave.
struct Exported {
    frames: u64,
    bytes: u64,
    seconds: f64,
    /// MiB at the first look, and the most.
    memory: (f64, f64),
    /// Microseconds of the console's processor time a frame.
    processor: f64,
}

pub(super) async fn measure(stage: &Stage, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let mut sessions = Vec::new();
    for (number, session) in stage.archive.long.iter().enumerate() {
        note(&format!("exports: session {}", number + 1));
        sessions.push(export(stage, &format!("/sessions/{session}/export?format=jsonl")).await?);
    }
    let last = stage.archive.first_day + i64::from(stage.archive.days) * DAY;
    note(&format!("exports: {} days", extent.export_days));
    let days = between(last - i64::from(extent.export_days) * DAY, last);
    let days = export(stage, &format!("/export?format=jsonl{days}")).await?;

    let rate = |exported: &Exported| exported.frames as f64 / exported.seconds;
    let of_sessions = median(sessions.iter().map(rate).collect());
    let measure = "export to JSON lines";
    report.add_at_least(
        measure,
        "a session of 100,000 frames",
        of_sessions,
        "frames/s",
        Some(RATE),
    );
    report.add_at_least(measure, "sessions of days", rate(&days), "frames/s", Some(RATE));
    report.add("frames exported", "sessions of days", days.frames as f64, "");
    report.add(
        "bytes a frame",
        "sessions of days",
        days.bytes as f64 / days.frames as f64,
        "B",
    );
    report.add("processor time a frame", "console", days.processor, "µs");
    let growth = days.memory.1 - days.memory.0;
    report.add("memory of the console", "as an export begins", days.memory.0, "MiB");
    report.add_bounded("growth while it goes on", "console", growth, "MiB", Some(GROWTH));
    Ok(())
}

async fn export(stage: &Stage, path: &str) -> anyhow::Result<Exported> {
    let console = stage.console.id();
    let (begun, used) = (Instant::now(), processor_time(console)?);
    let mut answer = stage.administrator().begin(path).await?;
    let told = answer.headers().get("x-tapedeck-frames").cloned();
    let told: u64 = told
        .context("an export says how many frames it is")?
        .to_str()?
        .parse()?;
    let (mut frames, mut bytes, mut memory, mut looked) = (0, 0, None, 0);
    while let Some(piece) = answer.chunk().await? {
        frames += memchr::memchr_iter(b'\n', &piece).count() as u64;
        bytes += piece.len() as u64;
        if bytes >= looked {
            looked = bytes + LOOK;
            let now = resident_memory(console)?;
            let (first, most) = memory.unwrap_or((now, now));
            memory = Some((first, now.max(most)));
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(frames == told && frames > 0, "{frames} of {told} frames were exported");
    let processor = (processor_time(console)? - used).as_secs_f64() * 1e6 / frames as f64;
    Ok(Exported {
        frames,
        bytes,
        seconds,
        memory: memory.context("an export has bytes")?,
        processor,
    })
}
