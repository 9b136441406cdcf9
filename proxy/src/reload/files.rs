//! The files that a configuration was read from, and whether they are still the same.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far the clock of a file system may be behind: kernels take the time of their last tick.
const TICK: Duration = Duration::from_millis(20);

/// Tells a file from the one that was there before, also where links on the way to it have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Of the content, the name or the rights (stat(2), `st_ctim`): unlike the time of the last write nobody can set it.
    changed: (i64, i64),
}

impl Stamp {
    /// None: there is no file. Folders do not count: what happens in them is not what the configuration says.
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }

    /// Whether it was as it is now at `time`.
    fn is_older_than(&self, time: SystemTime) -> bool {
        let since = time
            .checked_sub(TICK)
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let since = since.unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        self.changed < (seconds, i64::from(since.subsec_nanos()))
    }
}

/// Files, and what they were when they were read.
#[derive(Debug, Default)]
pub(super) struct Watched {
    files: Vec<PathBuf>,
    /// As many as `files`. None: they have changed while they were read, so what was read may be either.
    read: Option<Vec<Option<Stamp>>>,
    /// At the last look, where they had changed.
    seen: Option<Vec<Option<Stamp>>>,
}

impl Watched {
    /// Files whose reading began at that time, and is over. `before`: what was watched until then.
    pub(super) fn since_read(mut files: Vec<PathBuf>, began: SystemTime, before: Option<&Self>) -> Self {
        files.sort();
        files.dedup();
        let stamps = stamps(&files);
        // What rested from a look to after it was read has not changed meanwhile, whatever a file system that is another
        // machine's takes for the time: by that alone it would be read again and again.
        let as_seen = before.is_some_and(|before| before.files == files && before.seen.as_ref() == Some(&stamps));
        let rested = as_seen || stamps.iter().flatten().all(|stamp| stamp.is_older_than(began));
        Self {
            files,
            read: rested.then_some(stamps),
            seen: None,
        }
    }

    /// Whether they are others than were read, and the same as at the look before: somebody who writes has finished.
    pub(super) fn look(&mut self) -> bool {
        let now = stamps(&self.files);
        if self.read.as_ref() == Some(&now) {
            self.seen = None;
            return false;
        }
        let now = Some(now);
        let rested = self.seen == now;
        self.seen = now;
        rested
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn later() -> SystemTime {
        SystemTime::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_file_that_is_written_is_read_again_once_it_rests() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        fs::write(&one, "1").expect("written");
        let mut watched = Watched::since_read(vec![one.clone(), two.clone(), folder.path().to_owned()], later(), None);
        assert!(!watched.look() && !watched.look());
        fs::write(&one, "12").expect("written");
        assert!(!watched.look(), "somebody may still write");
        fs::write(&one, "123").expect("written");
        assert!(!watched.look());
        assert!(watched.look());
        fs::write(&one, "1").expect("written");
        let mut watched = Watched::since_read(vec![one, two.clone()], later(), None);
        fs::write(&two, "").expect("written");
        assert!(!watched.look() && watched.look(), "a file that was not there is");
        fs::remove_file(&two).expect("removed");
        assert!(!watched.look() && !watched.look(), "all is as it was read");
    }

    #[test]
    fn a_link_that_is_swapped_on_the_way_to_a_file_is_a_change() {
        // As Kubernetes mounts a ConfigMap: file -> ..data/file, ..data -> a folder for each version.
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for version in ["v1", "v2"] {
            fs::create_dir(at(version)).expect("made");
            fs::write(at(version).join("proxy.toml"), "same size").expect("written");
        }
        symlink("v1", at("..data")).expect("linked");
        symlink("..data/proxy.toml", at("proxy.toml")).expect("linked");
        let mut watched = Watched::since_read(vec![at("proxy.toml")], later(), None);
        symlink("v2", at("..new")).expect("linked");
        fs::rename(at("..new"), at("..data")).expect("swapped");
        assert!(!watched.look() && watched.look());
    }

    #[test]
    fn a_file_that_changed_while_it_was_read_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "1").expect("written");
        let began = SystemTime::now() - Duration::from_secs(60);
        let mut watched = Watched::since_read(vec![file], began, None);
        assert!(!watched.look() && watched.look());
    }

    #[test]
    fn a_file_system_whose_clock_is_ahead_makes_nobody_read_for_ever() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = vec![folder.path().join("file")];
        fs::write(&files[0], "1").expect("written");
        let began = SystemTime::now() - Duration::from_secs(60);
        let mut watched = Watched::since_read(files.clone(), began, None);
        assert!(
            !watched.look() && watched.look(),
            "it may have changed while it was read"
        );
        let mut watched = Watched::since_read(files.clone(), began, Some(&watched));
        assert!(
            !watched.look() && !watched.look(),
            "it has rested since the look before"
        );
        fs::write(&files[0], "12").expect("written");
        assert!(!watched.look() && watched.look());
    }
}
