//! `tapedeck serve`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::serve::{self, config::Config};
use tapedeck_config::EXIT_BAD_CONFIG;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::arguments::Serve;

/// What is logged unless RUST_LOG says otherwise.
const LOGGED: &str = "warn,tapedeck_console=info";

/// Serves until it is told to end, and says how that went.
pub(crate) async fn run(what: &Serve) -> ExitCode {
    let config = match Config::read(&what.config) {
        Ok(config) => config,
        Err(errors) => {
            say(&errors);
            return ExitCode::from(EXIT_BAD_CONFIG);
        }
    };
    if what.check {
        say(&format_args!("{} is good", what.config.display()));
        return ExitCode::SUCCESS;
    }
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED)))
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    match until_told(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn until_told(config: Config) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = CancellationToken::new();
    let told = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    });
    Ok(serve::run(config, shutdown).await?)
}

/// What a command line says of its configuration belongs on stderr, bare; where that is closed, nobody reads it.
fn say(text: &dyn std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
