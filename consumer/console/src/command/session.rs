//! A profile: one installation, and who is signed in there. Kept in a file that only its owner can read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use url::Url;

use super::failure::Failure;

/// A token that ends sooner is not worth sending.
const LAST_MOMENT: Duration = Duration::from_secs(30);

/// What is kept of one installation.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Profile {
    /// The console's URL.
    pub(super) server: Url,
    /// What the console says of signing in.
    pub(super) issuer: Issuer,
    /// The tokens of who is signed in.
    pub(super) tokens: Tokens,
}

/// Where tokens come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Issuer {
    pub(super) url: String,
    pub(super) client_id: String,
    pub(super) audience: String,
    pub(super) token_endpoint: Url,
    pub(super) revocation_endpoint: Option<Url>,
}

/// The tokens of who is signed in. Has no Debug: they are secrets.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    /// Seconds since 1970.
    pub(super) expires: u64,
}

impl Tokens {
    /// Whether the access token is good for one more request.
    pub(super) fn is_good(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Duration::from_secs(self.expires) > now + LAST_MOMENT
    }
}

/// Where one profile is kept.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    name: String,
}

impl Shelf {
    /// The place of the profile of that name.
    ///
    /// # Errors
    /// A name that is no file's, or a process without a home.
    pub(super) fn of(name: &str) -> anyhow::Result<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.bytes().all(is_plain) {
            let message = format!("{name:?} is no profile's name: letters, digits, '-', '_' and '.'");
            return Err(Failure::Usage(message).into());
        }
        Ok(Self {
            folder: state_folder()?.join("profiles"),
            name: name.to_owned(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What is kept; none where nobody has signed in.
    pub(super) fn read(&self) -> anyhow::Result<Option<Profile>> {
        let path = self.file("json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        // What is wrong with it is not told: it holds tokens.
        match serde_json::from_slice(&text) {
            Ok(profile) => Ok(Some(profile)),
            Err(_) => bail!("{} is no profile: sign in again", path.display()),
        }
    }

    /// Keeps it, whole or not at all.
    pub(super) fn write(&self, profile: &Profile) -> anyhow::Result<()> {
        let path = self.file("json");
        let write = || -> io::Result<()> {
            self.make_folder()?;
            // A name of its own: two programs that sign in at once do not write into each other's file.
            let new = self.file(&format!("{}.new", std::process::id()));
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&serde_json::to_vec(profile)?)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().with_context(|| format!("writing {}", path.display()))
    }

    /// Keeps nothing any more.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        let path = self.file("json");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Holds other programs of this profile off while a token is refreshed: many issuers take a refresh token only once.
    /// Waits; may block.
    pub(super) fn lock(&self) -> anyhow::Result<File> {
        let path = self.file("lock");
        let lock = || -> io::Result<File> {
            self.make_folder()?;
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)?;
            file.lock()?;
            Ok(file)
        };
        lock().with_context(|| format!("locking {}", path.display()))
    }

    fn make_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.name))
    }
}

/// As the XDG Base Directory Specification has it: relative paths in the variable are to be ignored.
fn state_folder() -> anyhow::Result<PathBuf> {
    let given = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let folder = given("XDG_STATE_HOME").or_else(|| Some(given("HOME")?.join(".local/state")));
    Ok(folder
        .context("neither XDG_STATE_HOME nor HOME is set")?
        .join("tapedeck"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn profile() -> Profile {
        Profile {
            server: "https://tapedeck.example".parse().expect("a URL"),
            issuer: Issuer {
                url: "https://login.example".to_owned(),
                client_id: "cli".to_owned(),
                audience: "tapedeck".to_owned(),
                token_endpoint: "https://login.example/token".parse().expect("a URL"),
                revocation_endpoint: None,
            },
            tokens: Tokens {
                access: "secret".to_owned(),
                refresh: None,
                expires: 100,
            },
        }
    }

    #[test]
    fn nobody_else_can_read_a_profile() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Shelf {
            folder: folder.path().join("profiles"),
            name: "prod".to_owned(),
        };
        assert!(shelf.read().expect("nothing is wrong").is_none());
        shelf.write(&profile()).expect("written");
        let mode = |path: &PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&shelf.file("json")), mode(&shelf.folder)), (0o600, 0o700));
        let read = shelf.read().expect("readable").expect("a profile");
        assert_eq!(read.tokens.access, "secret");
        fs::write(shelf.file("json"), "{\"tokens\":{\"access\":\"secret\"}").expect("written");
        let error = shelf.read().err().expect("it is broken").to_string();
        assert!(!error.contains("secret") && error.contains("sign in"), "{error}");
        shelf.remove().expect("removed");
        shelf.remove().expect("gone already");
    }

    #[test]
    fn a_profile_is_no_path() {
        for wrong in ["", "..", "a/b", ".hidden", "ä", "a b"] {
            assert!(Shelf::of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_is_not_sent_in_its_last_moments() {
        let tokens = profile().tokens;
        assert!(tokens.is_good(UNIX_EPOCH + Duration::from_secs(60)));
        assert!(!tokens.is_good(UNIX_EPOCH + Duration::from_secs(80)));
    }
}
