//! What is done to ClickHouse.

use std::time::Duration;

use anyhow::ensure;
use tapedeck_dev::clickhouse::ClickHouse;

use super::Story;
use super::judge::judge;
use super::load::Load;
use super::loader::Watched;
use super::stage::{CALLERS, Front, Scene, Stage};

/// `kill -9` under the consumer, `kills` times.
///
/// # Errors
/// When a part does not start, or anything is lost or there twice.
pub async fn killed(stage: &Stage, name: &str, kills: usize) -> anyhow::Result<Story> {
    let calls = under_calls(stage, name, async |clickhouse, _, load, _| {
        for _ in 0..kills {
            load.more_answers(200).await?;
            clickhouse.kill();
            // Calls do not need ClickHouse.
            load.more_answers(200).await?;
            clickhouse.restart().await?;
        }
        Ok(())
    })
    .await?;
    Ok(Story {
        title: "ClickHouse was killed".to_owned(),
        times: vec![("under the consumer", kills)],
        calls,
    })
}

/// It answers nothing for longer than a lease, has no room for an insert, and takes none, `times` times each. The last two
/// are settings of the tables, which make ClickHouse answer as it does where a disk is full or read-only.
///
/// # Errors
/// When a part does not start, an insert that should fail does not, or anything is lost or there twice.
pub async fn hampered(stage: &Stage, name: &str, times: usize) -> anyhow::Result<Story> {
    const FULL: (&str, &str, &str) = ("min_free_disk_bytes_to_perform_insert", "1000000000000000", "0");
    const READ_ONLY: (&str, &str, &str) = ("table_readonly", "1", "0");
    let calls = under_calls(stage, name, async |clickhouse, scene, load, consumer| {
        for _ in 0..times {
            load.more_answers(100).await?;
            clickhouse.child().pause()?;
            load.more_answers(200).await?;
            clickhouse.child().resume()?;
            for (setting, bad, good) in [FULL, READ_ONLY] {
                load.more_answers(100).await?;
                let failed = consumer.told().failed_inserts;
                let set = async |value: &str| {
                    let statement = format!("ALTER TABLE frames MODIFY SETTING {setting} = {value}");
                    scene.database.client().query(&statement).execute().await
                };
                set(bad).await?;
                consumer.tells(|told| told.failed_inserts > failed + 1).await?;
                load.more_answers(50).await?;
                set(good).await?;
            }
        }
        Ok(())
    })
    .await?;
    Ok(Story {
        title: "ClickHouse was hampered".to_owned(),
        times: vec![
            ("it stood still", times),
            ("its disk was full", times),
            ("it was read-only", times),
        ],
        calls,
    })
}

/// Lets clients call and a consumer load while something is done to a ClickHouse of their own. How many calls there were.
async fn under_calls(
    stage: &Stage,
    name: &str,
    harm: impl AsyncFnOnce(&ClickHouse, &Scene, &Load, &Watched) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let clickhouse = stage.another_clickhouse().await?;
    let scene = Scene::set(stage, name, stage.broker().await?, &clickhouse).await?;
    let front = Front::start(stage, &scene, CALLERS).await?;
    let consumer = scene.loader.start(None)?;
    let load = front.load(4, Duration::from_millis(25))?;
    harm(&clickhouse, &scene, &load, &consumer).await?;
    load.more_answers(200).await?;

    let calls = load.finish().await;
    scene.settled().await?;
    ensure!(consumer.is_running(), "the consumer has ended");
    ensure!(consumer.stop().await?.success(), "the consumer did not end well");
    judge(&scene, &calls, &front.probe.echoes().await?).await?;
    Ok(calls.len())
}
