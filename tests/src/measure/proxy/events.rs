//! How much later events come.

use std::collections::BTreeMap;

use super::contenders::Stage;
use super::{BEST_EFFORT, DIRECT, acknowledge, complete};
use crate::measure::answers::KIBIBYTE;
use crate::measure::parts::{Parts, note};
use crate::measure::report::median;
use crate::measure::target::{TICK, TICKS};
use crate::measure::{Extent, Report, Summary};

/// Streams at once.
const STREAMS: [usize; 2] = [1, 32];

pub(super) async fn measure(parts: &Parts, stage: &Stage, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    for streams in STREAMS {
        note(&format!("events in {streams} streams at once"));
        let mut delays = BTreeMap::<&str, Vec<Summary>>::new();
        let mut acknowledged = Vec::new();
        for _ in 0..extent.rounds {
            for contender in stage.contenders.iter().filter(|one| one.passes_events()) {
                let (launch, output) = parts.ourselves("events")?;
                let aim = contender.aim(TICKS);
                let launch = aim.environment(launch).args(["delays", &aim.url]);
                let launch = launch.args(["--streams", &streams.to_string()]);
                let heard = complete(launch, extent.within / 2, &output).await?;
                delays.entry(contender.name).or_default().push(heard);
            }
            let rate = streams as f64 / TICK.as_secs_f64();
            acknowledged.push(acknowledge(parts, KIBIBYTE, streams, rate, extent.within / 2).await?);
        }
        let of = |name: &str| {
            let rounds = delays.get(name)?;
            Some(median(rounds.iter().map(|round| round.p50).collect()) / 1000.0)
        };
        let direct = of(DIRECT).unwrap_or_default();
        let acknowledgement = median(acknowledged.iter().map(|round| round.p50).collect()) / 1000.0;
        let measure = format!("delay of an event, {streams} streams at once, p50");
        report.add(&measure, DIRECT, direct, "ms");
        let measure = format!("added delay of an event, {streams} streams at once, p50");
        report.add(&measure, "an acknowledgement alone", acknowledgement, "ms");
        for contender in stage.contenders.iter().filter(|one| one.name != DIRECT) {
            let Some(added) = of(contender.name).map(|delay| delay - direct) else {
                continue;
            };
            let waits = contender.is_ours() && contender.name != BEST_EFFORT;
            report.add_bounded(&measure, contender.name, added, "ms", waits.then_some(acknowledgement));
        }
    }
    Ok(())
}
