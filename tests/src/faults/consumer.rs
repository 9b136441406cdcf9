//! What is done to consumers.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tapedeck_dev::broker::BrokerKind;

use super::Story;
use super::group::remove_member;
use super::judge::judge;
use super::loader::Watched;
use super::stage::{CALLERS, Front, Scene, Stage};
use super::trace::{Aim, Blow, Window};

/// The scene's partitions: who has taken over so many has them all.
const PARTITIONS: usize = 2;

/// `kill -9` in every part of a batch's life, `kills` times at least, until one has fallen in each.
///
/// # Errors
/// When a part does not start, a window is not hit in twice as many kills, or anything is lost or there twice.
pub async fn killed(stage: &Stage, kind: BrokerKind, name: &str, kills: usize) -> anyhow::Result<Story> {
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
        if counts.iter().sum::<usize>() >= kills && counts.iter().all(|count| *count > 0) {
            break;
        }
        ensure!(
            number < 2 * kills,
            "{number} kills, and not all windows were hit: {fallen:?}"
        );
        let consumer = scene.loader.start(Some(aim(number, kills, counts)))?;
        let (status, trace) = consumer.ended().await?;
        ensure!(
            status.signal() == Some(9),
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
    scene.load().await?;
    judge(&scene, &calls, &front.probe.echoes().await?).await?;
    Ok(Story {
        title: format!("{kind}: the consumer was killed"),
        times: fallen
            .into_iter()
            .map(|(window, times)| (window.title(), times))
            .collect(),
        calls: calls.len(),
    })
}

/// Aims in turn at each window, at once and a little later, in the first batch and in later ones; in the end at windows
/// that are still empty.
fn aim(number: usize, kills: usize, counts: [usize; 4]) -> Aim {
    const PHASES: [&[&str]; 4] = [
        &["decoded"],
        &["inserting"],
        &["inserted", "publishing"],
        &["published"],
    ];
    let turn = number / PHASES.len();
    let empty = counts.iter().position(|count| *count == 0).filter(|_| number >= kills);
    let phases = PHASES[empty.unwrap_or(number % PHASES.len())];
    Aim {
        blow: Blow::Kill,
        phase: phases[turn % phases.len()],
        nth: 1 + turn % 3,
        pause: Duration::from_millis([0, 1, 3][turn % 3]),
    }
}

/// A second consumer comes, and one of the two goes, `turns` times: it is told to stop, or killed, and the other takes over
/// what it had. On Apache Kafka.
///
/// # Errors
/// When a part does not start, a partition is not taken over, or anything is lost or there twice.
pub async fn rebalanced(stage: &Stage, name: &str, turns: usize) -> anyhow::Result<Story> {
    let scene = Scene::set(stage, name, stage.broker().await?, stage.clickhouse().await?).await?;
    let front = Front::start(stage, &scene, CALLERS).await?;
    let load = front.load(4, Duration::from_millis(25))?;
    let other = scene.loader.beside()?;
    let (mut stopped_times, mut killed_times) = (0, 0);

    let mut stays = (scene.loader.start(None)?, &scene.loader);
    stays.0.tells(|told| told.taken_over >= PARTITIONS).await?;
    let mut free = &other;
    for turn in 0..turns {
        let comes = (free.start(None)?, free);
        comes.0.tells(|told| told.taken_over >= 1).await?;
        load.more_answers(50).await?;
        // By turns the elder and the younger.
        let (goes, remains) = if turn % 2 == 0 { (stays, comes) } else { (comes, stays) };
        let had = remains.0.told().taken_over;
        if turn % 3 == 2 {
            drop(goes.0);
            killed_times += 1;
        } else {
            stopped(goes.0).await?;
            stopped_times += 1;
        }
        remains.0.tells(|told| told.taken_over > had).await?;
        load.more_answers(50).await?;
        (stays, free) = (remains, goes.1);
    }
    let calls = load.finish().await;
    scene.settled().await?;
    stopped(stays.0).await?;
    judge(&scene, &calls, &front.probe.echoes().await?).await?;
    Ok(Story {
        title: "one of two consumers went, and another came".to_owned(),
        times: vec![("one was stopped", stopped_times), ("one was killed", killed_times)],
        calls: calls.len(),
    })
}

/// A consumer is halted (SIGSTOP) in a batch, missed, and replaced; when another has loaded what it had, it goes on where it
/// was, `times` times. On Apache Kafka.
///
/// # Errors
/// When a part does not start, a partition is not taken over, or anything is lost or there twice.
pub async fn resumed(stage: &Stage, name: &str, times: usize) -> anyhow::Result<Story> {
    let scene = Scene::set(stage, name, stage.broker().await?, stage.clickhouse().await?).await?;
    let front = Front::start(stage, &scene, CALLERS).await?;
    let load = front.load(4, Duration::from_millis(25))?;
    let other = scene.loader.beside()?;
    let mut late = 0;
    for number in 0..times {
        let aim = Aim {
            blow: Blow::Pause,
            phase: ["inserting", "decoded", "inserted", "publishing"][number % 4],
            nth: 1 + number % 3,
            pause: Duration::from_millis([0, 1, 3][number % 3]),
        };
        let zombie = scene.loader.start(Some(aim))?;
        zombie.tells(|told| told.is_struck).await?;
        let heir = other.start(None)?;
        heir.tells(|told| told.taken_over >= PARTITIONS).await?;
        load.more_answers(50).await?;
        scene.loaded_so_far().await?;
        let before = zombie.told();
        zombie.resume()?;
        // It finds out that it is not a member any more, comes back, and gets a partition like anybody.
        zombie.tells(|told| told.taken_over > before.taken_over).await?;
        late += usize::from(zombie.told().failed_inserts > before.failed_inserts);
        stopped(zombie).await?;
        stopped(heir).await?;
    }
    let calls = load.finish().await;
    scene.load().await?;
    judge(&scene, &calls, &front.probe.echoes().await?).await?;
    Ok(Story {
        title: "a consumer was halted, replaced, and went on".to_owned(),
        times: vec![("halted in a batch", times), ("its late insert refused", late)],
        calls: calls.len(),
    })
}

async fn stopped(consumer: Watched) -> anyhow::Result<()> {
    ensure!(consumer.stop().await?.success(), "a consumer did not end well");
    Ok(())
}
