//! The spool's files: numbered, read whole, cut where they are torn.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::entry::Entry;

/// What a file begins with: format and version.
pub(super) const MAGIC: &[u8; 8] = b"tapespl1";
/// For the owner only: frames hold payloads as they were sent.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// A folder that this process holds alone.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Locked while it is open.
    _lock: File,
}

/// A file with entries, all of them whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) number: u64,
    /// Up to which its entries are whole and synced.
    pub(super) bytes: u64,
}

/// Bytes at a file's end that are no whole entry. They are kept beside it, under the same number and `.cut`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The file's number.
    pub(crate) number: u64,
    /// How many bytes.
    pub(crate) bytes: u64,
    /// Whether it is the last file: what was being written when the machine stopped, and never acknowledged. In any other the
    /// disk has lost what was synced.
    pub(crate) is_last: bool,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system says no.
    #[error("{path}: {error}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Two proxies would write over each other.
    #[error("{path} is in use by another process; every proxy needs a folder of its own")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

impl Folder {
    /// Makes the folder where there is none, locks it, and cuts what is torn. Files come in the order of their numbers.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Stored>, Vec<Cut>), OpenError> {
        let of = |path: &Path| {
            let path = path.to_owned();
            move |error| OpenError::Io { path, error }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(path)
            .map_err(of(path))?;
        let lock_path = path.join("lock");
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(FILE_MODE);
        let lock = lock.open(&lock_path).map_err(of(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.to_owned() }),
            Err(fs::TryLockError::Error(error)) => return Err(of(&lock_path)(error)),
        }
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        let numbers = folder.numbers().map_err(of(path))?;
        let (mut stored, mut cuts) = (Vec::new(), Vec::new());
        for number in &numbers {
            let is_last = numbers.last() == Some(number);
            let (file, cut) = folder.repair(*number, is_last).map_err(of(&folder.file(*number)))?;
            stored.extend(file);
            cuts.extend(cut);
        }
        Ok((folder, stored, cuts))
    }

    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for found in fs::read_dir(&self.path)? {
            let name = found?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".spool"));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Cuts what is torn; a file without an entry goes.
    fn repair(&self, number: u64, is_last: bool) -> io::Result<(Option<Stored>, Option<Cut>)> {
        let path = self.file(number);
        let bytes = fs::read(&path)?;
        let whole = whole_length(&bytes);
        let cut = (whole < bytes.len()).then(|| Cut {
            number,
            bytes: (bytes.len() - whole) as u64,
            is_last,
        });
        if cut.is_some() {
            let mut kept = self.new_file(&self.path.join(format!("{number:020}.cut")))?;
            kept.write_all(&bytes[whole..])?;
            kept.sync_all()?;
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(whole as u64)?;
            file.sync_all()?;
        }
        if whole <= MAGIC.len() {
            self.remove(number)?;
            return Ok((None, cut));
        }
        let bytes = whole as u64;
        Ok((Some(Stored { number, bytes }), cut))
    }

    /// A new file, with its first bytes, that a crash of the machine does not lose.
    pub(super) fn create(&self, number: u64) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(FILE_MODE);
        let mut file = options.open(self.file(number))?;
        file.write_all(MAGIC)?;
        file.sync_all()?;
        File::open(&self.path)?.sync_all()?;
        Ok(file)
    }

    /// The entries' bytes.
    pub(super) fn read(&self, stored: Stored) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.file(stored.number))?;
        file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
        let mut bytes = Vec::new();
        file.take(stored.bytes.saturating_sub(MAGIC.len() as u64))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn remove(&self, number: u64) -> io::Result<()> {
        fs::remove_file(self.file(number))
    }

    /// Under a name that is not read again.
    pub(super) fn set_aside(&self, number: u64) -> io::Result<()> {
        fs::rename(self.file(number), self.path.join(format!("{number:020}.damaged")))
    }

    /// As it was before a failed write.
    pub(super) fn truncate(file: &File, bytes: u64) -> io::Result<()> {
        file.set_len(bytes)?;
        file.sync_all()
    }

    fn new_file(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(FILE_MODE);
        options.open(path)
    }

    fn file(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:020}.spool"))
    }
}

/// Up to which a file is whole.
fn whole_length(bytes: &[u8]) -> usize {
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return 0;
    };
    while let Ok((_, next)) = Entry::decode(rest) {
        rest = next;
    }
    bytes.len() - rest.len()
}
