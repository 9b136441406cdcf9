//! ClickHouse as a library (chDB), in a child process that runs our own program.
//!
//! The library is a whole ClickHouse. Its command-line entry point runs queries as `clickhouse local` does; the first
//! opens the HTTP interface, and the second reads from a named pipe, so it lasts until the parent closes its end.

use std::ffi::{CStr, CString, NulError, OsString, c_char, c_int, c_void};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use libloading::{Library, Symbol};
use thiserror::Error;

use super::{ClickHouseError, Plan, QUERY_LOG, users};
use crate::binaries::binaries;
use crate::fetch;
use crate::folder::Site;
use crate::process::Launch;

/// As `deploy/dev/clickhouse/package.json` has it.
const VERSION: &str = "26.7.3-stable.1";

/// The user whom the queries of the command line run as, where others need a password: it cannot be told to use another
/// user, or to give a password. So this one may do what those queries do, and no more.
const SESSION_USER: &str = "    <default>
      <password></password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT CREATE TEMPORARY TABLE ON *.*</query>
        <query>GRANT FILE ON *.*</query>
      </grants>
    </default>
";

const LIBRARY: &str = "node_modules/@chdb/lib-linux-x64-gnu/libchdb.so";

pub(super) async fn prepare(plan: &Plan<'_>, site: Site<'_>) -> Result<Launch, ClickHouseError> {
    let library = fetch::npm(site.folder, "clickhouse", VERSION, site.progress)
        .await?
        .join(LIBRARY);
    let data = plan.room.join("data");
    let mut launch = Launch::new("ClickHouse", &binaries().await?.dev, &plan.log)
        .current_dir(plan.room)
        .arg("clickhouse-server")
        .args(["--port", &plan.port.to_string()])
        .args([OsString::from("--library"), library.into()])
        .args([OsString::from("--path"), data.into()])
        .args([OsString::from("--lifeline"), plan.lifeline.path.clone().into()]);
    if plan.login.is_some() {
        let config = plan.room.join("config.xml");
        fs::write(plan.room.join("users.xml"), users(plan.login, SESSION_USER))?;
        fs::write(
            &config,
            format!("<clickhouse>\n  <users_config>users.xml</users_config>\n{QUERY_LOG}</clickhouse>\n"),
        )?;
        launch = launch.arg("--config").arg(config);
    }
    Ok(launch)
}

/// What the child process is told: the arguments of `tapedeck-dev clickhouse-server`.
#[derive(Debug, clap::Args)]
pub struct ServerArguments {
    /// The library to load.
    #[arg(long)]
    library: PathBuf,
    /// The folder that holds the data.
    #[arg(long)]
    path: PathBuf,
    /// The HTTP port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// A named pipe: the server ends when its other end is closed.
    #[arg(long)]
    lifeline: PathBuf,
    /// ClickHouse's own configuration file, for a server whose users have passwords.
    #[arg(long)]
    config: Option<PathBuf>,
}

/// The child process could not serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The library could not be loaded, or lacks what we call.
    #[error("cannot load ClickHouse: {0}")]
    Load(#[from] libloading::Error),
    /// A path holds a NUL byte.
    #[error("not a path: {0}")]
    Path(#[from] NulError),
    /// ClickHouse ended with an error.
    #[error("ClickHouse: {0}")]
    ClickHouse(String),
}

/// Loads the library and serves until the lifeline's other end is closed. For a process that does nothing else: the
/// library starts threads and handles signals.
///
/// # Errors
/// When the library cannot be loaded, or ClickHouse ends with an error.
pub fn serve(arguments: &ServerArguments) -> Result<(), ServeError> {
    let mut words = Vec::new();
    for word in command_line(arguments) {
        words.push(CString::new(word.into_vec())?);
    }
    let mut pointers: Vec<*mut c_char> = words.iter().map(|word| word.as_ptr().cast_mut()).collect();
    let count = c_int::try_from(pointers.len()).expect("a handful of arguments");
    // C's argv ends with a null pointer.
    pointers.push(std::ptr::null_mut());

    // SAFETY: loading runs the library's initializers, once, in a process that has started no threads that they could race with.
    let library = unsafe { Library::new(&arguments.library) }?;
    // Its threads and exit handlers may outlast this call: it stays loaded.
    let library: &'static Library = Box::leak(Box::new(library));
    // SAFETY: the signatures are those that chDB declares in its `chdb.h`; its result type is opaque to callers.
    let query: Symbol<'_, unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void> =
        unsafe { library.get(b"chdb_query_cmdline\0") }?;
    // SAFETY: as above.
    let error_of: Symbol<'_, unsafe extern "C" fn(*mut c_void) -> *const c_char> =
        unsafe { library.get(b"chdb_result_error\0") }?;

    // SAFETY: `pointers` holds `count` NUL-terminated strings and a null, all alive until the call returns; the function
    // takes them as `main` does and does not write to the strings.
    let result = unsafe { query(count, pointers.as_mut_ptr()) };
    if result.is_null() {
        return Err(ServeError::ClickHouse("it gave no result".to_owned()));
    }
    // SAFETY: `result` came from the query function and was not destroyed.
    let error = unsafe { error_of(result) };
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: a non-null error is a NUL-terminated string that lives as long as its result, which is never destroyed.
    let error = unsafe { CStr::from_ptr(error) };
    Err(ServeError::ClickHouse(error.to_string_lossy().into_owned()))
}

fn command_line(arguments: &ServerArguments) -> Vec<OsString> {
    let ServerArguments {
        path,
        port,
        lifeline,
        config,
        ..
    } = arguments;
    let query = format!(
        "SYSTEM START LISTEN HTTP; SELECT * FROM file({}, 'LineAsString', 'line String')",
        quoted(lifeline)
    );
    let mut words: Vec<OsString> = vec!["clickhouse".into(), joined("--path=", path)];
    words.push(format!("--http_port={port}").into());
    words.push("--listen_host=127.0.0.1".into());
    if let Some(config) = config {
        words.push(joined("--config-file=", config));
    }
    words.push(format!("--query={query}").into());
    words
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut word = OsString::from(option);
    word.push(path);
    word
}

/// A path as a string of ClickHouse's SQL.
fn quoted(path: &Path) -> String {
    format!(
        "'{}'",
        path.display().to_string().replace('\\', "\\\\").replace('\'', "\\'")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_the_lock_file_pins() {
        let lock = include_str!("../../clickhouse/package-lock.json");
        assert!(lock.contains(&format!("\"version\": \"{VERSION}\"")));
        assert!(lock.contains("\"integrity\": \"sha512-"));
        assert!(!lock.contains("\"resolved\""), "the lock file names a registry");
    }

    #[test]
    fn a_path_with_a_quote_stays_one_string() {
        assert_eq!(quoted(Path::new("/it's/a\\b")), r"'/it\'s/a\\b'");
    }
}
