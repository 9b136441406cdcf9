//! The configuration changes under calls: in place, by a link that is swapped, by a signal, for better and for worse.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tapedeck_tests::metric_is;

use tapedeck_tests::faults::judge::judge;
use tapedeck_tests::faults::load::Seen;
use tapedeck_tests::faults::stage::{CALLERS, Front, Scene, on_stage, stopped};

const ROUNDS: usize = 2;

#[test]
fn changing_the_configuration_under_calls_costs_none() -> anyhow::Result<()> {
    on_stage(async |stage| {
        let broker = stage.broker().await?;
        let scene = Scene::set(stage, "reloaded", broker, stage.clickhouse().await?).await?;
        let front = Front::start(stage, &scene, CALLERS).await?;
        let load = front.load(8, Duration::from_millis(25))?;
        load.more_answers(100).await?;

        let file = front.proxy.service().config();
        let before = fs::read_to_string(file)?;
        let (mut applied, mut invalid) = (0, 0);
        for round in 0..ROUNDS {
            // Other limits, and a target more: what is written in place is found.
            let other = format!(
                "{before}\n[limits]\nin_flight = {}\n[[target]]\nname = \"more-{round}\"\nurl = \"{}\"\nallow_groups = [\"*\"]\n\
                 allow_single_copy = true\n",
                1000 + round,
                front.probe.url()
            );
            fs::write(file, &other)?;
            applied += 1;
            counted(&front, "applied", applied).await?;
            load.more_answers(50).await?;

            // As Kubernetes does it.
            swapped(file, &before, round)?;
            applied += 1;
            counted(&front, "applied", applied).await?;
            load.more_answers(50).await?;

            fs::remove_file(file)?;
            fs::write(file, "nonsense")?;
            invalid += 1;
            counted(&front, "invalid", invalid).await?;
            load.more_answers(50).await?;

            // Two signals may be one.
            fs::write(file, &before)?;
            applied += 1;
            counted(&front, "applied", applied).await?;
            let process = i32::try_from(front.proxy.service().child().id())?;
            kill(Pid::from_raw(process), Signal::SIGHUP)?;
            applied += 1;
            counted(&front, "applied", applied).await?;
            load.more_answers(50).await?;
        }

        let calls = load.finish().await;
        for call in &calls {
            ensure!(matches!(call.seen, Seen::Answered(_)), "“{}”: {}", call.text, call.seen);
        }
        stopped(&front.proxy).await?;
        scene.load().await?;
        judge(&scene, &calls, &front.probe.echoes().await?).await?;
        Ok(())
    })
}

/// Until so many reloads have come to this.
async fn counted(front: &Front, outcome: &str, times: usize) -> anyhow::Result<()> {
    let series = format!("tapedeck_proxy_config_reloads_total{{outcome=\"{outcome}\"}}");
    metric_is(front.proxy.service(), &series, &times.to_string()).await
}

/// Replaces the file by a link, through a link to a folder.
fn swapped(file: &Path, text: &str, round: usize) -> anyhow::Result<()> {
    let folder = file.parent().context("a file is in a folder")?;
    let version = format!("..v{round}");
    fs::create_dir(folder.join(&version))?;
    fs::write(folder.join(&version).join("proxy.toml"), text)?;
    symlink(&version, folder.join("..next"))?;
    fs::rename(folder.join("..next"), folder.join("..data"))?;
    let link = folder.join("link");
    symlink("..data/proxy.toml", &link)?;
    fs::rename(link, file)?;
    Ok(())
}
