//! The broker is killed under the proxy and the consumer.

use std::time::Duration;

use anyhow::ensure;
use tapedeck_dev::broker::BrokerKind;

use crate::load::Call;
use crate::oracle::judge;
use crate::stage::{CALLERS, Front, Scene, Stage, on_stage};

const KILLS: usize = 5;

#[test]
fn killing_apache_kafka_loses_no_call_that_a_client_saw_answered() -> anyhow::Result<()> {
    on_stage(async |stage| killed_under_load(stage, BrokerKind::Apache, "broker_killed_apache").await)
}

#[test]
fn killing_the_embedded_broker_loses_no_call_that_a_client_saw_answered() -> anyhow::Result<()> {
    on_stage(async |stage| killed_under_load(stage, BrokerKind::Embedded, "broker_killed_embedded").await)
}

async fn killed_under_load(stage: &Stage, kind: BrokerKind, name: &str) -> anyhow::Result<()> {
    let broker = stage.another_broker(kind).await?;
    let scene = Scene::set(stage, name, &broker, stage.clickhouse().await?).await?;
    let front = Front::start(stage, &scene, CALLERS).await?;
    let consumer = scene.loader.start(None)?;
    let load = front.load(8, Duration::from_millis(25))?;

    for number in 0..KILLS {
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
    ensure!(
        calls.iter().any(Call::is_unavailable),
        "no call was refused while the broker was away"
    );

    judge(&scene, &calls, &front.probe.echoes().await?).await?;
    Ok(())
}
