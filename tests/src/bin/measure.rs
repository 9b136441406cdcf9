//! `cargo measure NAME [--short | --long] [--json]`: the one place for figures.
//!
//! It brings up the real parts itself, runs all contenders in one run, and fails only if something was wrong, never for
//! being slow. Its other subcommands are the processes that it is made of.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tapedeck_dev::broker::BrokerKind;
use tapedeck_tests::measure::acknowledge::Records;
use tapedeck_tests::measure::load::Load;
use tapedeck_tests::measure::{self, Extent, Report, Wanted, acknowledge, listeners, load, target};
use tapedeck_tests::{canaries, faults, run};
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
    /// What the proxy costs beside others: processor time, latency, delay of events, memory
    Proxy(Options),
    /// How fast the consumer loads, and what that costs
    Consumer(Options),
    /// How long lists, counts and first pages take over 1.5 million sessions, in the database
    Query(Options),
    /// How long people wait over 1.5 million sessions: pages, long sessions, exports
    Console(Options),
    /// What each of thousands of idle event streams costs the proxy
    Streams {
        /// Hundreds instead of thousands, to see whether it works
        #[arg(long)]
        short: bool,
        /// One JSON object instead of a table
        #[arg(long)]
        json: bool,
    },
    /// What must not be lost is not: consumer, broker, proxy and ClickHouse are killed and hampered under calls
    Faults {
        /// Twice each, to see whether it works
        #[arg(long, conflicts_with = "long")]
        short: bool,
        /// A hundred times each
        #[arg(long)]
        long: bool,
        /// Only what that broker is needed for
        #[arg(long)]
        broker: Option<BrokerName>,
    },
    /// Whether anything that redaction is to hide comes out anywhere: planted values go through everything
    Canaries {
        /// As many as CI plants
        #[arg(long, conflicts_with = "long")]
        short: bool,
        /// A million
        #[arg(long)]
        long: bool,
        /// Which values: the same ones for the same number
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// How well redaction tells secrets and personal data from everything else: the tables of its README
    Accuracy {
        /// Only the sets that are kept here: nothing is fetched
        #[arg(long)]
        kept: bool,
        /// Put the tables into consumer/redact/README.md
        #[arg(long)]
        write: bool,
        /// Also say what was left, and what went without need
        #[arg(long)]
        explain: bool,
    },
    /// How fast redaction is, beside other ways to find as much
    Redact {
        /// One JSON object instead of a table
        #[arg(long)]
        json: bool,
    },
    /// An MCP server that answers every request at once
    #[command(hide = true)]
    Target { address: SocketAddr },
    /// An MCP server whose event streams are silent until something is POSTed to /speak
    #[command(hide = true)]
    Silent { address: SocketAddr },
    /// Event streams that listen until an event has come on each
    #[command(hide = true)]
    Listeners {
        url: Url,
        #[arg(long)]
        streams: usize,
    },
    /// Calls of 1 KiB, one after the other on each connection
    #[command(hide = true)]
    Load {
        url: Url,
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        milliseconds: u64,
        /// Calls a second, as they are due
        #[arg(long)]
        rate: Option<f64>,
    },
    /// Answers whose events say when they were sent
    #[command(hide = true)]
    Delays {
        url: Url,
        #[arg(long)]
        streams: usize,
        #[arg(long)]
        milliseconds: u64,
    },
    /// One answer, however large
    #[command(hide = true)]
    Read { url: Url },
    /// Streams in which nothing happens
    #[command(hide = true)]
    Hold {
        url: Url,
        #[arg(long)]
        streams: usize,
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
        /// Records a second, as they are due
        #[arg(long)]
        rate: Option<f64>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum BrokerName {
    Apache,
    Embedded,
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
        Command::Proxy(options) => report(&options, measure::proxy(options.extent())),
        Command::Consumer(options) => report(&options, measure::consumer(options.extent())),
        Command::Query(options) => report(&options, measure::query(options.extent())),
        Command::Console(options) => report(&options, measure::console(options.extent())),
        Command::Streams { short, json } => {
            let report = tokio::runtime::Runtime::new()?.block_on(measure::streams(short))?;
            print(&if json { report.json()? } else { report.table() })
        }
        Command::Faults { short, long, broker } => {
            let times = match (short, long) {
                (true, _) => 2,
                (_, true) => 100,
                _ => 10,
            };
            let broker = broker.map(|broker| match broker {
                BrokerName::Apache => BrokerKind::Apache,
                BrokerName::Embedded => BrokerKind::Embedded,
            });
            tokio::runtime::Runtime::new()?.block_on(faults::all(times, broker))
        }
        Command::Canaries { short, long, seed } => {
            let count = match (short, long) {
                (true, _) => canaries::SHORT,
                (_, true) => canaries::LONG,
                _ => canaries::USUAL,
            };
            run(async { Ok(canaries::all(count, seed).await?.tell()?) })
        }
        Command::Accuracy { kept, write, explain } => {
            let wanted = Wanted { kept, write, explain };
            print(&tokio::runtime::Runtime::new()?.block_on(measure::accuracy(wanted))?)
        }
        Command::Redact { json } => {
            let report = tokio::runtime::Runtime::new()?.block_on(measure::redact())?;
            print(&if json { report.json()? } else { report.table() })
        }
        Command::Target { address } => Ok(target::serve(address)?),
        Command::Silent { address } => Ok(listeners::silent(address)?),
        Command::Listeners { url, streams } => {
            let heard = listeners::listen(&url, streams)?;
            print(&serde_json::to_string(&heard)?)
        }
        Command::Load {
            url,
            connections,
            milliseconds,
            rate,
        } => {
            let within = Duration::from_millis(milliseconds);
            let load = Load {
                url,
                connections,
                within,
                rate,
            };
            print(&serde_json::to_string(&load::run(&load)?)?)
        }
        Command::Delays {
            url,
            streams,
            milliseconds,
        } => {
            let summary = load::delays(&url, streams, Duration::from_millis(milliseconds))?;
            print(&serde_json::to_string(&summary)?)
        }
        Command::Read { url } => load::read(&url),
        Command::Hold {
            url,
            streams,
            milliseconds,
        } => load::hold(&url, streams, Duration::from_millis(milliseconds)),
        Command::Acknowledge {
            brokers,
            topic,
            bytes,
            in_flight,
            milliseconds,
            rate,
        } => {
            let records = Records {
                bytes,
                in_flight,
                within: Duration::from_millis(milliseconds),
                rate,
            };
            print(&serde_json::to_string(&acknowledge::run(&brokers, &topic, &records)?)?)
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
