//! One scenario in a browser of its own: a script that is told what it needs, and fails with what was wrong.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::stage::Stage;

/// Longer than any scenario takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A folder for screenshots, where somebody wants to look at them.
const SHOTS: &str = "TAPEDECK_SCREENSHOTS";

/// Plays `scripts/NAME.mjs`.
///
/// # Errors
/// With everything that the scenario found wrong.
pub(crate) async fn play(name: &str) -> anyhow::Result<()> {
    play_with(name, json!({})).await
}

/// [`play`] about something that is there already: what the script is told of it.
///
/// # Errors
/// As [`play`].
pub(crate) async fn play_with(name: &str, about: Value) -> anyhow::Result<()> {
    let stage = Stage::get().await?;
    let site = stage.parts.site();
    let room = site.run.room(name)?;
    // Node finds packages beside the scripts that import them, so a link stands for them there.
    let scripts = site.folder.workspace().join("tests/tests/web/scripts");
    for entry in fs::read_dir(&scripts)? {
        let path = entry?.path();
        fs::copy(&path, room.join(path.file_name().context("a file has a name")?))?;
    }
    std::os::unix::fs::symlink(stage.browser.packages.join("node_modules"), room.join("node_modules"))?;
    let told = json!({
        "program": stage.browser.program,
        "console": stage.url,
        "issuer": stage.parts.identity.issuer(),
        "probe": stage.deck.proxy.endpoint("probe"),
        "token": stage.parts.token("alice").await?.as_str(),
        "room": room,
        "about": about,
        "shots": std::env::var(SHOTS).ok(),
    });
    let mut child = Command::new("node")
        .arg(format!("{name}.mjs"))
        .current_dir(&room)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    // The token goes neither to arguments nor to files.
    let mut stdin = child.stdin.take().context("standard input is piped")?;
    stdin.write_all(told.to_string().as_bytes()).await?;
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .with_context(|| format!("{name} has not ended after {PATIENCE:?}"))??;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
