//! The thread that writes: one sync for all that came meanwhile.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::PoisonError;

use super::folder::{Folder, MAGIC, Stored};
use super::{Appended, Shared, SpoolError};

/// A file that has grown to this is closed: the unit that is drained and removed.
const FILE_BYTES: u64 = 8 * 1024 * 1024;
/// Most bytes for one sync.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// Until the spool is dropped and all is written.
pub(super) fn write(shared: &Shared) {
    let mut open: Option<File> = None;
    loop {
        let Some((group, active)) = next(shared, &mut open) else {
            return;
        };
        let before = active.map_or(MAGIC.len() as u64, |file| file.bytes);
        let size: usize = group.iter().map(|appended| appended.bytes.len()).sum();
        let outcome = match append(shared, &mut open, active, &group) {
            Ok(number) => {
                let mut state = shared.state();
                state.active = Some(Stored {
                    number,
                    bytes: before + size as u64,
                });
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, records = group.len(), "the spool cannot be written");
                give_up(shared, &mut open, size as u64);
                Err(SpoolError::Failed)
            }
        };
        // Before the file may be closed: whoever waits for that finds them told.
        let count = group.len() as u64;
        for appended in group {
            (appended.told)(outcome);
        }
        shared.state().written += count;
    }
}

/// What to write next, after closing the file where that is due. None at the end.
fn next(shared: &Shared, open: &mut Option<File>) -> Option<(Vec<Appended>, Option<Stored>)> {
    let mut state = shared.state();
    loop {
        let asked = state.close_after.filter(|after| state.written >= *after);
        if asked.is_some() || state.active.is_some_and(|file| file.bytes >= FILE_BYTES) {
            let closed = state.active.take();
            state.files.extend(closed);
            *open = None;
        }
        if let Some(after) = asked {
            state.close_after = None;
            state.closed = (after, state.files.back().map(|file| file.number));
            shared.closed.notify_all();
        }
        if !state.queue.is_empty() {
            let mut size = 0;
            let mut group = Vec::new();
            while let Some(first) = state.queue.front() {
                // What is asked to be in a file of its own ends the group.
                let ends_here = state
                    .close_after
                    .is_some_and(|after| state.written + group.len() as u64 >= after);
                if !group.is_empty() && (size + first.bytes.len() > GROUP_BYTES || ends_here) {
                    break;
                }
                size += first.bytes.len();
                group.extend(state.queue.pop_front());
            }
            return Some((group, state.active));
        }
        if state.ending {
            return None;
        }
        state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Writes and syncs; the number of the file.
fn append(shared: &Shared, open: &mut Option<File>, active: Option<Stored>, group: &[Appended]) -> io::Result<u64> {
    let (file, number) = match (open.as_mut(), active) {
        (Some(file), Some(active)) => (file, active.number),
        _ => {
            let number = {
                let mut state = shared.state();
                state.next_number += 1;
                state.next_number - 1
            };
            // Remembered before anything is written, so that a failure knows what to cut.
            let file = open.insert(shared.folder.create(number)?);
            let mut state = shared.state();
            state.bytes += MAGIC.len() as u64;
            state.active = Some(Stored {
                number,
                bytes: MAGIC.len() as u64,
            });
            drop(state);
            (file, number)
        }
    };
    for appended in group {
        file.write_all(&appended.bytes)?;
    }
    file.sync_data()?;
    Ok(number)
}

/// After a failed write: the file ends where it was last synced, and takes no more.
fn give_up(shared: &Shared, open: &mut Option<File>, size: u64) {
    let mut state = shared.state();
    state.bytes = state.bytes.saturating_sub(size);
    if let (Some(file), Some(active)) = (open.take(), state.active.take()) {
        if let Err(error) = Folder::truncate(&file, active.bytes) {
            tracing::error!(%error, file = active.number, "and its torn end cannot be cut; the next start does that");
        }
        state.files.push_back(active);
    }
}
