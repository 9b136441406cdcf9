//! Reading one file: its text, where it stands, its environment, and the problems found so far.

use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::OsString,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use crate::{Errors, Section};

/// Where `{ env = "NAME" }` looks names up: the process's environment, or a given map (for tests, which cannot change
/// the process's environment safely).
#[derive(Clone, Default)]
pub enum Environment {
    /// The environment of this process.
    #[default]
    Process,
    /// Only these variables are set.
    Given(HashMap<String, String>),
}

impl Environment {
    /// The variable's value, when it is set.
    pub(crate) fn variable(&self, name: &str) -> Option<OsString> {
        match self {
            Self::Process => std::env::var_os(name),
            Self::Given(variables) => variables.get(name).map(OsString::from),
        }
    }
}

impl fmt::Debug for Environment {
    /// Names how variables are looked up, never their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "Process",
            Self::Given(_) => "Given",
        })
    }
}

/// The reading of one file. Collects problems; everything that reads or checks a part of the file reports here.
#[derive(Debug)]
pub struct Reader {
    /// Directory of the file: relative paths in it start here, wherever the service was started.
    base: PathBuf,
    environment: Environment,
    problems: RefCell<Vec<(Range<usize>, String)>>,
    /// The file itself, where it is one, and every path in it.
    files: RefCell<Vec<PathBuf>>,
}

impl Reader {
    /// Reports a problem at `span`, a byte range of the file's text (from [`Section::span`] or [`At`](crate::At)). The
    /// message is one line: what is wrong, then what to do. It must not hold a secret.
    pub fn problem(&self, span: Range<usize>, message: impl Into<String>) {
        self.problems.borrow_mut().push((span, message.into()));
    }

    /// The path as written in the file, made relative to the file's directory when it is not absolute.
    pub fn path(&self, written: &str) -> PathBuf {
        let path = self.base.join(written);
        self.files.borrow_mut().push(path.clone());
        path
    }

    /// The file that is read, and the paths that were found in it so far, folders among them: what a service has to watch
    /// to learn that its configuration has changed.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.borrow().clone()
    }

    /// Where environment variables are looked up.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// Reads the file at `path` and builds a service's configuration from it.
///
/// `build` walks the root table and answers `None` only after a problem was reported. What it builds is returned only
/// when nothing at all is wrong.
///
/// # Errors
///
/// [`Errors`] with everything that is wrong: the file cannot be read (one problem), it is not TOML (every such place,
/// and nothing else), or the problems that the walk found.
pub fn read<T>(path: &Path, build: impl FnOnce(&Section<'_>) -> Option<T>) -> Result<T, Errors> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("the configuration file cannot be read: {error}");
        Errors::whole(&name, message).found_in(vec![path.to_owned()])
    })?;
    let from = Source {
        name: &name,
        text: &text,
        base: path.parent().map(Path::to_path_buf).unwrap_or_default(),
        file: Some(path.to_owned()),
    };
    read_at(from, Environment::Process, build)
}

/// [`read`] for text that is at hand: `name` stands for the file in messages, relative paths start in the current
/// directory.
///
/// # Errors
///
/// As [`read`].
pub fn read_text<T>(name: &str, text: &str, build: impl FnOnce(&Section<'_>) -> Option<T>) -> Result<T, Errors> {
    read_text_with(name, text, Environment::Process, build)
}

/// [`read_text`] with a given environment.
///
/// # Errors
///
/// As [`read`].
pub fn read_text_with<T>(
    name: &str,
    text: &str,
    environment: Environment,
    build: impl FnOnce(&Section<'_>) -> Option<T>,
) -> Result<T, Errors> {
    let from = Source {
        name,
        text,
        base: PathBuf::new(),
        file: None,
    };
    read_at(from, environment, build)
}

/// A text to read.
struct Source<'a> {
    name: &'a str,
    text: &'a str,
    base: PathBuf,
    file: Option<PathBuf>,
}

fn read_at<T>(
    from: Source<'_>,
    environment: Environment,
    build: impl FnOnce(&Section<'_>) -> Option<T>,
) -> Result<T, Errors> {
    let Source { name, text, base, file } = from;
    let files: Vec<PathBuf> = file.into_iter().collect();
    // After a syntax error the tables are a guess, and every further message would be one too.
    let (root, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        let found = syntax.iter().map(|error| {
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            (error.span().unwrap_or(0..0), format!("not TOML: {message}"))
        });
        return Err(Errors::new(name, text, found.collect()).found_in(files));
    }
    let reader = Reader {
        base,
        environment,
        problems: RefCell::default(),
        files: RefCell::new(files),
    };
    let built = {
        let section = Section::root(&reader, root.get_ref());
        build(&section)
        // The section reports unknown keys as it is dropped here.
    };
    let (problems, files) = (reader.problems.into_inner(), reader.files.into_inner());
    match built {
        Some(config) if problems.is_empty() => Ok(config),
        None if problems.is_empty() => {
            Err(Errors::whole(name, "the configuration is incomplete".to_owned()).found_in(files))
        }
        _ => Err(Errors::new(name, text, problems).found_in(files)),
    }
}
