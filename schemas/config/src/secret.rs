//! Secrets: named in the file, held elsewhere.

use std::{fmt, io, io::Read, path::PathBuf};

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use zeroize::Zeroizing;

use crate::{Environment, FromToml, Node};

/// The longest secret taken from a file, in bytes: a private key fits, a path to the wrong file does not fill memory.
const LONGEST: u64 = 64 * 1024;

/// Where a secret is held: `{ env = "NAME" }` or `{ file = "path" }`. Not a secret itself; safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The environment variable of this name.
    Env(String),
    /// The content of this file, less one newline at its end.
    File(PathBuf),
}

/// Why a secret could not be had. Names its source, never its value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("the environment variable {0} is not set")]
    NotSet(String),
    /// The variable or file is there, but holds nothing.
    #[error("{0} is empty")]
    Empty(SecretSource),
    /// Text was asked for, and the value is none.
    #[error("{0} is not UTF-8 text")]
    NotText(SecretSource),
    /// The file cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(SecretSource, #[source] io::Error),
    /// The file is longer than any secret.
    #[error("{0} is larger than 64 KiB; is it the right file?")]
    TooLong(SecretSource),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

impl SecretSource {
    /// The secret as text.
    ///
    /// # Errors
    ///
    /// [`SecretError`]: not set, unreadable, too long, empty, or not UTF-8.
    pub fn text(&self, environment: &Environment) -> Result<SecretString, SecretError> {
        let bytes = self.bytes(environment)?;
        let text = std::str::from_utf8(bytes.expose_secret()).map_err(|_| SecretError::NotText(self.clone()))?;
        Ok(SecretString::from(text))
    }

    /// The secret as bytes. One newline (`\n` or `\r\n`) at a file's end is cut: editors and `echo` put it there.
    ///
    /// # Errors
    ///
    /// [`SecretError`]: not set, unreadable, too long, or empty.
    pub fn bytes(&self, environment: &Environment) -> Result<SecretSlice<u8>, SecretError> {
        let mut value = match self {
            Self::Env(name) => {
                let value = environment
                    .variable(name)
                    .ok_or_else(|| SecretError::NotSet(name.clone()))?;
                Zeroizing::new(value.into_encoded_bytes())
            }
            Self::File(path) => {
                // Room for all of it from the start: a vector that grows leaves copies that nothing wipes.
                let mut value = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
                let unreadable = |error| SecretError::Unreadable(self.clone(), error);
                let file = std::fs::File::open(path).map_err(unreadable)?;
                file.take(LONGEST + 1).read_to_end(&mut value).map_err(unreadable)?;
                if value.len() as u64 > LONGEST {
                    return Err(SecretError::TooLong(self.clone()));
                }
                let line = value
                    .strip_suffix(b"\n")
                    .map_or(value.len(), |rest| rest.strip_suffix(b"\r").unwrap_or(rest).len());
                value.truncate(line);
                value
            }
        };
        if value.is_empty() {
            return Err(SecretError::Empty(self.clone()));
        }
        Ok(SecretSlice::from(std::mem::take(&mut *value)))
    }
}

impl FromToml for SecretSource {
    fn from_toml(node: &Node<'_>) -> Option<Self> {
        if !matches!(node.value(), toml::de::DeValue::Table(_)) {
            // The value itself stays out of the message: somebody may have written the secret here.
            node.problem(format!(
                "`{}` must say where the secret is held: {{ env = \"NAME\" }} or {{ file = \"path\" }}",
                node.path()
            ));
            return None;
        }
        let section = node.section()?;
        let env = section.field::<String>("env").and_then(variable_name);
        let file = section.field::<PathBuf>("file");
        match (env.is_present(), file.is_present()) {
            (true, false) => env.optional().map(Self::Env),
            (false, true) => file.optional().map(Self::File),
            (both, _) => {
                let found = if both {
                    "both `env` and `file`"
                } else {
                    "neither `env` nor `file`"
                };
                let path = node.path();
                let message = format!("`{path}` has {found}; give one: {{ env = \"NAME\" }} or {{ file = \"path\" }}");
                section.reader().problem(section.span(), message);
                None
            }
        }
    }
}

/// A name that an environment variable can have (IEEE Std 1003.1, 8.1, and lower case).
pub(crate) fn variable_name(name: String) -> Result<String, &'static str> {
    let fits =
        |(index, byte): (usize, u8)| byte == b'_' || byte.is_ascii_alphabetic() || index > 0 && byte.is_ascii_digit();
    if name.bytes().enumerate().all(fits) {
        Ok(name)
    } else {
        // Not repeated in the message: somebody may have written the secret here.
        Err("this is not the name of an environment variable (letters, digits, _)")
    }
}
