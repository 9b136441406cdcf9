//! Where a target is, and how it is spoken to: `url` and `transport`, or `command`.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use tapedeck_config::{ByteSize, Field, Reader, SecretSource};
use url::Url;

use super::raw::RawProgram;

/// What every process is given of the proxy's own environment: without these few programs start.
const ALWAYS: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

/// Where a target is, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Streamable HTTP, at this URL.
    Http(Url),
    /// HTTP+SSE of the revision 2024-11-05: the URL of its event stream.
    Stream(Url),
    /// A child process of the proxy's, by its standard input and output.
    Process(Program),
}

/// A command, and what it may cost. Debug shows no value of its environment.
#[derive(Clone)]
pub struct Program {
    /// Its name, to be found in `PATH`, or its path.
    pub command: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// All of its environment.
    pub environment: Vec<(String, SecretString)>,
    /// Who has a process to themselves.
    pub per: Per,
    /// Processes at once. Default 64.
    pub processes: usize,
    /// Memory that each may write to, in bytes. Default: no limit.
    pub memory: Option<u64>,
    /// Files that each may have open. Default: the proxy's own limit.
    pub open_files: Option<u64>,
}

/// Who has a process to themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Per {
    /// Each session. Revisions up to 2025-11-25 only.
    #[default]
    Session,
    /// Each user, with all sessions.
    User,
    /// Nobody: all users have one together. It cannot ask its clients anything.
    Shared,
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            command,
            arguments,
            environment,
            per,
            processes,
            memory,
            open_files,
        } = self;
        let is_same = |((name, value), (other, theirs)): (&(String, SecretString), &(String, SecretString))| {
            name == other && value.expose_secret() == theirs.expose_secret()
        };
        (command, arguments, per, processes, memory, open_files)
            == (
                &other.command,
                &other.arguments,
                &other.per,
                &other.processes,
                &other.memory,
                &other.open_files,
            )
            && environment.len() == other.environment.len()
            && environment.iter().zip(&other.environment).all(is_same)
    }
}

impl Eq for Program {}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Program")
            .field("command", &self.command)
            .field("environment", &names)
            .field("per", &self.per)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The URL, where there is one.
    pub fn url(&self) -> Option<&Url> {
        match self {
            Self::Http(url) | Self::Stream(url) => Some(url),
            Self::Process(_) => None,
        }
    }

    pub(super) fn build(
        url: Field<'_, Url>,
        transport: Field<'_, String>,
        program: RawProgram<'_>,
        reader: &Reader,
    ) -> Option<Self> {
        if !program.command.is_present() {
            program.refuse_without_command(reader);
            let is_stream = transport.and_then(is_stream).or(false);
            let url =
                url.required("the server's MCP endpoint, such as \"http://127.0.0.1:3001/mcp\"; or give a `command`")?;
            return Some(if is_stream { Self::Stream(url) } else { Self::Http(url) });
        }
        for (is_present, span, key) in [
            (url.is_present(), url.span(), "url"),
            (transport.is_present(), transport.span(), "transport"),
        ] {
            if is_present {
                reader.problem(span, format!("`{key}` and `command` are both given; keep one"));
            }
        }
        Program::build(program, reader).map(Self::Process)
    }
}

fn is_stream(transport: String) -> Result<bool, String> {
    match transport.as_str() {
        "streamable_http" => Ok(false),
        "sse" => Ok(true),
        _ => Err(format!(
            "{transport:?} is no transport; write \"streamable_http\", or \"sse\" for HTTP+SSE of 2024-11-05"
        )),
    }
}

impl Program {
    fn build(raw: RawProgram<'_>, reader: &Reader) -> Option<Self> {
        let inherited = |name: &str| SecretSource::Env(name.to_owned()).text(reader.environment());
        let named = raw.env.and_then(|entries: Vec<String>| {
            entries
                .into_iter()
                .map(|entry| match entry.split_once('=') {
                    Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), SecretString::from(value))),
                    Some(_) => Err(format!("{entry:?} has no name")),
                    None => match inherited(&entry) {
                        Ok(value) => Ok((entry, value)),
                        Err(error) => Err(error.to_string()),
                    },
                })
                .collect::<Result<Vec<_>, String>>()
        });
        let mut environment: Vec<(String, SecretString)> = ALWAYS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), inherited(name).ok()?)))
            .collect();
        environment.extend(named.or(Vec::new()));
        let memory = raw.memory.optional();
        Some(Self {
            command: PathBuf::from(raw.command.required("the program of the server, such as \"npx\"")?),
            arguments: raw.args.or(Vec::new()),
            environment,
            per: raw.per.and_then(per).or(Per::Session),
            processes: raw.processes.or(NonZeroU32::MIN.saturating_add(63)).get() as usize,
            memory: memory.map(|size: ByteSize| size.as_u64()),
            open_files: raw
                .open_files
                .optional()
                .map(|files: NonZeroU32| u64::from(files.get())),
        })
    }
}

fn per(per: String) -> Result<Per, String> {
    match per.as_str() {
        "session" => Ok(Per::Session),
        "user" => Ok(Per::User),
        "shared" => Ok(Per::Shared),
        _ => Err(format!("{per:?} must be \"session\", \"user\" or \"shared\"")),
    }
}
