//! ClickHouse is killed under the consumer.

use std::time::Duration;

use anyhow::ensure;

use crate::oracle::judge;
use crate::stage::{CALLERS, Front, Scene, on_stage};

const KILLS: usize = 3;

#[test]
fn killing_clickhouse_neither_loses_nor_doubles_a_frame() -> anyhow::Result<()> {
    on_stage(async |stage| {
        let clickhouse = stage.another_clickhouse().await?;
        let broker = stage.broker().await?;
        let scene = Scene::set(stage, "clickhouse_killed", broker, &clickhouse).await?;
        let front = Front::start(stage, &scene, CALLERS).await?;
        let consumer = scene.loader.start(None)?;
        let load = front.load(4, Duration::from_millis(25))?;
        for _ in 0..KILLS {
            load.more_answers(200).await?;
            clickhouse.kill();
            // Calls do not need ClickHouse.
            load.more_answers(200).await?;
            clickhouse.restart().await?;
        }
        load.more_answers(200).await?;

        let calls = load.finish().await;
        scene.settled().await?;
        ensure!(consumer.is_running(), "the consumer has ended");
        ensure!(consumer.stop().await?.success(), "the consumer did not end well");
        judge(&scene, &calls, &front.probe.echoes().await?).await?;
        Ok(())
    })
}
