//! Calls: every answer, at every concurrency, by every way.

use std::collections::BTreeMap;
use std::time::Duration;

use super::contenders::{Contender, Stage};
use super::{BEST_EFFORT, DIRECT, NGINX, REQUIRED, SPOOLED, acknowledge, call};
use crate::measure::answers::{Answer, KIBIBYTE};
use crate::measure::parts::{Parts, note};
use crate::measure::report::median;
use crate::measure::usage::resident_memory;
use crate::measure::{Extent, Report, Summary};
use crate::sample::Recording;

/// Calls at once.
const CONCURRENCY: [usize; 3] = [1, 32, 256];

/// Processor time of a proxy that records everything, as a multiple of nginx's, where many calls are under way.
const BEST_EFFORT_TIMES_NGINX: f64 = 2.4;
const REQUIRED_TIMES_NGINX: f64 = 5.0;
/// Latency that may be added beside nginx's, in microseconds.
const BESIDE_NGINX: f64 = 150.0;
/// How much longer than two acknowledgements and nginx a call may take that waits for both.
const TIMES_ACKNOWLEDGED: f64 = 1.2;

/// What is compared: an answer, and how many calls are under way.
type Cell = (usize, usize);

/// What a contender gave, round after round.
#[derive(Default)]
struct Turns {
    fast: Vec<Summary>,
    paced: Vec<Summary>,
    /// Microseconds a request.
    processor: Vec<f64>,
}

#[derive(Default)]
struct Measured {
    turns: BTreeMap<(Cell, &'static str), Turns>,
    /// By bytes and concurrency.
    acknowledged: BTreeMap<(usize, usize), Vec<Summary>>,
}

pub(super) async fn measure(parts: &Parts, stage: &Stage, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let mut measured = Measured::default();
    // Each of many cells gets its share of the time that a single figure would have.
    let within = extent.within / 4;
    for round in 1..=extent.rounds {
        for (index, answer) in Answer::ALL.into_iter().enumerate() {
            for concurrency in CONCURRENCY {
                note(&format!(
                    "round {round} of {}: {}, {concurrency} at once",
                    extent.rounds,
                    answer.title()
                ));
                for contender in &stage.contenders {
                    let turns = measured
                        .turns
                        .entry(((index, concurrency), contender.name))
                        .or_default();
                    turns.take(parts, contender, answer, concurrency, within).await?;
                }
            }
        }
        for (bytes, concurrency) in [KIBIBYTE, 64 * KIBIBYTE]
            .into_iter()
            .flat_map(|bytes| CONCURRENCY.map(|concurrency| (bytes, concurrency)))
        {
            note(&format!(
                "round {round} of {}: acknowledgements of {} KiB, {concurrency} at once",
                extent.rounds,
                bytes / KIBIBYTE
            ));
            // A call is two frames.
            let rate = 2.0 * rate(bytes, concurrency);
            let acknowledged = acknowledge(parts, frame_of(bytes), concurrency, rate, within).await?;
            let all = measured.acknowledged.entry((bytes, concurrency)).or_default();
            all.push(acknowledged);
        }
    }
    for (index, answer) in Answer::ALL.into_iter().enumerate() {
        for concurrency in CONCURRENCY {
            measured.report((index, concurrency), answer, stage, report);
        }
    }
    let memory = resident_memory(stage.proxy.service().child().id())?;
    report.add("memory after all calls", "ours", memory, "MiB");
    Ok(())
}

/// Calls a second at which latencies are compared: what the slowest contender can do on two busy cores.
fn rate(bytes: usize, concurrency: usize) -> f64 {
    match (concurrency, bytes > KIBIBYTE) {
        (1, _) => 100.0,
        (_, false) => 1_500.0,
        (_, true) => 400.0,
    }
}

/// Bytes of the record of an answer with so many.
fn frame_of(bytes: usize) -> usize {
    let [_, (_, answer)] = Recording::of("caller").call(bytes);
    answer.len()
}

impl Turns {
    async fn take(
        &mut self,
        parts: &Parts,
        contender: &Contender,
        answer: Answer,
        concurrency: usize,
        within: Duration,
    ) -> anyhow::Result<()> {
        let aim = contender.aim(&answer.place());
        let before = contender.used()?;
        let fast = call(parts, &aim, concurrency, None, within).await?;
        let used = contender.used()? - before;
        self.processor.push(used.as_secs_f64() * 1e6 / fast.requests as f64);
        self.fast.push(fast);
        let rate = rate(answer.bytes, concurrency);
        self.paced
            .push(call(parts, &aim, concurrency, Some(rate), within).await?);
        Ok(())
    }

    fn paced(&self, value: fn(&Summary) -> f64) -> f64 {
        median(self.paced.iter().map(value).collect())
    }
}

impl Measured {
    fn report(&self, cell: Cell, answer: Answer, stage: &Stage, report: &mut Report) {
        let concurrency = cell.1;
        let title = format!("{}, {concurrency} at once", answer.title());
        let of = |name: &'static str| self.turns.get(&(cell, name));
        let names: Vec<&'static str> = stage.contenders.iter().map(|one| one.name).collect();
        let between: Vec<&'static str> = names.iter().copied().filter(|name| *name != DIRECT).collect();

        let measure = format!("calls as fast as they go, {title}");
        for turns in names.iter().filter_map(|name| Some((*name, of(name)?))) {
            let rates = turns.1.fast.iter().map(|fast| fast.per_second);
            report.add(&measure, turns.0, median(rates.collect()), "1/s");
        }

        let measure = format!("processor time per call, {title}");
        let processor = |name| of(name).map(|turns| median(turns.processor.clone()));
        for name in &between {
            let times = match *name {
                BEST_EFFORT => Some(BEST_EFFORT_TIMES_NGINX),
                REQUIRED | SPOOLED => Some(REQUIRED_TIMES_NGINX),
                _ => None,
            };
            let goal = times
                .filter(|_| concurrency >= 32)
                .and_then(|times| Some(times * processor(NGINX)?));
            let used = processor(name).unwrap_or_default();
            report.add_bounded(&measure, name, used, "µs", goal);
        }

        let rate = rate(answer.bytes, concurrency);
        let acknowledged = |value: fn(&Summary) -> f64| {
            let of = |bytes| {
                let rounds = self.acknowledged.get(&(bytes, concurrency))?;
                Some(median(rounds.iter().map(value).collect()))
            };
            Some(of(KIBIBYTE)? + of(answer.bytes)?)
        };
        let mut latencies = |percentile: &str, value: fn(&Summary) -> f64| {
            let direct = of(DIRECT).map_or(0.0, |turns| turns.paced(value));
            let measure = format!("latency at {rate} calls/s, {title}, {percentile}");
            report.add(&measure, DIRECT, direct / 1000.0, "ms");
            let measure = format!("added at {rate} calls/s, {title}, {percentile}");
            let added = |name| Some(of(name)?.paced(value) - direct);
            // Less than nothing is the noise of a machine that does something else, too.
            let of_nginx = added(NGINX).map(|nginx| nginx.max(0.0));
            for name in &between {
                let goal = match *name {
                    BEST_EFFORT => of_nginx.map(|nginx| nginx + BESIDE_NGINX),
                    REQUIRED if percentile == "p50" => acknowledged(value)
                        .zip(of_nginx)
                        .map(|(acknowledged, nginx)| TIMES_ACKNOWLEDGED * (acknowledged + nginx)),
                    _ => None,
                };
                let added = added(name).unwrap_or_default();
                report.add_bounded(&measure, name, added / 1000.0, "ms", goal.map(|goal| goal / 1000.0));
            }
            if let Some(both) = acknowledged(value) {
                report.add(&measure, "two acknowledgements alone", both / 1000.0, "ms");
            }
        };
        latencies("p50", |summary| summary.p50);
        latencies("p99", |summary| summary.p99);
    }
}
