//! The command line.
//!
//! A command's life here: [`arguments`] are parsed; [`session`] finds the profile, a server and a token of the user's own,
//! which it refreshes; [`api`] asks `tapedeck serve`, so that rights and the access log hold; the command shows the answer.
//! Only with `--clickhouse` do [`direct`] commands ask the database itself. [`redact`] and [`server`] need neither.

mod against;
mod api;
mod arguments;
mod direct;
mod export;
mod failure;
mod find;
mod json;
mod masks;
mod messages;
mod mock;
mod output;
mod player;
mod redact;
mod replay;
mod server;
mod session;
mod sessions;
mod sign_in;
mod table;
mod tail;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use api::Api;
use arguments::{Arguments, Command};
use direct::Database;
use failure::{BAD_USAGE, Failure};
use output::Output;

/// Runs the program with the process's arguments. The exit code is as `--help` has it.
pub async fn run() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| {
        let code = if error.use_stderr() { BAD_USAGE } else { 0 };
        // Nothing is left to be done where even this cannot be printed.
        let _ = error.print();
        std::process::exit(code.into())
    });
    match perform(arguments).await {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "tapedeck: {error:#}");
            let failure = error.downcast_ref::<Failure>();
            failure.map_or(ExitCode::FAILURE, |failure| ExitCode::from(failure.code()))
        }
    }
}

async fn perform(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { place, direct, command } = arguments;
    if direct.is_given() {
        return perform_directly(&Database::new(&direct)?, command).await;
    }
    match command {
        Command::Redact(what) => {
            let mut out = io::stdout().lock();
            let code = redact::run(&what, &mut out)?;
            out.flush()?;
            return Ok(code);
        }
        Command::Serve(what) => return Ok(server::run(&what).await),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "tapedeck", &mut text);
            io::stdout().write_all(&text)?;
        }
        Command::Deadletters(_) => {
            let message = "dead letters are the database's: say --clickhouse URL, and a database user who may";
            return Err(Failure::Usage(message.to_owned()).into());
        }
        Command::SignIn(what) => sign_in::sign_in(&place, &what).await?,
        Command::SignOut => sign_in::sign_out(&place).await?,
        Command::Sessions(filter) => {
            let api = Api::open(&place)?;
            let mut out = Output::new(!filter.shown.json && !place.no_pager)?;
            sessions::list(&api, &filter, &mut out).await?;
            out.end().await?;
        }
        Command::Find(what) => {
            let api = Api::open(&place)?;
            let mut out = Output::new(!what.shown.json && !place.no_pager)?;
            find::find(&api, &what, &mut out).await?;
            out.end().await?;
        }
        Command::Replay(what) => return replay::replay(&Api::open(&place)?, &what, place.no_pager).await,
        Command::Tail(what) => tail::tail(&Api::open(&place)?, &what).await?,
        Command::Export(what) => export::export(&Api::open(&place)?, &what).await?,
        Command::Mock(what) => mock::mock(&Api::open(&place)?, &what).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn perform_directly(database: &Database, command: Command) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match command {
        Command::Sessions(filter) => direct::list(database, &filter, &mut out).await?,
        Command::Replay(what) => {
            if !direct::replay(database, &what, &mut out).await? {
                return Err(Failure::no_session(what.session).into());
            }
        }
        Command::Deadletters(what) => {
            if !direct::deadletters(database, &what, &mut out).await? {
                let message = "no such dead letter: `tapedeck deadletters list` has them";
                return Err(Failure::NotFound(message.to_owned()).into());
            }
        }
        _ => {
            let message = "--clickhouse is for `sessions`, `replay` and `deadletters`; leave it out";
            return Err(Failure::Usage(message.to_owned()).into());
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
