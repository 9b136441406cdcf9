//! The tables of the README, between comments that say so.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::judge::{Judge, Set};
use super::tally::{Tally, at_least, at_most};
use super::{clean, kept};

/// A part of the README that is written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// What follows from what is kept in this repository.
    Kept,
    /// What follows from what is fetched.
    Fetched,
}

impl Section {
    fn marks(self) -> (&'static str, &'static str) {
        match self {
            Self::Kept => ("<!-- accuracy: kept -->\n", "<!-- /accuracy: kept -->\n"),
            Self::Fetched => ("<!-- accuracy: fetched -->\n", "<!-- /accuracy: fetched -->\n"),
        }
    }

    /// What stands between the comments.
    ///
    /// # Errors
    /// When the comments are not there.
    pub(super) fn read(self, readme: &str) -> anyhow::Result<&str> {
        let (start, end) = self.marks();
        let (_, rest) = readme
            .split_once(start)
            .with_context(|| format!("no {}", start.trim()))?;
        Ok(rest.split_once(end).with_context(|| format!("no {}", end.trim()))?.0)
    }

    /// Puts `markdown` between the comments of that file.
    ///
    /// # Errors
    /// When the file cannot be read or written, or has no such comments.
    pub(super) fn write(self, path: &Path, markdown: &str) -> anyhow::Result<()> {
        let readme = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let old = self.read(&readme)?;
        let (start, end) = self.marks();
        let written = readme.replacen(&format!("{start}{old}{end}"), &format!("{start}{markdown}{end}"), 1);
        ensure!(
            self.read(&written)? == markdown,
            "the comments of the README stand in the table"
        );
        fs::write(path, written).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Tables, and what they do not tell.
#[derive(Debug, Default)]
pub(super) struct Scored {
    pub(super) markdown: String,
    /// One line for each set: its name and how it was told apart.
    pub(super) tallies: Vec<(String, Tally)>,
    /// How many clean frames there were, and how many of them were changed.
    pub(super) frames: (usize, usize),
    /// What was left and what went without need.
    pub(super) reports: Vec<String>,
}

const HEAD: &str = "\
| set | secrets | found | whole | masks | right | harmless texts | changed | by converted packs |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
";

/// The sets that are kept, and generated frames.
///
/// # Errors
/// When a set cannot be read.
pub(super) fn kept_tables(judge: &Judge) -> anyhow::Result<Scored> {
    let mut scored = rows(judge, kept::sets()?);
    let (kinds, changed) = clean::score(judge.redactor(), &mut scored.reports);
    scored.markdown += "\n| clean frames with | frames | changed |\n|---|---:|---:|\n";
    for (kind, frames, changed) in &kinds {
        scored.markdown += &format!("| {kind} | {frames} | {changed} |\n");
    }
    let frames = kinds.iter().map(|(_, frames, _)| frames).sum();
    scored.markdown += &format!("| all | {frames} | {changed} |\n");
    scored.frames = (frames, changed);
    Ok(scored)
}

/// The sets that are fetched.
pub(super) fn fetched_table(judge: &Judge, sets: Vec<Set>) -> Scored {
    rows(judge, sets)
}

fn rows(judge: &Judge, sets: Vec<Set>) -> Scored {
    let mut scored = Scored {
        markdown: HEAD.to_owned(),
        ..Scored::default()
    };
    for set in sets {
        let tally = judge.score(&set, |report| scored.reports.push(format!("{}: {report}", set.name)));
        scored.markdown += &row(&set.name, &tally);
        scored.tallies.push((set.name, tally));
    }
    scored
}

fn row(name: &str, tally: &Tally) -> String {
    format!(
        "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        tally.secrets,
        at_least(tally.found, tally.secrets),
        at_least(tally.whole, tally.secrets),
        tally.marks,
        at_least(tally.marks - tally.beside, tally.marks),
        tally.harmless,
        at_most(tally.changed, tally.harmless),
        at_most(tally.changed_by_converted, tally.harmless),
    )
}
