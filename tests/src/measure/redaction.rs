//! The redaction engine on its own, in a process of its own: the example `throughput` of its crate. What is written in C++ or
//! Python stands beside it in another.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tapedeck_dev::fetch;
use tapedeck_dev::folder::Folder;

use super::Report;
use super::parts::{Errors, note};

/// Where the peers' packages are pinned, in `deploy/dev`.
const RECIPE: &str = "redaction";
/// For people, in a folder's name; the file of requirements decides.
const SOURCE: &str = "hyperscan==0.9.1";

/// MB/s of our own engine: clean frames and dense ones.
const CLEAN: f64 = 500.0;
const DENSE: f64 = 250.0;
/// Milliseconds and megabytes of a start.
const START: f64 = 300.0;
const MEMORY: f64 = 100.0;
/// The slowest of a thousand large frames, as a multiple of their mean.
const SLOWEST: f64 = 5.0;
/// Frames of 10,000 without anything to hide that are changed.
const FALSE_ALARMS: f64 = 1.0;

#[derive(Deserialize)]
struct Figures {
    rows: Vec<Figure>,
}

#[derive(Deserialize)]
struct Figure {
    measure: String,
    contender: String,
    value: f64,
    unit: Unit,
}

#[derive(Clone, Copy, Deserialize)]
enum Unit {
    #[serde(rename = "MB/s")]
    Rate,
    #[serde(rename = "MB")]
    Memory,
    #[serde(rename = "ms")]
    Time,
    #[serde(rename = "frames")]
    Frames,
    #[serde(rename = "")]
    Ratio,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "MB/s",
            Self::Memory => "MB",
            Self::Time => "ms",
            Self::Frames => "frames",
            Self::Ratio => "",
        }
    }
}

/// Start, memory, throughput on clean and dense frames beside other ways to find as much, and the spread over a large frame.
/// Where the peers from PyPI cannot be installed or do not run, they are left out, and a note says why.
///
/// # Errors
/// When the example does not build or run.
pub async fn redact() -> anyhow::Result<Report> {
    let folder = Folder::open()?;
    let run = folder.run("measure")?;
    let corpus = run.room("redaction")?;
    let figures = example(&["--json", "--corpus"], &corpus)?;
    let mut rows = figures.rows;
    match peers(&folder, &corpus).await {
        Ok(peers) => rows.extend(peers.rows),
        Err(error) => note(&format!("without Vectorscan and Presidio: {error:#}")),
    }
    let mut measures: Vec<String> = Vec::new();
    for row in &rows {
        if !measures.contains(&row.measure) {
            measures.push(row.measure.clone());
        }
    }
    let mut report = Report::default();
    for row in measures
        .iter()
        .flat_map(|measure| rows.iter().filter(move |row| row.measure == *measure))
    {
        add(&mut report, row);
    }
    Ok(report)
}

fn add(report: &mut Report, row: &Figure) {
    let (measure, contender, unit) = (row.measure.as_str(), row.contender.as_str(), row.unit.as_str());
    let is_ours = contender.starts_with("tapedeck");
    match (measure, is_ours) {
        ("clean", true) => report.add_at_least(measure, contender, row.value, unit, Some(CLEAN)),
        ("dense", true) => report.add_at_least(measure, contender, row.value, unit, Some(DENSE)),
        _ => {
            let most = match (measure, contender) {
                ("start", _) => Some(START),
                ("memory", _) => Some(MEMORY),
                ("false alarms", _) => Some(FALSE_ALARMS),
                (_, "p99.9 / mean") => Some(SLOWEST),
                _ => None,
            };
            report.add_bounded(measure, contender, row.value, unit, most);
        }
    }
}

/// Runs the example, which leaves both corpora and all patterns in the folder.
fn example(arguments: &[&str], folder: &Path) -> anyhow::Result<Figures> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Features are those of the whole workspace, as everywhere.
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--release", "--example", "throughput", "--"])
        .args(arguments)
        .arg(folder)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo does not run")?;
    ensure!(
        output.status.success(),
        "the example throughput failed: {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).context("the example throughput said something else")
}

/// Vectorscan and Presidio over the same frames.
async fn peers(folder: &Folder, corpus: &Path) -> anyhow::Result<Figures> {
    let python = fetch::python(folder, RECIPE, SOURCE, &[], &Errors).await?;
    let script = folder.workspace().join("consumer/redact/peers/throughput.py");
    let errors = fs::File::create(corpus.join("peers.log"))?;
    let output = Command::new("python3")
        .arg(script)
        .arg(corpus)
        .env("PYTHONPATH", python.join("lib"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stderr(errors)
        .output()
        .context("python3 does not run")?;
    ensure!(
        output.status.success(),
        "{} in {}",
        output.status,
        corpus.join("peers.log").display()
    );
    serde_json::from_slice(&output.stdout).context("the peers said something else")
}
