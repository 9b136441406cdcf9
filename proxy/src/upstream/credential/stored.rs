//! A secret in a variable or a file. A file is read again when it has changed, so that secrets rotate without a restart.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tapedeck_config::{Environment, SecretSource};

/// How often a file is looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// A secret, as it was when it was last good.
pub(crate) struct Stored {
    source: SecretSource,
    state: Mutex<State>,
}

struct State {
    secret: SecretString,
    /// Of the file that was read last, good or not.
    stamp: Option<Stamp>,
    looked: Instant,
}

/// Tells a file from the one that was there before: also where links are changed, as Kubernetes does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stored {
    /// A secret that was read from there a moment ago.
    pub(crate) fn new(source: SecretSource, secret: SecretString) -> Self {
        let stamp = match &source {
            SecretSource::File(path) => stamp(path),
            SecretSource::Env(_) => None,
        };
        let looked = Instant::now();
        Self {
            source,
            state: Mutex::new(State { secret, stamp, looked }),
        }
    }

    /// The secret as it is now. A file that cannot be read, or holds none, leaves the one before.
    pub(crate) fn secret(&self) -> SecretString {
        self.secret_at(Instant::now())
    }

    fn secret_at(&self, now: Instant) -> SecretString {
        let mut state = self.state();
        if let SecretSource::File(path) = &self.source
            && now.saturating_duration_since(state.looked) >= LOOK
        {
            state.looked = now;
            // One stat(2) a second: nothing that a runtime's thread could not wait for.
            let found = stamp(path);
            if found != state.stamp {
                state.stamp = found;
                match self.source.text(&Environment::Process) {
                    Ok(secret) => {
                        state.secret = secret;
                        tracing::info!(source = %self.source, "a credential was read again");
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a credential has changed and cannot be read; the old one stays")
                    }
                }
            }
        }
        state.secret.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some(Stamp {
        device: found.dev(),
        inode: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_file_that_changes_is_read_again_and_one_that_breaks_leaves_the_old_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let replace = |text: &str| {
            let new = folder.path().join("new");
            fs::write(&new, text).expect("written");
            fs::rename(&new, &path).expect("renamed");
        };
        replace("first\n");
        let stored = Stored::new(SecretSource::File(path.clone()), "first".into());
        let mut now = Instant::now();
        let mut look = |after: Duration| {
            now += after;
            stored.secret_at(now).expose_secret().to_owned()
        };
        replace("second\n");
        assert_eq!(look(Duration::ZERO), "first", "not looked at on every request");
        assert_eq!(look(LOOK), "second");
        fs::remove_file(&path).expect("removed");
        assert_eq!(look(LOOK), "second");
        replace("");
        assert_eq!(look(LOOK), "second");
        replace("third");
        assert_eq!(look(LOOK), "third");
    }
}
