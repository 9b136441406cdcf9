//! The consumer is killed in every part of a batch's life.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tapedeck_dev::broker::BrokerKind;

use crate::group::remove_member;
use crate::loader::{Aim, Window};
use crate::oracle::judge;
use crate::stage::{CALLERS, Front, Scene, Stage, on_stage};

/// Kills that fall within a batch.
const KILLS: usize = 20;

/// Kills after which a window that no kill fell in is taken for unreachable.
const LIMIT: usize = 40;

#[test]
fn killed_in_every_window_the_consumer_loads_each_call_once_from_apache_kafka() -> anyhow::Result<()> {
    on_stage(async |stage| killed_in_every_window(stage, BrokerKind::Apache, "consumer_killed_apache").await)
}

#[test]
fn killed_in_every_window_the_consumer_loads_each_call_once_from_the_embedded_broker() -> anyhow::Result<()> {
    on_stage(async |stage| killed_in_every_window(stage, BrokerKind::Embedded, "consumer_killed_embedded").await)
}

async fn killed_in_every_window(stage: &Stage, kind: BrokerKind, name: &str) -> anyhow::Result<()> {
    let broker = stage.another_broker(kind).await?;
    let scene = Scene::set(stage, name, &broker, stage.clickhouse().await?).await?;
    let front = Front::start(stage, &scene, CALLERS).await?;
    // The embedded broker takes milliseconds to read a record: half of what Apache Kafka bears.
    let every = match kind {
        BrokerKind::Apache => 50,
        BrokerKind::Embedded => 100,
    };
    let load = front.load(4, Duration::from_millis(every))?;

    let mut fallen: BTreeMap<Window, usize> = BTreeMap::new();
    let within = |fallen: &BTreeMap<Window, usize>| Window::ALL.map(|window| fallen.get(&window).copied().unwrap_or(0));
    for number in 0.. {
        let counts = within(&fallen);
        if counts.iter().sum::<usize>() >= KILLS && counts.iter().all(|count| *count > 0) {
            break;
        }
        ensure!(
            number < LIMIT,
            "{LIMIT} kills, and not all windows were hit: {fallen:?}"
        );
        let consumer = scene.loader.start(Some(aim(number, counts)))?;
        let (status, trace) = consumer.ended().await?;
        ensure!(
            std::os::unix::process::ExitStatusExt::signal(&status) == Some(9),
            "the consumer was not killed, it ended with {status}:\n{}",
            trace.tail()
        );
        *fallen.entry(trace.window()).or_default() += 1;
        if kind == BrokerKind::Embedded {
            // Its session is long, and who joins before the dead member is missed gets no partition, then or later.
            let member = trace.member().context("the consumer had joined the group")?;
            remove_member(&scene.kafka.brokers, scene.loader.group(), member).await?;
        }
    }

    let calls = load.finish().await;
    let consumer = scene.loader.start(None)?;
    scene.settled().await?;
    ensure!(consumer.stop().await?.success(), "the consumer did not end well");
    print(
        &format!(
            "{kind}: the consumer was killed, with {} calls made meanwhile",
            calls.len()
        ),
        &fallen,
    )?;

    judge(&scene, &calls, &front.probe.echoes().await?).await?;
    Ok(())
}

/// Aims in turn at each window, at once and a little later, in the first batch and in later ones; in the end at windows
/// that are still empty.
fn aim(number: usize, counts: [usize; 4]) -> Aim {
    const PHASES: [&[&str]; 4] = [
        &["decoded"],
        &["inserting"],
        &["inserted", "publishing"],
        &["published"],
    ];
    let turn = number / PHASES.len();
    let empty = counts.iter().position(|count| *count == 0).filter(|_| number >= KILLS);
    let phases = PHASES[empty.unwrap_or(number % PHASES.len())];
    Aim {
        phase: phases[turn % phases.len()],
        nth: 1 + turn % 3,
        pause: Duration::from_millis([0, 1, 3][turn % 3]),
    }
}

/// Past the test harness, which hides what tests that pass print.
fn print(title: &str, fallen: &BTreeMap<Window, usize>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{title}")?;
    for (window, count) in fallen {
        let window = match window {
            Window::BetweenBatches => "between batches",
            Window::BeforeInsert => "before the insert",
            Window::InsertRunning => "while the insert ran",
            Window::InsertedNotPublished => "inserted, not published",
            Window::PublishedNotCommitted => "published, not committed",
        };
        writeln!(out, "  {window:<26}{count:>3} times")?;
    }
    Ok(())
}
