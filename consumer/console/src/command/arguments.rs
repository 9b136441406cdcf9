use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use url::Url;
use uuid::Uuid;

use crate::moment::Moment;
use crate::{deadletters, redact};

/// Find and replay recorded MCP sessions.
///
/// Exit codes: 0 done, 1 failed, 2 no such session or dead letter, 64 wrong usage or configuration.
#[derive(Debug, Parser)]
#[command(version, name = "tapedeck")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the recordings are. The password comes from TAPEDECK_CLICKHOUSE_PASSWORD or a file, never from the command line.
#[derive(Debug, Args)]
#[command(next_help_heading = "ClickHouse")]
pub(crate) struct Connection {
    /// ClickHouse's HTTP interface.
    #[arg(
        long,
        global = true,
        env = "TAPEDECK_CLICKHOUSE_URL",
        default_value = "http://127.0.0.1:8123",
        value_name = "URL"
    )]
    pub(crate) clickhouse: Url,
    /// Database that holds the tables.
    #[arg(
        long,
        global = true,
        env = "TAPEDECK_CLICKHOUSE_DATABASE",
        default_value = "tapedeck",
        value_name = "NAME"
    )]
    pub(crate) database: String,
    /// ClickHouse user.
    #[arg(
        long,
        global = true,
        env = "TAPEDECK_CLICKHOUSE_USER",
        default_value = "default",
        value_name = "NAME"
    )]
    pub(crate) clickhouse_user: String,
    /// File that holds the ClickHouse user's password.
    #[arg(long, global = true, env = "TAPEDECK_CLICKHOUSE_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List sessions, newest first.
    Sessions(Filter),
    /// Show one session, both directions, frame by frame.
    Replay(Replay),
    /// Records that could not be read: list them, have them read again.
    #[command(subcommand)]
    Deadletters(deadletters::What),
    /// Show what redaction does to files or standard input.
    Redact(redact::What),
    /// Serve recordings over HTTP, to people who sign in and to programs with tokens.
    Serve(Serve),
}

/// What to serve, and how: all of it is in the file.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Test the configuration file and do nothing else.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Which sessions; all filters that are given must fit.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Subject, e-mail address or name of the caller.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Name of the target.
    #[arg(long)]
    pub(crate) target: Option<String>,
    /// Tool, prompt or resource that was used.
    #[arg(long)]
    pub(crate) tool: Option<String>,
    /// Begun at or after: 2026-01-31, 2026-01-31T12:00:00Z, or ago: 90m, 2h, 7d.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Begun before: as --since.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to show, and how fast.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Session id, as `tapedeck sessions` shows it.
    pub(crate) session: Uuid,
    /// Real timing, so many times as fast: 1 is as it happened. Without it, all at once.
    #[arg(long, value_name = "FACTOR", value_parser = speed)]
    pub(crate) speed: Option<f64>,
    /// One JSON object a frame, a line each, with every column.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show payloads whole instead of their first lines.
    #[arg(long)]
    pub(crate) full: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor >= 0.01 => Ok(factor),
        _ => Err("say a factor of 0.01 or more, such as 1 or 8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_speed_of_nothing_is_refused() {
        let id = "0198c0de-0000-7000-8000-000000000000";
        assert!(Arguments::try_parse_from(["tapedeck", "replay", id, "--speed", "0"]).is_err());
        assert!(Arguments::try_parse_from(["tapedeck", "replay", id, "--speed", "8"]).is_ok());
        assert!(Arguments::try_parse_from(["tapedeck", "replay", "not-an-id"]).is_err());
    }
}
