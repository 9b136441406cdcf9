//! `tapedeck-consumer`: loads recorded frames into ClickHouse.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use tapedeck_config::EXIT_BAD_CONFIG;
use tapedeck_consumer::config::Config;
use tapedeck_consumer::migrate::{create_topics, migrate_database};
use tapedeck_consumer::service;
use tapedeck_consumer::sink::Sink;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Redacts recorded frames, groups them into sessions and loads them into ClickHouse, exactly once.
#[derive(Parser)]
#[command(name = "tapedeck-consumer", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    run: Option<Run>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args)]
struct Run {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Test the configuration file and do nothing else.
    #[arg(long)]
    check: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Bring database and topics to what this version needs; may be run again at any time.
    Migrate {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// What is logged unless RUST_LOG says otherwise. librdkafka repeats for each client and broker what the group says once.
const LOGGED: &str = "warn,tapedeck_consumer=info,rdkafka=off,librdkafka=off";

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED)))
        // Standard error is not buffered: the last line before a kill is there.
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let (path, run) = match (cli.command, cli.run) {
        (Some(Command::Migrate { config }), _) => (config, None),
        (None, Some(run)) => (run.config.clone(), Some(run)),
        (None, None) => return usage(),
    };
    let config = match Config::read(&path) {
        Ok(config) => config,
        Err(errors) => {
            say(&errors);
            return ExitCode::from(EXIT_BAD_CONFIG);
        }
    };
    let result = match run {
        Some(Run { check: true, .. }) => {
            say(&format_args!("{} is good", path.display()));
            return ExitCode::SUCCESS;
        }
        Some(_) => block_on(load(config)),
        None => block_on(migrate(config)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // A blocking call to librdkafka may still wait for brokers that are away.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn load(config: Config) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    let told = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    });
    Ok(service::run(config, shutdown).await?)
}

async fn migrate(config: Config) -> anyhow::Result<()> {
    let sink = Sink::new(&config.clickhouse);
    let applied = migrate_database(sink.client(), &config.clickhouse.database).await?;
    let kafka = config.kafka.client_config();
    let created = create_topics(&kafka, &config.topic_plans(), Duration::from_secs(30))
        .await
        .context("creating topics")?;
    tracing::info!(?applied, ?created, "migrated");
    Ok(())
}

#[allow(
    clippy::print_stderr,
    reason = "what a command line says of its usage and its configuration belongs on stderr, bare"
)]
fn say(error: &dyn std::fmt::Display) {
    eprintln!("{error}");
}

fn usage() -> ExitCode {
    say(&"tapedeck-consumer: --config FILE is missing; see --help");
    ExitCode::from(EXIT_BAD_CONFIG)
}
