//! `tapedeck-consumer`: loads recorded frames into ClickHouse.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use tapedeck_config::EXIT_BAD_CONFIG;
use tapedeck_consumer::config::Config;
use tapedeck_consumer::erasure::{self, Request};
use tapedeck_consumer::migrate::{apply_retention, create_topics, migrate_database, printed_statements};
use tapedeck_consumer::orders::Scope;
use tapedeck_consumer::rules;
use tapedeck_consumer::service;
use tapedeck_consumer::sink::Sink;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        /// Print the statements for a cluster of that name, sharded and replicated, instead.
        #[arg(long, value_name = "NAME", requires = "print")]
        cluster: Option<String>,
        /// Print the statements and change nothing.
        #[arg(long)]
        print: bool,
    },
    /// Erase what was recorded of a caller until now, and print a receipt.
    Erase(Erase),
    /// Keep what is there and what comes, whatever retention and erasures say, until it is released.
    Hold(Hold),
    /// Release a hold, and complete the erasures that it beat.
    Release {
        /// The hold, as `hold` printed it.
        hold: Uuid,
        #[command(flatten)]
        order: Order,
    },
}

#[derive(Args)]
struct Order {
    /// The configuration file; its database user needs the rights that the README names.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Who orders it: goes into the access log.
    #[arg(long, value_name = "NAME")]
    by: String,
}

#[derive(Args)]
struct Erase {
    #[command(flatten)]
    order: Order,
    /// `iss` of the caller.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    issuer: String,
    /// `sub` of the caller.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    subject: String,
    /// In this tenant only.
    #[arg(long, default_value = "")]
    tenant: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

#[derive(Args)]
struct Hold {
    #[command(flatten)]
    order: Order,
    /// Why.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    scope: HoldScope,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct HoldScope {
    /// All of a session.
    #[arg(long, conflicts_with_all = ["subject", "tenant"])]
    session: Option<Uuid>,
    /// All of a caller: `sub`, with --issuer.
    #[arg(long, requires = "issuer", conflicts_with = "tenant", value_parser = NonEmptyStringValueParser::new())]
    subject: Option<String>,
    /// `iss` of that caller.
    #[arg(long, requires = "subject", value_parser = NonEmptyStringValueParser::new())]
    issuer: Option<String>,
    /// All of a tenant.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    tenant: Option<String>,
}

impl HoldScope {
    fn scope(self) -> Option<Scope> {
        match self {
            Self {
                session: Some(session), ..
            } => Some(Scope::Session(session)),
            Self {
                subject: Some(subject),
                issuer: Some(issuer),
                ..
            } => Some(Scope::Subject(issuer, subject)),
            Self {
                tenant: Some(tenant), ..
            } => Some(Scope::Tenant(tenant)),
            _ => None,
        }
    }
}

/// What to do.
enum Task {
    Run(Run),
    Command(Command),
}

impl Task {
    fn config(&self) -> &std::path::Path {
        match self {
            Self::Run(run) => &run.config,
            Self::Command(Command::Migrate { config, .. }) => config,
            Self::Command(Command::Erase(erase)) => &erase.order.config,
            Self::Command(Command::Hold(hold)) => &hold.order.config,
            Self::Command(Command::Release { order, .. }) => &order.config,
        }
    }
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
    let task = match (cli.command, cli.run) {
        (Some(command), _) => Task::Command(command),
        (None, Some(run)) => Task::Run(run),
        (None, None) => return usage(),
    };
    let path = task.config().to_owned();
    let config = match Config::read(&path) {
        Ok(config) => config,
        Err(errors) => {
            say(&errors);
            return ExitCode::from(EXIT_BAD_CONFIG);
        }
    };
    let result = match task {
        Task::Run(Run { check: true, .. }) => {
            if let Err(error) = Sink::new(&config.clickhouse) {
                say(&error);
                return ExitCode::from(EXIT_BAD_CONFIG);
            }
            if let Err(error) = rules::load(config.redaction) {
                say(&error);
                return ExitCode::from(EXIT_BAD_CONFIG);
            }
            say(&format_args!("{} is good", path.display()));
            return ExitCode::SUCCESS;
        }
        Task::Run(_) => block_on(load(config)),
        Task::Command(Command::Migrate {
            print: true, cluster, ..
        }) => print_statements(&config, cluster.as_deref()),
        Task::Command(Command::Migrate { .. }) => block_on(migrate(config)),
        Task::Command(Command::Erase(erase)) => block_on(order_erasure(config, erase)),
        Task::Command(Command::Hold(hold)) => block_on(order_hold(config, hold)),
        Task::Command(Command::Release { hold, order }) => block_on(async move {
            let receipt = erasure::release(&config, hold, &order.by).await?;
            print_json(&receipt)
        }),
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
    let sink = Sink::new(&config.clickhouse)?;
    sink.reach().await?;
    let applied = migrate_database(sink.client(), &config.clickhouse.database).await?;
    let retention = apply_retention(sink.client(), &config.retention).await?;
    let kafka = config.kafka.client_config();
    let created = create_topics(&kafka, &config.topic_plans(), Duration::from_secs(30))
        .await
        .context("creating topics")?;
    tracing::info!(?applied, ?retention, ?created, "migrated");
    Ok(())
}

async fn order_erasure(config: Config, erase: Erase) -> anyhow::Result<()> {
    let request = Request {
        tenant: erase.tenant,
        issuer: erase.issuer,
        subject: erase.subject,
        reason: erase.reason,
        by: erase.order.by,
    };
    print_json(&erasure::erase(&config, &request).await?)
}

async fn order_hold(config: Config, hold: Hold) -> anyhow::Result<()> {
    let scope = hold
        .scope
        .scope()
        .context("a hold needs --session, --subject or --tenant")?;
    print_json(&erasure::hold(&config, scope, hold.reason, &hold.order.by).await?)
}

fn print_json(receipt: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, receipt)?;
    writeln!(out)?;
    Ok(())
}

fn print_statements(config: &Config, cluster: Option<&str>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for statement in printed_statements(&config.retention, cluster)? {
        writeln!(out, "{statement};\n")?;
    }
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
