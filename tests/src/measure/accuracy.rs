//! How well secrets and personal data are told from everything else, on texts that others have labelled.
//!
//! The sets that are small and free to copy are kept in `consumer/redact/accuracy`, the others are fetched: pinned by commit or
//! version, and by the SHA-256 of what is read. What comes out are the tables of `consumer/redact/README.md`.

mod clean;
mod credsweeper;
mod judge;
mod kept;
mod presidio;
mod tables;
mod tally;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use tapedeck_dev::folder::Folder;

use judge::Judge;
use tables::{Section, fetched_table, kept_tables};
use tally::Tally;

/// What is done with the tables beside printing them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Only the sets that are kept here: nothing is fetched.
    pub kept: bool,
    /// The README has the tables afterwards.
    pub write: bool,
    /// What was left and what went without need is told, too.
    pub explain: bool,
}

/// Scores all sets and returns the tables, in Markdown.
///
/// # Errors
/// When a set cannot be fetched or is not the one that is meant, or the README cannot be written.
pub async fn accuracy(wanted: Wanted) -> anyhow::Result<String> {
    let judge = Judge::new()?;
    let mut sections = vec![(Section::Kept, kept_tables(&judge)?)];
    if !wanted.kept {
        let folder = Folder::open()?;
        let mut sets = credsweeper::sets(&folder).await?;
        sets.extend(presidio::sets(&folder).await?);
        sections.push((Section::Fetched, fetched_table(&judge, sets)));
    }
    let mut text = String::new();
    for (section, scored) in &sections {
        text += &scored.markdown;
        text += "\n";
        if wanted.explain {
            text += &scored.reports.join("\n");
            text += "\n";
        }
        if wanted.write {
            section.write(&readme(), &scored.markdown)?;
        }
    }
    Ok(text)
}

/// The README that has the tables.
fn readme() -> PathBuf {
    redact().join("README.md")
}

/// The folder of the engine's crate.
fn redact() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../consumer/redact")
}

/// Reads files below `root`, all together as they were when the set was chosen: their SHA-256, each behind its name and length.
fn pinned(root: &Path, names: &[String], sha256: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut digest = Sha256::new();
    let mut files = Vec::new();
    for name in names {
        let path = root.join(name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        digest.update(format!("{name}\n{}\n", bytes.len()));
        digest.update(&bytes);
        files.push(bytes);
    }
    let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    anyhow::ensure!(
        found == sha256,
        "{} is another set than the one that is meant: {found}",
        root.display()
    );
    Ok(files)
}
