//! `cargo measure NAME [--short | --long] [--json]`: the one place for figures.
//!
//! It brings up the real parts itself, runs all contenders in one run, and fails only if something was wrong, never for
//! being slow. Its other subcommands are the processes that it is made of.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tapedeck_tests::measure::{self, Extent, Report, acknowledge, load, target};
use url::Url;

/// Measures tapedeck on real parts.
#[derive(Parser)]
#[command(name = "measure")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What the proxy adds to a call, and how fast the consumer loads
    Main(Options),
    /// How fast the consumer loads, and what that costs
    Consumer(Options),
    /// How fast redaction is, beside other ways to find as much
    Redact {
        /// One JSON object instead of a table
        #[arg(long)]
        json: bool,
    },
    /// An MCP server that answers every request at once with 1 KiB
    #[command(hide = true)]
    Target { address: SocketAddr },
    /// Calls of 1 KiB, one after the other on each connection
    #[command(hide = true)]
    Load {
        url: Url,
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        milliseconds: u64,
    },
    /// Records that a broker is to acknowledge
    #[command(hide = true)]
    Acknowledge {
        brokers: String,
        topic: String,
        #[arg(long)]
        bytes: usize,
        #[arg(long)]
        in_flight: usize,
        #[arg(long)]
        milliseconds: u64,
    },
}

#[derive(Args)]
struct Options {
    /// A minute, to see whether it works
    #[arg(long, conflicts_with = "long")]
    short: bool,
    /// Long enough for figures to quote
    #[arg(long)]
    long: bool,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Main(options) => report(&options, measure::main(options.extent())),
        Command::Consumer(options) => report(&options, measure::consumer(options.extent())),
        Command::Redact { json } => {
            let report = measure::redact()?;
            print(&if json { report.json()? } else { report.table() })
        }
        Command::Target { address } => Ok(target::serve(address)?),
        Command::Load {
            url,
            connections,
            milliseconds,
        } => {
            let summary = load::run(&url, connections, Duration::from_millis(milliseconds))?;
            print(&serde_json::to_string(&summary)?)
        }
        Command::Acknowledge {
            brokers,
            topic,
            bytes,
            in_flight,
            milliseconds,
        } => {
            let within = Duration::from_millis(milliseconds);
            let summary = acknowledge::run(&brokers, &topic, bytes, in_flight, within)?;
            print(&serde_json::to_string(&summary)?)
        }
    }
}

impl Options {
    fn extent(&self) -> Extent {
        match (self.short, self.long) {
            (true, _) => Extent::SHORT,
            (_, true) => Extent::LONG,
            _ => Extent::USUAL,
        }
    }
}

fn report(options: &Options, measured: impl Future<Output = anyhow::Result<Report>>) -> anyhow::Result<()> {
    let report = tokio::runtime::Runtime::new()?.block_on(measured)?;
    let text = if options.json { report.json()? } else { report.table() };
    print(&text)
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
