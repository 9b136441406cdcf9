//! `tapedeck export`: recordings in a file, with a manifest beside it.
//!
//! Bytes go to `FILE.part` as they come, and what was asked stands in `FILE.part.json`, so that `--resume` asks the same
//! question for what is missing. Only a file that has the length and the hash that the console's access log says becomes
//! `FILE`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::api::{Api, broke_off};
use super::arguments::Export;
use super::failure::Failure;
use super::json;

/// Bytes that are read of a file at once.
const CHUNK: usize = 1 << 20;

/// What is asked, so that it can be asked again.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Question {
    path: String,
    query: Vec<(String, String)>,
    /// The parameter and value that hold the recording still, as the console has said them.
    bound: Option<(String, String)>,
}

/// The file, and what belongs to it.
struct Files {
    whole: PathBuf,
    part: PathBuf,
    question: PathBuf,
    manifest: PathBuf,
}

impl Files {
    fn of(whole: PathBuf) -> Self {
        let with = |suffix: &str| {
            let mut name = whole.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self {
            part: with(".part"),
            question: with(".part.json"),
            manifest: with(".manifest.json"),
            whole,
        }
    }
}

pub(super) async fn export(api: &Api, what: &Export) -> anyhow::Result<()> {
    let (path, name) = match what.session {
        Some(session) => (format!("/api/v1/sessions/{session}/export"), session.to_string()),
        None => ("/api/v1/export".to_owned(), "sessions".to_owned()),
    };
    if what.session.is_some() && !what.filter.query().is_empty() {
        return Err(Failure::Usage("a session is one; leave the filters out".to_owned()).into());
    }
    let mut query = what.filter.query();
    query.push(("format", what.format.name().to_owned()));
    let mut question = Question {
        path,
        query: query
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        bound: None,
    };
    let default = || PathBuf::from(format!("{name}.{}", what.format.name()));
    let files = Files::of(what.output.clone().unwrap_or_else(default));
    let (mut file, mut hash, mut size) = match what.resume {
        true => resumed(&files, &mut question)?,
        false => (begun(&files)?, Sha256::new(), 0),
    };
    let id = receive(api, &files, &mut question, &mut file, &mut hash, &mut size).await?;
    file.sync_all()?;
    let manifest: Value = api.json(&format!("/api/v1/exports/{id}"), &[]).await?;
    let hash = hex(&hash.finalize());
    let is_whole = manifest["state"] == "complete" && manifest["sha256"] == hash.as_str() && manifest["bytes"] == size;
    if !is_whole {
        fs::remove_file(&files.question)?;
        let part = files.part.display();
        bail!("{part} is not what the console has now: the recording has changed since it began; export it again");
    }
    fs::write(&files.manifest, serde_json::to_vec_pretty(&manifest)?)
        .with_context(|| format!("writing {}", files.manifest.display()))?;
    fs::rename(&files.part, &files.whole).with_context(|| format!("writing {}", files.whole.display()))?;
    fs::remove_file(&files.question)?;
    match what.json {
        true => json::line(&manifest, &mut io::stdout()),
        false => Ok(writeln!(
            io::stderr(),
            "{}: {} frames, {}, SHA-256 {hash}",
            files.whole.display(),
            manifest["frames"],
            crate::text::bytes(size),
        )?),
    }
}

/// A new file that only its owner can read.
fn begun(files: &Files) -> anyhow::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&files.part);
    file.with_context(|| format!("writing {}", files.part.display()))
}

/// The file of an earlier run, with what it holds so far; a new one where there was none.
fn resumed(files: &Files, question: &mut Question) -> anyhow::Result<(File, Sha256, u64)> {
    let text = match fs::read(&files.question) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((begun(files)?, Sha256::new(), 0)),
        Err(error) => return Err(error).with_context(|| format!("reading {}", files.question.display())),
    };
    let before: Question =
        serde_json::from_slice(&text).with_context(|| format!("reading {}", files.question.display()))?;
    ensure!(
        (&before.path, &before.query) == (&question.path, &question.query),
        Failure::Usage(format!("{} is the beginning of another export", files.part.display()))
    );
    question.bound = before.bound;
    let mut file = OpenOptions::new().read(true).append(true).open(&files.part)?;
    let (mut hash, mut size, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok((file, hash, size));
        }
        hash.update(&chunk[..read]);
        size += read as u64;
    }
}

/// Receives what is missing, and says what the export is called in the access log.
async fn receive(
    api: &Api,
    files: &Files,
    question: &mut Question,
    file: &mut File,
    hash: &mut Sha256,
    size: &mut u64,
) -> anyhow::Result<String> {
    let names = ["format", "user", "target", "tool", "from", "to", "last", "at"];
    let known = |name: &str| names.into_iter().find(|known| *known == name);
    let parameters = question.query.iter().chain(&question.bound);
    let mut query: Vec<(&'static str, String)> = parameters
        .filter_map(|(name, value)| Some((known(name)?, value.clone())))
        .collect();
    query.push(("offset", size.to_string()));
    let mut response = api.get(&question.path, &query, "*/*").await?;
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value
            .map(str::to_owned)
            .with_context(|| format!("the console's answer lacks {name}"))
    };
    let (id, bound, frames) = (
        header("x-request-id")?,
        header("x-tapedeck-bound")?,
        header("x-tapedeck-frames")?,
    );
    if question.bound.is_none() {
        let name = if question.path == "/api/v1/export" {
            "at"
        } else {
            "last"
        };
        question.bound = Some((name.to_owned(), bound));
        keep(question, &files.question)?;
    }
    let bar = progress(&frames);
    bar.set_position(*size);
    loop {
        let chunk = tokio::select! {
            chunk = response.chunk() => chunk.map_err(|error| broke_off(&error.without_url())),
            ended = tokio::signal::ctrl_c() => {
                ended?;
                Err(Failure::Interrupted("interrupted".to_owned()).into())
            }
        };
        let chunk = match chunk {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => {
                bar.abandon();
                let so_far = crate::text::bytes(*size);
                let hint = format!("{so_far} are in {}; --resume goes on from there", files.part.display());
                writeln!(io::stderr(), "tapedeck: {hint}")?;
                return Err(error);
            }
        };
        file.write_all(&chunk)
            .with_context(|| format!("writing {}", files.part.display()))?;
        hash.update(&chunk);
        *size += chunk.len() as u64;
        bar.set_position(*size);
    }
    bar.finish_and_clear();
    Ok(id)
}

fn keep(question: &Question, path: &Path) -> anyhow::Result<()> {
    fs::write(path, serde_json::to_vec(question)?).with_context(|| format!("writing {}", path.display()))
}

/// On standard error, where that is a terminal: bytes and their rate, since nobody knows how many there will be.
fn progress(frames: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let template = "{spinner} {bytes} of {msg} frames, {bytes_per_sec}, {elapsed}";
    bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
    bar.set_message(frames.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
