//! What is done to the broker.

use std::time::Duration;

use anyhow::ensure;
use tapedeck_dev::broker::BrokerKind;

use super::Story;
use super::judge::judge;
use super::stage::{CALLERS, Front, Scene, Stage};

/// `kill -9` under the proxy and the consumer, `kills` times.
///
/// # Errors
/// When a part does not start, no call is refused, or anything is lost or there twice.
pub async fn killed(stage: &Stage, kind: BrokerKind, name: &str, kills: usize) -> anyhow::Result<Story> {
    let broker = stage.another_broker(kind).await?;
    let scene = Scene::set(stage, name, &broker, stage.clickhouse().await?).await?;
    let front = Front::start(stage, &scene, CALLERS).await?;
    let consumer = scene.loader.start(None)?;
    let load = front.load(8, Duration::from_millis(25))?;

    for number in 0..kills {
        load.more_answers(100).await?;
        broker.kill();
        // Back at once, or only after clients were refused.
        if number % 2 == 0 {
            load.more_failures(8).await?;
        }
        broker.restart().await?;
        front.proxy.service().ready().await?;
    }
    load.more_answers(100).await?;

    let calls = load.finish().await;
    scene.settled().await?;
    ensure!(consumer.is_running(), "the consumer has ended");
    ensure!(consumer.stop().await?.success(), "the consumer did not end well");
    let refused = calls.iter().filter(|call| call.is_unavailable()).count();
    ensure!(refused > 0, "no call was refused while the broker was away");

    judge(&scene, &calls, &front.probe.echoes().await?).await?;
    Ok(Story {
        title: format!("{kind} was killed"),
        times: vec![("under calls", kills), ("a call was refused", refused)],
        calls: calls.len(),
    })
}

/// `kill -9` of the proxy while Kafka is away and its spool fills, `kills` times; then Kafka comes back, and what was
/// spooled is published, some of it again. One caller: with several, a frame may be in the log without one that its writer
/// numbered before. On Apache Kafka.
///
/// # Errors
/// When a part does not start, or anything is lost or there twice.
pub async fn away_from_killed_proxies(stage: &Stage, name: &str, kills: usize) -> anyhow::Result<Story> {
    const ONE_CALLER: usize = 1;
    let broker = stage.another_broker(BrokerKind::Apache).await?;
    let scene = Scene::set(stage, name, &broker, stage.clickhouse().await?).await?;
    let front = Front::recording(stage, &scene, ONE_CALLER, "spooled").await?;
    let load = front.load(8, Duration::from_millis(25))?;
    load.more_answers(100).await?;
    broker.kill();
    for _ in 0..kills {
        load.more_answers(200).await?;
        front.proxy.service().kill();
        // It has a spool to begin with, and no Kafka.
        front.proxy.service().restart().await?;
    }
    load.more_answers(100).await?;
    broker.restart().await?;
    front.proxy.service().ready().await?;
    load.more_answers(100).await?;

    let calls = front.emptied(&scene, load).await?;
    judge(&scene, &calls, &front.probe.echoes().await?).await?;
    Ok(Story {
        title: "Kafka was away".to_owned(),
        times: vec![("a proxy with a spool died", kills)],
        calls: calls.len(),
    })
}
