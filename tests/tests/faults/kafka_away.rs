//! Kafka goes away under calls, in each way to record, and comes back.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tapedeck_dev::broker::{Broker, BrokerKind};
use tapedeck_schemas::Kind;
use tapedeck_tests::Tape;
use tapedeck_tests::faults::judge::judge;
use tapedeck_tests::faults::load::{Call, Load, Seen};
use tapedeck_tests::faults::stage::{CALLERS, Front, Scene, Stage, on_stage};
use uuid::Uuid;

/// How many seconds Kafka is away; 15 without it.
const SECONDS: &str = "TAPEDECK_AWAY_SECONDS";

#[test]
fn without_kafka_required_calls_are_refused_and_none_is_lost() -> anyhow::Result<()> {
    on_stage(async |stage| {
        let broker = stage.another_broker(BrokerKind::Apache).await?;
        let scene = Scene::set(stage, "away_required", &broker, stage.clickhouse().await?).await?;
        let front = Front::start(stage, &scene, CALLERS).await?;
        let load = front.load(8, Duration::from_millis(25))?;
        load.more_answers(100).await?;
        broker.kill();
        // Whatever was under way when it went is over then: each client has one call at a time.
        load.more_failures(16).await?;
        let answered = load.counts().answered;
        away().await?;
        ensure!(
            load.counts().answered == answered,
            "a call was answered without its record"
        );
        back(&broker, &front, &load).await?;

        let calls = front.emptied(&scene, load).await?;
        ensure!(calls.iter().any(Call::is_unavailable), "no call was refused");
        judge(&scene, &calls, &front.probe.echoes().await?).await?;
        Ok(())
    })
}

#[test]
fn without_kafka_spooled_calls_go_on_and_none_is_lost() -> anyhow::Result<()> {
    on_stage(async |stage| {
        let broker = stage.another_broker(BrokerKind::Apache).await?;
        let (scene, front, calls) = ridden_out(stage, &broker, "away_spooled", "spooled").await?;
        judge(&scene, &calls, &front.probe.echoes().await?).await?;
        Ok(())
    })
}

#[test]
fn without_kafka_best_effort_calls_go_on_and_what_is_lost_is_counted() -> anyhow::Result<()> {
    on_stage(async |stage| {
        let broker = stage.another_broker(BrokerKind::Apache).await?;
        let (scene, front, calls) = ridden_out(stage, &broker, "away_best_effort", "best_effort").await?;
        let tape = Tape::read(&scene.kafka, &scene.database).await?;
        tape.verify()?;
        judge_losses(&tape, &calls, &front.probe.echoes().await?)
    })
}

/// Kafka goes and comes back under calls that are recorded in a way which lets all of them go on.
async fn ridden_out(
    stage: &Stage,
    broker: &Broker,
    name: &str,
    record: &str,
) -> anyhow::Result<(Scene, Front, Vec<Call>)> {
    let scene = Scene::set(stage, name, broker, stage.clickhouse().await?).await?;
    let front = Front::recording(stage, &scene, CALLERS, record).await?;
    let load = front.load(8, Duration::from_millis(25))?;
    load.more_answers(100).await?;
    broker.kill();
    load.more_answers(200).await?;
    away().await?;
    load.more_answers(100).await?;
    back(broker, &front, &load).await?;

    let calls = front.emptied(&scene, load).await?;
    if let Some(call) = calls.iter().find(|call| !matches!(call.seen, Seen::Answered(_))) {
        bail!("“{}” was not answered: {}", call.text, call.seen);
    }
    Ok((scene, front, calls))
}

/// As long as the fault lasts.
async fn away() -> anyhow::Result<()> {
    let seconds = match std::env::var(SECONDS) {
        Ok(seconds) => seconds
            .parse()
            .with_context(|| format!("{SECONDS} is a number of seconds"))?,
        Err(_) => 15,
    };
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok(())
}

async fn back(broker: &Broker, front: &Front, load: &Load) -> anyhow::Result<()> {
    broker.restart().await?;
    front.proxy.service().ready().await?;
    load.more_answers(100).await
}

/// What an answered call has not on record is counted: by gap frames, or by a segment's opener that names it as lost. All
/// of it, and nothing else.
fn judge_losses(tape: &Tape, calls: &[Call], received: &[String]) -> anyhow::Result<()> {
    let mut present = HashSet::new();
    let mut on_record: BTreeMap<&[u8], (usize, usize)> = BTreeMap::new();
    let mut exchanges: BTreeMap<Uuid, &[u8]> = BTreeMap::new();
    for row in tape
        .rows
        .iter()
        .filter(|row| row.kind == "message" && row.direction == "to_target")
    {
        exchanges.insert(row.exchange_id, &row.payload.0);
        on_record.entry(&row.payload.0).or_default().0 += 1;
    }
    let answers = tape
        .rows
        .iter()
        .filter(|row| row.kind == "message" && row.direction == "to_client");
    let mut answered_only = 0_usize;
    for row in answers {
        match exchanges.get(&row.exchange_id) {
            Some(request) => on_record.entry(request).or_default().1 += 1,
            None => answered_only += 1,
        }
    }
    let mut missing = 0_usize;
    for call in calls {
        let (requests, answers) = on_record.get(call.request.as_ref()).copied().unwrap_or_default();
        ensure!(requests <= 1 && answers <= 1, "“{}” is on record twice", call.text);
        missing += 2 - requests - answers;
    }
    // An answer whose request is lost is found by nothing, but it is there.
    let missing = missing
        .checked_sub(answered_only)
        .context("there are answers that nobody asked for")?;
    let distinct: HashSet<&String> = received.iter().collect();
    ensure!(distinct.len() == received.len(), "a call was forwarded twice");
    ensure!(
        received.len() == calls.len(),
        "the target saw {} of {} calls",
        received.len(),
        calls.len()
    );

    let (mut gaps, mut named) = (0_usize, HashSet::new());
    for frame in tape.recorded.iter().map(|recorded| &recorded.frame) {
        let is_first = present.insert((frame.segment_id, frame.seq));
        if let Some(gap) = frame.gap.as_ref().filter(|_| is_first && frame.kind == Kind::Gap) {
            gaps += usize::try_from(gap.frames)?;
        }
        let previous = frame.segment.as_ref().and_then(|event| event.previous.as_ref());
        for previous in previous.into_iter() {
            named.extend(previous.lost.iter().map(|lost| (previous.segment_id, lost.seq)));
        }
    }
    let absent = named.difference(&present).count();
    ensure!(gaps > 0, "nothing was lost, so nothing was tried");
    // Openers and ends can be lost, too.
    ensure!(
        (gaps..=gaps + absent).contains(&missing),
        "{missing} messages are not on record; gaps count {gaps}, and openers name {absent} more"
    );
    Ok(())
}
