//! The redaction engine on its own, in a process of its own: the example `throughput` of its crate.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::Report;

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
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "MB/s",
            Self::Memory => "MB",
            Self::Time => "ms",
            Self::Frames => "frames",
        }
    }
}

/// Start, memory, throughput on clean and dense frames beside other prefilters, and the spread over a large frame.
///
/// # Errors
/// When the example does not build or run.
pub fn redact() -> anyhow::Result<Report> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "tapedeck-redact",
            "--example",
            "throughput",
            "--",
            "--json",
        ])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo does not run")?;
    ensure!(
        output.status.success(),
        "the example throughput failed: {}",
        output.status
    );
    let figures: Figures =
        serde_json::from_slice(&output.stdout).context("the example throughput said something else")?;
    let mut report = Report::default();
    for figure in figures.rows {
        report.add(&figure.measure, &figure.contender, figure.value, figure.unit.as_str());
    }
    Ok(report)
}
