//! Looking for canaries in whatever there is: one automaton over all their forms.

use std::fs;
use std::io;
use std::path::Path;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use anyhow::Context as _;

use super::blocks;
use super::forms::needles;
use super::plan::Canary;

/// What every log, configuration and page of figures has in it: a search that does not find it has looked at nothing.
const SIGN: &[u8] = b"tapedeck";

/// All forms of all canaries.
pub(super) struct Search {
    automaton: AhoCorasick,
    /// By pattern; the last is [`SIGN`], which is nobody's.
    owners: Vec<usize>,
    canaries: usize,
}

/// What was found in one place.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// By canary.
    pub(super) canaries: Vec<bool>,
    /// Bytes that were looked at.
    pub(super) bytes: u64,
    /// Whether what stands in all such places was found.
    pub(super) sign: bool,
}

impl Found {
    /// The numbers of the canaries that were found.
    pub(super) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.canaries
            .iter()
            .enumerate()
            .filter(|(_, found)| **found)
            .map(|(number, _)| number)
    }

    pub(super) fn count(&self) -> usize {
        self.numbers().count()
    }

    /// Both together.
    pub(super) fn and(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.canaries.iter_mut().zip(&other.canaries) {
            *mine |= theirs;
        }
        self.bytes += other.bytes;
        self.sign |= other.sign;
        self
    }
}

impl Search {
    /// # Errors
    /// There are more patterns than an automaton can have.
    pub(super) fn new(canaries: &[Canary]) -> anyhow::Result<Self> {
        let (mut patterns, mut owners) = (Vec::new(), Vec::new());
        for (number, canary) in canaries.iter().enumerate() {
            for needle in needles(&canary.secret) {
                patterns.push(needle);
                owners.push(number);
            }
        }
        patterns.push(SIGN.to_vec());
        // The smaller ones take longer to make than there is to search.
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::NoncontiguousNFA))
            .prefilter(false)
            .build(&patterns)?;
        Ok(Self {
            automaton,
            owners,
            canaries: canaries.len(),
        })
    }

    /// Nothing yet.
    pub(super) fn nothing(&self) -> Found {
        Found {
            canaries: vec![false; self.canaries],
            bytes: 0,
            sign: false,
        }
    }

    /// Looks at some more bytes.
    pub(super) fn look(&self, bytes: &[u8], found: &mut Found) {
        found.bytes += bytes.len() as u64;
        for hit in self.automaton.find_overlapping_iter(bytes) {
            match self.owners.get(hit.pattern().as_usize()) {
                Some(owner) => found.canaries[*owner] = true,
                None => found.sign = true,
            }
        }
    }

    /// Looks at all of it.
    pub(super) fn over<'b>(&self, all: impl IntoIterator<Item = &'b [u8]>) -> Found {
        let mut found = self.nothing();
        for bytes in all {
            self.look(bytes, &mut found);
        }
        found
    }

    /// Looks at every file below a folder for which `is_meant` is true. Files that go meanwhile belong to somebody else.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn below(&self, folder: &Path, is_meant: &dyn Fn(&Path) -> bool) -> anyhow::Result<Found> {
        let mut found = self.nothing();
        self.descend(folder, is_meant, &mut found)?;
        Ok(found)
    }

    fn descend(&self, folder: &Path, is_meant: &dyn Fn(&Path) -> bool, found: &mut Found) -> anyhow::Result<()> {
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let entries = match fs::read_dir(folder) {
            Err(error) if gone(&error) => return Ok(()),
            entries => entries.with_context(|| folder.display().to_string())?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let kind = match entry.file_type() {
                Err(error) if gone(&error) => continue,
                kind => kind?,
            };
            if !is_meant(&path) {
                continue;
            }
            // What a name says counts, too.
            self.look(entry.file_name().as_encoded_bytes(), found);
            if kind.is_dir() {
                self.descend(&path, is_meant, found)?;
            } else if kind.is_file() {
                match fs::read(&path) {
                    Err(error) if gone(&error) => {}
                    bytes => {
                        let bytes = bytes.with_context(|| path.display().to_string())?;
                        self.look(&bytes, found);
                        if path.extension().is_some_and(|extension| extension == "bin") {
                            self.look(&blocks::contents(&bytes), found);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
