//! `tapedeck`: find recorded sessions and replay them, straight from ClickHouse, or serve them over HTTP.
//!
//! A session's life here: [`sessions`] lists what the view `sessions_v` has; [`replay`] streams one session's rows of
//! `frames` in the order of their numbers within the session and shows each as people or programs read it. [`redact`]
//! needs no ClickHouse.

mod arguments;
mod database;
mod deadletters;
mod json;
mod moment;
mod redact;
mod replay;
mod server;
mod sessions;
mod text;

use std::io::{self, Write as _};
use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser as _;
use database::Database;

/// What the exit code says: as documented in `--help`.
const NOT_FOUND: u8 = 2;
const BAD_USAGE: u8 = 64;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| {
        let code = if error.use_stderr() { BAD_USAGE } else { 0 };
        // Nothing is left to be done where even this cannot be printed.
        let _ = error.print();
        std::process::exit(code.into())
    });
    match run(arguments).await {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "tapedeck: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match arguments.command {
        Command::Redact(what) => {
            let code = redact::run(&what, &mut out)?;
            out.flush()?;
            return Ok(code);
        }
        Command::Serve(what) => return Ok(server::run(&what).await),
        Command::Sessions(filter) => {
            let database = Database::new(&arguments.connection)?;
            sessions::list(&database, &filter, &mut out).await?;
        }
        Command::Deadletters(what) => {
            let database = Database::new(&arguments.connection)?;
            if !deadletters::run(&database, &what, &mut out).await? {
                writeln!(
                    io::stderr(),
                    "tapedeck: no such dead letter: `tapedeck deadletters list` has them"
                )?;
                return Ok(ExitCode::from(NOT_FOUND));
            }
        }
        Command::Replay(what) => {
            let database = Database::new(&arguments.connection)?;
            if !replay::replay(&database, &what, &mut out).await? {
                writeln!(
                    io::stderr(),
                    "tapedeck: no session {}: `tapedeck sessions` lists them",
                    what.session
                )?;
                return Ok(ExitCode::from(NOT_FOUND));
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The reader of a pipe, such as `head`, had enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
