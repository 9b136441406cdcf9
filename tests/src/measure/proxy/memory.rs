//! What the proxy holds: with idle streams, over an answer of 1 GiB, over ten minutes.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};

use super::contenders::Stage;
use super::{REQUIRED, SLACK, call};
use crate::measure::answers::Answer;
use crate::measure::load::HELD;
use crate::measure::parts::{Parts, note};
use crate::measure::target::{PART, TICKS, WHOLE};
use crate::measure::usage::resident_memory;
use crate::measure::{Extent, Report};

/// For an idle stream, both of its connections, in KiB.
const IDLE_STREAM: f64 = 32.0;
/// What may come on top while an answer passes that is larger than that, in MiB: parts of it that await their
/// acknowledgement here and in librdkafka.
const LARGE_ANSWER: f64 = 32.0;
/// What may come on top in ten minutes, in MiB.
const SOAK: f64 = 8.0;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);
const SOAK_RATE: f64 = 1_000.0;
const SOAK_CALLERS: usize = 32;

/// Before anything else: what was held for other things and is free again would hide what these take.
pub(super) async fn at_first(parts: &Parts, stage: &Stage, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let process = stage.proxy.service().child().id();
    let required = stage.contender(REQUIRED).context("it is one of them")?;
    // What every process holds once it has served.
    call(parts, &required.aim(&Answer::SMALL.place()), 1, None, LOOK * 10).await?;

    note(&format!("{} idle streams", extent.streams));
    let before = resident_memory(process)?;
    let (launch, output) = parts.ourselves("held")?;
    let aim = required.aim(TICKS);
    let launch = aim.environment(launch).args(["hold", &aim.url]);
    let launch = launch.args(["--streams", &extent.streams.to_string(), "--milliseconds", "600000"]);
    let holding = launch.start()?;
    let held = async || {
        let said = fs::read_to_string(&output).map_err(|error| error.to_string())?;
        said.contains(HELD)
            .then_some(())
            .ok_or_else(|| "streams are being opened".to_owned())
    };
    holding.ready(2 * SLACK, held).await?;
    let with = resident_memory(process)?;
    drop(holding);
    let measure = format!("memory for an idle stream, of {}", extent.streams);
    let each = (with - before) * 1024.0 / extent.streams as f64;
    report.add_bounded(&measure, "ours", each, "KiB", Some(IDLE_STREAM));

    let (place, title) = if extent.large {
        (WHOLE, "1 GiB")
    } else {
        (PART, "64 MiB")
    };
    note(&format!("an answer of {title}"));
    let before = resident_memory(process)?;
    let (launch, _) = parts.ourselves("large")?;
    let aim = required.aim(place);
    let reading = aim.environment(launch).args(["read", &aim.url]).start()?;
    let (began, mut most) = (Instant::now(), before);
    let status = loop {
        if let Some(status) = reading.exited(Duration::ZERO).await {
            break status;
        }
        anyhow::ensure!(began.elapsed() < 10 * SLACK, "the answer does not end");
        most = most.max(resident_memory(process)?);
        sleep(LOOK).await;
    };
    anyhow::ensure!(status.success(), "the answer was not read: {}", reading.log_tail());
    let measure = format!("memory over an answer of {title}");
    report.add(&measure, "before", before, "MiB");
    report.add_bounded(&measure, "at most", most, "MiB", Some(before + LARGE_ANSWER));
    Ok(())
}

/// After everything else.
pub(super) async fn over_time(parts: &Parts, stage: &Stage, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let process = stage.proxy.service().child().id();
    let required = stage.contender(REQUIRED).context("it is one of them")?;
    if let Some(soak) = extent.soak {
        note(&format!("{} minutes of calls", soak.as_secs() / 60));
        let aim = required.aim(&Answer::SMALL.place());
        // What is kept for good is kept by then.
        call(parts, &aim, SOAK_CALLERS, Some(SOAK_RATE), soak / 10).await?;
        let before = resident_memory(process)?;
        call(parts, &aim, SOAK_CALLERS, Some(SOAK_RATE), soak).await?;
        let after = resident_memory(process)?;
        let measure = format!("memory over {} minutes of calls", soak.as_secs() / 60);
        report.add(&measure, "before", before, "MiB");
        report.add_bounded(&measure, "after", after, "MiB", Some(before + SOAK));
    }
    Ok(())
}
