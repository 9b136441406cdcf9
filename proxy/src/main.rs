//! The recorder proxy's process.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use tapedeck_config::EXIT_BAD_CONFIG;
use tapedeck_proxy::config::Config;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Stands between MCP clients and servers, and records every message in Kafka before it passes.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Read the configuration, say what is wrong with it, and exit: 0 if nothing is, else 64.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(errors) => {
            say(&errors);
            return ExitCode::from(EXIT_BAD_CONFIG);
        }
    };
    if arguments.check {
        config
            .warnings
            .iter()
            .for_each(|warning| say(&format_args!("warning: {warning}")));
        say(&format_args!("{} is good", arguments.config.display()));
        return ExitCode::SUCCESS;
    }
    keep_to_itself();
    // Logs never hold payloads or tokens: nothing in this workspace logs them, and the filter keeps libraries, which
    // might at their lower levels, at warnings.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,tapedeck_proxy=info"));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(config, arguments.config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format_args!("tapedeck-proxy: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Tokens, credentials and payloads are in this process's memory: it leaves no core dump, and nobody but root may look in
/// (prctl(2), PR_SET_DUMPABLE). A kernel that refuses is no reason not to record.
fn keep_to_itself() {
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
    let _ = nix::sys::prctl::set_dumpable(false);
}

fn run(config: Config, file: PathBuf) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    let outcome = runtime.block_on(serve(config, file));
    // A look at a Kafka that does not answer takes seconds, and the deadline has passed.
    runtime.shutdown_background();
    outcome
}

async fn serve(config: Config, file: PathBuf) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be handled")?;
    let running = tapedeck_proxy::start(config).await?;
    tokio::select! {
        () = running.reloader(file).follow(hangup) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    running.stop().await.context("stopped without goodbye")
}

/// Writes to standard error; if that is closed there is nobody to tell.
fn say(text: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
