//! The one folder that everything installed, stored and logged goes to: `.tapedeck/` at the workspace root.
//!
//! ```text
//! .tapedeck/parts/NAME-VERSION/   an installed part, shared by all runs
//! .tapedeck/runs/NAME-ID/         data and logs of one run
//! ```
//!
//! Several processes use the folder at once (test binaries, a `cargo dev` beside them). An install is made beside its
//! place, under a file lock, and renamed into it when it is whole: what has the right name is complete.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::progress::{Progress, Step};

/// Finished runs beyond this many are removed, oldest first.
const RUNS_KEPT: usize = 12;

/// Finished runs are removed, oldest first, until what is left occupies no more bytes than this.
const RUNS_BYTES: u64 = 4 << 30;

/// The folder could not be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// Neither cargo's environment nor the current directory lies within the workspace.
    #[error("not inside the tapedeck workspace: run this from a clone of the repository")]
    NoWorkspace,
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FolderError + use<'a> {
    move |source| FolderError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// `.tapedeck/` of one workspace.
#[derive(Debug, Clone)]
pub struct Folder {
    workspace: PathBuf,
    path: PathBuf,
}

impl Folder {
    /// The folder of the workspace that this process runs in, created if need be.
    ///
    /// # Errors
    /// When no workspace is found, or the folder cannot be created.
    pub fn open() -> Result<Self, FolderError> {
        let starts = [
            std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from),
            std::env::current_dir().ok(),
            std::env::current_exe().ok(),
        ];
        let workspace = starts
            .into_iter()
            .flatten()
            .find_map(|start| workspace_above(&start))
            .ok_or(FolderError::NoWorkspace)?;
        Self::within(&workspace)
    }

    /// The folder of the workspace at `workspace`, created if need be.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn within(workspace: &Path) -> Result<Self, FolderError> {
        let path = workspace.join(".tapedeck");
        for directory in [path.join("parts"), path.join("runs")] {
            fs::create_dir_all(&directory).map_err(failed("create", &directory))?;
        }
        Ok(Self {
            workspace: workspace.to_owned(),
            path,
        })
    }

    /// The workspace's root.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks a part up. Where it is missing, the answer is a [`Vacancy`] to fill, which no other process holds.
    ///
    /// # Errors
    /// When the folder cannot be read, locked or written.
    pub async fn part(&self, part: &Part<'_>, progress: &dyn Progress) -> Result<Slot, FolderError> {
        let parts = self.path.join("parts");
        let place = parts.join(part.directory());
        if place.is_dir() {
            return Ok(Slot::Installed(place));
        }
        let lock_path = parts.join(format!("{}.lock", part.directory()));
        let lock = open_lock(&lock_path)?;
        let lock = match lock.try_lock() {
            Ok(()) => lock,
            Err(TryLockError::WouldBlock) => {
                progress.report(Step::Waiting { part: part.name });
                lock_in_background(lock, &lock_path).await?
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", &lock_path)(source)),
        };
        if place.is_dir() {
            return Ok(Slot::Installed(place));
        }
        // Under the lock, what lies here is what a killed install left.
        let draft = parts.join(format!("{}.new", part.directory()));
        remove_tree(&draft)?;
        fs::create_dir(&draft).map_err(failed("create", &draft))?;
        Ok(Slot::Vacant(Vacancy {
            draft,
            place,
            _lock: lock,
        }))
    }

    /// A fresh folder for one run, kept until newer runs push it out. `name` is for people: `dev`, `test-faults`.
    ///
    /// # Errors
    /// When it cannot be created, or the folder cannot be locked.
    pub fn run(&self, name: &str) -> Result<Run, FolderError> {
        let runs = self.path.join("runs");
        // Held while creating and removing, so that no one takes a run for finished before it has its own lock.
        let _turn = exclusive(&runs.join("lock"))?;
        let path = runs.join(format!("{name}-{}", uuid::Uuid::now_v7().simple()));
        let logs = path.join("logs");
        fs::create_dir_all(&logs).map_err(failed("create", &logs))?;
        let lock = exclusive(&path.join("lock"))?;
        remove_old_runs(&runs)?;
        Ok(Run {
            inner: Arc::new(RunFolder { path, _lock: lock }),
        })
    }
}

fn workspace_above(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .find(|path| path.join("deploy/dev/Cargo.toml").is_file())
        .map(Path::to_owned)
}

/// Names one version of something to install.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Its name, part of a file name.
    pub name: &'a str,
    /// Its version, part of a file name.
    pub version: &'a str,
    /// The file that pins what is installed (a `pom.xml`, a `package-lock.json`), empty if the version says it all.
    /// Another recipe is another installation.
    pub recipe: &'a [u8],
}

impl Part<'_> {
    fn directory(&self) -> String {
        let Self { name, version, recipe } = self;
        if recipe.is_empty() {
            return format!("{name}-{version}");
        }
        let digest = Sha256::digest(recipe);
        let short: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("{name}-{version}-{short}")
    }
}

/// Where a part is, or is to be.
#[derive(Debug)]
pub enum Slot {
    /// It is installed, whole, at this path.
    Installed(PathBuf),
    /// It is missing; the holder may install it, others wait.
    Vacant(Vacancy),
}

/// The right to install one part. Dropped unsealed, it leaves nothing.
#[derive(Debug)]
pub struct Vacancy {
    draft: PathBuf,
    place: PathBuf,
    _lock: File,
}

impl Vacancy {
    /// The empty folder to install into. The part moves when it is sealed: nothing in it may depend on this path.
    pub fn path(&self) -> &Path {
        &self.draft
    }

    /// Where the install logs to; the log stays beside the part.
    pub fn log(&self) -> PathBuf {
        self.draft.with_extension("log")
    }

    /// The install is complete: gives the part its final place, and returns it.
    ///
    /// # Errors
    /// When it cannot be written out or renamed.
    pub fn seal(self) -> Result<PathBuf, FolderError> {
        let draft = File::open(&self.draft).map_err(failed("open", &self.draft))?;
        // Contents before name: after a power cut, too, what has the name is whole.
        nix::unistd::syncfs(&draft).map_err(|errno| failed("write out", &self.draft)(errno.into()))?;
        fs::rename(&self.draft, &self.place).map_err(failed("rename", &self.draft))?;
        Ok(self.place.clone())
    }
}

impl Drop for Vacancy {
    fn drop(&mut self) {
        // Best effort: the next install clears what is left. After a seal there is nothing here.
        let _ = fs::remove_dir_all(&self.draft);
    }
}

/// Data and logs of one run. Clones are the same run; it counts as finished when the last is gone.
#[derive(Debug, Clone)]
pub struct Run {
    inner: Arc<RunFolder>,
}

#[derive(Debug)]
struct RunFolder {
    path: PathBuf,
    /// Invariant: held as long as the run is in use, and released by the kernel if we are killed.
    _lock: File,
}

impl Run {
    /// The run's folder.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// A new, empty folder for one part: `kafka`, and for a second one `kafka-2`.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn room(&self, part: &str) -> Result<PathBuf, FolderError> {
        let mut number = 1;
        loop {
            let path = self.path().join(if number == 1 {
                part.to_owned()
            } else {
                format!("{part}-{number}")
            });
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(failed("create", &path)(error)),
            }
        }
    }

    /// Where a process that works in `room` logs to: `logs/ROOM.log`. A process started again appends.
    pub fn log(&self, room: &Path) -> PathBuf {
        let name = room.file_name().unwrap_or(room.as_os_str()).to_string_lossy();
        self.path().join("logs").join(format!("{name}.log"))
    }
}

/// Where a part is installed, runs, and is reported: what every part needs to start.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// Holds what is installed.
    pub folder: &'a Folder,
    /// Holds data and logs.
    pub run: &'a Run,
    /// Hears what happens.
    pub progress: &'a dyn Progress,
}

fn remove_old_runs(runs: &Path) -> Result<(), FolderError> {
    let entries = fs::read_dir(runs).map_err(failed("read", runs))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|p| p.is_dir())
        .collect();
    // The id behind the last dash begins with the time.
    found.sort_by_key(|path| path.to_string_lossy().rsplit('-').next().map(str::to_owned));
    let mut bytes: Vec<(PathBuf, u64)> = found.into_iter().map(|path| (path.clone(), bytes_in(&path))).collect();
    let mut total: u64 = bytes.iter().map(|(_, size)| size).sum();
    let mut count = bytes.len();
    for (path, size) in bytes.drain(..) {
        if count <= RUNS_KEPT && total <= RUNS_BYTES {
            break;
        }
        if is_finished(&path)? {
            remove_tree(&path)?;
            count -= 1;
            total -= size;
        }
    }
    Ok(())
}

fn is_finished(run: &Path) -> Result<bool, FolderError> {
    let path = run.join("lock");
    match open_lock(&path)?.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
    }
}

/// Bytes on disk; what cannot be read (it may be written to, or vanish, meanwhile) counts nothing.
fn bytes_in(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

fn remove_tree(path: &Path) -> Result<(), FolderError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn open_lock(path: &Path) -> Result<File, FolderError> {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed("open", path))
}

fn exclusive(path: &Path) -> Result<File, FolderError> {
    let file = open_lock(path)?;
    file.lock().map_err(failed("lock", path))?;
    Ok(file)
}

/// Waits for another process's install, which may take minutes, without holding up the async runtime.
async fn lock_in_background(file: File, path: &Path) -> Result<File, FolderError> {
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    locked.map_err(io::Error::other).flatten().map_err(failed("lock", path))
}

#[cfg(test)]
mod tests;
