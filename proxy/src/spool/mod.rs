//! The spool: what holds records while Kafka is away, on this machine's disk.
//!
//! An append-only log in numbered files. One thread writes: it takes everything that has been appended since its last turn,
//! writes it, syncs it once, and says so to each. Records are Kafka's own, as they will be published, so that what is drained
//! later, even by another process, is what a broker would have had. `README.md` has the format.

mod entry;
mod folder;
mod group;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub(crate) use entry::Entry;
pub use folder::OpenError;
use folder::{Cut, Folder, Stored};

/// Where, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolSettings {
    /// A folder of this proxy alone.
    pub dir: PathBuf,
    /// Most bytes on disk.
    pub max_bytes: u64,
}

/// Why a record is not in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// Its cap is reached.
    #[error("the spool is full")]
    Full,
    /// The disk did not take it, or nobody knows.
    #[error("the spool cannot be written")]
    Failed,
}

/// Told, by the writing thread, what became of a record.
pub(crate) type Told = Box<dyn FnOnce(Result<(), SpoolError>) + Send>;

/// The spool. Dropping it ends its thread, after what was appended is written.
#[derive(Debug)]
pub(crate) struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: Folder,
    max_bytes: u64,
    state: Mutex<State>,
    /// There is something to write, a file to close, or an end.
    work: Condvar,
    /// A file was closed.
    closed: Condvar,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Appended>,
    /// Whole and closed, the oldest first.
    files: VecDeque<Stored>,
    /// The one that is written to.
    active: Option<Stored>,
    /// Of all files and of the queue.
    bytes: u64,
    next_number: u64,
    /// Appends so far, and those that the thread is done with.
    appended: u64,
    written: u64,
    /// The active file is to be closed when this many are written.
    close_after: Option<u64>,
    /// When how many were written it was closed last, and the newest closed file then.
    closed: (u64, Option<u64>),
    ending: bool,
}

struct Appended {
    bytes: Vec<u8>,
    told: Told,
}

impl std::fmt::Debug for Appended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appended").field("bytes", &self.bytes.len()).finish()
    }
}

impl Spool {
    /// Opens the folder and starts the thread. What a process before this one left is drained first.
    pub(crate) fn open(settings: &SpoolSettings) -> Result<(Self, Vec<Cut>), OpenError> {
        let (folder, files, cuts) = Folder::open(&settings.dir)?;
        let next_number = files
            .iter()
            .map(|file| file.number)
            .chain(cuts.iter().map(|cut| cut.number));
        let shared = Arc::new(Shared {
            folder,
            max_bytes: settings.max_bytes,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                bytes: files.iter().map(|file| file.bytes).sum(),
                next_number: next_number.max().map_or(1, |highest| highest + 1),
                active: None,
                closed: (0, files.iter().map(|file| file.number).max()),
                files: files.into(),
                appended: 0,
                written: 0,
                close_after: None,
                ending: false,
            }),
            work: Condvar::new(),
            closed: Condvar::new(),
        });
        let writing = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("spool".to_owned());
        thread
            .spawn(move || group::write(&writing))
            .map_err(|error| OpenError::Io {
                path: settings.dir.clone(),
                error,
            })?;
        Ok((Self { shared }, cuts))
    }

    /// Puts a record at the end; `told` hears when it is synced. Never blocks on the disk.
    ///
    /// # Errors
    /// [`SpoolError::Full`]; `told` is dropped.
    pub(crate) fn append(&self, entry: Entry<'_>, told: Told) -> Result<(), SpoolError> {
        let mut bytes = Vec::with_capacity(entry.size());
        entry.encode(&mut bytes);
        let mut state = self.shared.state();
        if state.bytes + bytes.len() as u64 > self.shared.max_bytes {
            return Err(SpoolError::Full);
        }
        state.bytes += bytes.len() as u64;
        state.appended += 1;
        state.queue.push_back(Appended { bytes, told });
        self.shared.work.notify_one();
        Ok(())
    }

    /// Whether a record of about this size would find room.
    pub(crate) fn has_room(&self, size: usize) -> bool {
        self.shared.state().bytes + size as u64 <= self.shared.max_bytes
    }

    /// Bytes on disk, or on their way there.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.state().bytes
    }

    /// Lets the file that is written to be closed behind everything that was appended before this call; the place where.
    /// Does not block.
    pub(crate) fn close_file(&self) -> u64 {
        let mut state = self.shared.state();
        let until = state.appended;
        state.close_after = Some(until);
        self.shared.work.notify_one();
        until
    }

    /// Waits until that has happened; the newest closed file then, if there is any. Blocks.
    pub(crate) fn wait_closed(&self, until: u64) -> Option<u64> {
        let mut state = self.shared.state();
        while state.close_after.is_some_and(|after| after <= until) {
            state = self.shared.closed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.closed.1
    }

    /// The oldest closed file up to this one, and the bytes of its entries. Blocks while it reads.
    pub(crate) fn oldest(&self, newest: u64) -> Option<(u64, std::io::Result<Vec<u8>>)> {
        let stored = self.shared.state().files.front().copied();
        let stored = stored.filter(|file| file.number <= newest)?;
        Some((stored.number, self.shared.folder.read(stored)))
    }

    /// Keeps the oldest file, which is damaged, under another name, and forgets it.
    pub(crate) fn set_aside(&self, number: u64) {
        let mut state = self.shared.state();
        if state.files.front().is_some_and(|file| file.number == number) {
            let file = state.files.pop_front();
            state.bytes = state.bytes.saturating_sub(file.map_or(0, |file| file.bytes));
            if let Err(error) = self.shared.folder.set_aside(number) {
                tracing::error!(%error, file = number, "a damaged spool file cannot be set aside");
            }
        }
    }

    /// Every record of the closed files up to this number is elsewhere.
    pub(crate) fn remove_through(&self, number: u64) {
        let mut state = self.shared.state();
        while let Some(file) = state.files.front().copied().filter(|file| file.number <= number) {
            state.files.pop_front();
            state.bytes = state.bytes.saturating_sub(file.bytes);
            if let Err(error) = self.shared.folder.remove(file.number) {
                tracing::error!(%error, file = file.number, "a drained spool file cannot be removed; it will be drained again");
            }
        }
    }
}

/// The entries of a file, in order, and what follows the last whole one: nothing, unless the disk has lost something.
pub(crate) fn entries(mut bytes: &[u8]) -> (Vec<Entry<'_>>, &[u8]) {
    let mut entries = Vec::new();
    while let Ok((entry, rest)) = Entry::decode(bytes) {
        entries.push(entry);
        bytes = rest;
    }
    (entries, bytes)
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.state().ending = true;
        self.shared.work.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can panic half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
