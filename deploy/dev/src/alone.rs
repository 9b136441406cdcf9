//! `tapedeck-dev part NAME`: one part alone, for work on something that needs no more.

use std::io::{self, Write};

use clap::ValueEnum;
use tapedeck_dev::broker::{Broker, BrokerKind};
use tapedeck_dev::clickhouse::{ClickHouse, ClickHouseKind};
use tapedeck_dev::folder::{Folder, Site};
use tapedeck_dev::progress::{Progress, Step};

/// Which part, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The part
    part: Part,
    /// Its port, if that is free
    #[arg(long)]
    port: Option<u16>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    /// Apache Kafka, which needs Java and Maven
    Apache,
    /// The embedded broker, built by cargo
    Embedded,
    /// ClickHouse
    Clickhouse,
}

/// Prints the part's address on standard output once it answers, and all else on standard error.
#[tokio::main]
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let folder = Folder::open()?;
    let run = folder.run("part")?;
    let site = Site {
        folder: &folder,
        run: &run,
        progress: &Terminal,
    };
    let kind = match arguments.part {
        Part::Apache => BrokerKind::Apache,
        Part::Embedded => BrokerKind::Embedded,
        Part::Clickhouse => return clickhouse(arguments.port, site).await,
    };
    let broker = Broker::start(kind, arguments.port, site).await?;
    announce(&broker.bootstrap(), broker.child().id())?;
    tokio::signal::ctrl_c().await?;
    broker.stop().await;
    Ok(())
}

async fn clickhouse(port: Option<u16>, site: Site<'_>) -> anyhow::Result<()> {
    let (kind, reason) = ClickHouseKind::choose();
    site.progress.report(Step::Note {
        part: "ClickHouse",
        text: &reason,
    });
    let clickhouse = ClickHouse::start(kind, port, None, site).await?;
    announce(&clickhouse.url(), clickhouse.child().id())?;
    tokio::signal::ctrl_c().await?;
    clickhouse.stop().await;
    Ok(())
}

/// One line that a program can read.
fn announce(address: &str, process: u32) -> io::Result<()> {
    writeln!(io::stdout(), "{address} (process {process})")
}

struct Terminal;

impl Progress for Terminal {
    fn report(&self, step: Step<'_>) {
        let line = match step {
            Step::Installing { part, what } => format!("installing {part} {what}"),
            Step::Waiting { part } => format!("waiting for another process to install {part}"),
            Step::Starting { part } => format!("starting {part}"),
            Step::Ready { part, after } => format!("{part} is ready after {:.1} s", after.as_secs_f64()),
            Step::Note { part, text } => format!("{part}: {text}"),
            other => format!("{other:?}"),
        };
        // A closed terminal is no reason to end.
        let _ = writeln!(io::stderr(), "{line}");
    }
}
