//! `tapedeck-dev`: the local stack, and the processes that it is made of.

mod alone;
mod signpost;
mod terminal;
mod up;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tapedeck_dev::clickhouse::{self, ServerArguments};

#[derive(Debug, Parser)]
#[command(
    about = "The local stack: every part that tapedeck runs on, on 127.0.0.1, and a recorded session",
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: up::Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start one part alone; it stays up until Ctrl-C
    Part(alone::Arguments),
    /// Serve ClickHouse from its library, in this process
    #[command(hide = true)]
    ClickhouseServer(ServerArguments),
}

fn main() -> ExitCode {
    let Arguments { command, up } = Arguments::parse();
    let ended = match command {
        None => up::run(up),
        Some(Command::Part(arguments)) => alone::run(arguments).map(|()| ExitCode::SUCCESS),
        // Before any thread is started: the library expects a process of its own.
        Some(Command::ClickhouseServer(arguments)) => clickhouse::serve(&arguments)
            .map(|()| ExitCode::SUCCESS)
            .map_err(anyhow::Error::from),
    };
    ended.unwrap_or_else(|error| {
        // For people: the causes, and no backtrace of ours.
        let _ = writeln!(io::stderr(), "error: {error:#}");
        ExitCode::FAILURE
    })
}
