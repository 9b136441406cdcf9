//! `tapedeck-dev`: the local stack, and the processes that it is made of.

mod alone;

use clap::{Parser, Subcommand};
use tapedeck_dev::clickhouse::{self, ServerArguments};

#[derive(Debug, Parser)]
#[command(about = "The local stack: every part that tapedeck runs on, on 127.0.0.1")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start one part alone; it stays up until Ctrl-C
    Part(alone::Arguments),
    /// Serve ClickHouse from its library, in this process
    #[command(hide = true)]
    ClickhouseServer(ServerArguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Part(arguments) => alone::run(arguments),
        // Before any thread is started: the library expects a process of its own.
        Command::ClickhouseServer(arguments) => Ok(clickhouse::serve(&arguments)?),
    }
}
