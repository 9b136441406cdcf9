use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;
use uuid::Uuid;

use super::{direct, redact};
use crate::moment::Moment;

/// Find, replay, export and run again recorded MCP sessions.
///
/// Exit codes: 0 done, 1 failed, 2 no such session or dead letter, 3 answers differ from the recording, 4 not signed in or
/// not allowed,
/// 64 wrong usage or configuration, 130 interrupted.
#[derive(Debug, Parser)]
#[command(version, name = "tapedeck")]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) direct: Direct,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Which installation is asked, and how its answers are shown.
#[derive(Clone, Debug, Args)]
pub(super) struct Place {
    /// The installation, as `sign-in` has named it.
    #[arg(
        long,
        global = true,
        env = "TAPEDECK_PROFILE",
        default_value = "default",
        value_name = "NAME"
    )]
    pub(super) profile: String,
    /// The console's URL, such as https://tapedeck.example.com; default: the profile's.
    #[arg(long, global = true, env = "TAPEDECK_SERVER", value_name = "URL")]
    pub(super) server: Option<Url>,
    /// Show long answers without a pager.
    #[arg(long, global = true)]
    pub(super) no_pager: bool,
}

/// Past rights and the access log. The password comes from TAPEDECK_CLICKHOUSE_PASSWORD or a file, never from the command
/// line.
#[derive(Debug, Args)]
#[command(next_help_heading = "Straight database access, for administrators")]
pub(super) struct Direct {
    /// Ask ClickHouse's HTTP interface instead of the console: `sessions`, `replay` and `deadletters` only.
    #[arg(long, global = true, value_name = "URL")]
    pub(super) clickhouse: Option<Url>,
    /// Database that holds the tables.
    #[arg(
        long,
        global = true,
        env = "TAPEDECK_CLICKHOUSE_DATABASE",
        default_value = "tapedeck",
        value_name = "NAME"
    )]
    pub(super) database: String,
    /// ClickHouse user.
    #[arg(
        long,
        global = true,
        env = "TAPEDECK_CLICKHOUSE_USER",
        default_value = "default",
        value_name = "NAME"
    )]
    pub(super) clickhouse_user: String,
    /// File that holds the ClickHouse user's password.
    #[arg(long, global = true, env = "TAPEDECK_CLICKHOUSE_PASSWORD_FILE", value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
}

impl Direct {
    pub(super) fn is_given(&self) -> bool {
        self.clickhouse.is_some()
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Sign in at a console, in a browser; the profile remembers it.
    SignIn(SignIn),
    /// Forget the profile's tokens, here and at the identity provider.
    SignOut,
    /// List sessions, newest first.
    Sessions(Sessions),
    /// Show one session, both directions, frame by frame; in a terminal, as a player.
    Replay(Replay),
    /// Records that could not be read: list them, have them read again. Needs --clickhouse.
    #[command(subcommand)]
    Deadletters(direct::DeadLetters),
    /// Show what happens now: in one session, or which sessions go on.
    Tail(Tail),
    /// Find text in what was said, in the last seven days unless --since says otherwise; or a value that a token stands for.
    Find(Find),
    /// Write recordings to a file, with a manifest beside it.
    Export(Export),
    /// Serve a recording as an MCP server that answers as it was answered.
    Mock(Mock),
    /// Show what redaction does to files or standard input.
    Redact(redact::What),
    /// Serve recordings over HTTP, to people who sign in and to programs with tokens.
    Serve(Serve),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// How to sign in.
#[derive(Debug, Args)]
pub(super) struct SignIn {
    /// With a code that is typed in on another device (RFC 8628), where the identity provider has that.
    #[arg(long)]
    pub(super) device: bool,
    /// Print the address and open no browser.
    #[arg(long)]
    pub(super) no_browser: bool,
}

/// Which sessions; all filters that are given must fit.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Filter {
    /// Subject, e-mail address or name of the caller.
    #[arg(long)]
    pub(super) user: Option<String>,
    #[command(flatten)]
    pub(super) narrow: Narrow,
}

/// With whom, about what, and when.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Narrow {
    /// Name of the target.
    #[arg(long)]
    pub(super) target: Option<String>,
    /// Tool, prompt or resource that was used.
    #[arg(long)]
    pub(super) tool: Option<String>,
    /// In sessions that began at or after: 2026-01-31, 2026-01-31T12:00:00Z, or ago: 90m, 2h, 7d.
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<Moment>,
    /// In sessions that began before: as --since.
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<Moment>,
}

/// How much of a list, and how.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Shown {
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) limit: u32,
    /// One JSON object a line.
    #[arg(long)]
    pub(super) json: bool,
}

impl Filter {
    /// As the API's parameters.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let user = self.user.clone().map(|user| ("user", user));
        user.into_iter().chain(self.narrow.query()).collect()
    }
}

impl Narrow {
    /// As the API's parameters.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let texts = [("target", &self.target), ("tool", &self.tool)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?)));
        let times = [("from", self.since), ("to", self.until)];
        let times = times
            .into_iter()
            .filter_map(|(name, time)| Some((name, time?.written())));
        texts.chain(times).collect()
    }
}

/// Which sessions, and how many.
#[derive(Debug, Args)]
pub(super) struct Sessions {
    #[command(flatten)]
    pub(super) filter: Filter,
    #[command(flatten)]
    pub(super) shown: Shown,
}

/// What to look for.
#[derive(Debug, Args)]
pub(super) struct Find {
    /// The text, upper and lower case alike.
    #[arg(required_unless_present = "value")]
    pub(super) text: Option<String>,
    /// Instead of a text, a value that was replaced by a token: a card's number, an e-mail address. `-` reads it from standard
    /// input, where no list of processes shows it. For auditors of the tenant.
    #[arg(long, value_name = "VALUE", conflicts_with_all = ["text", "session", "tool"], allow_hyphen_values = true)]
    pub(super) value: Option<String>,
    /// In recordings of this tenant only.
    #[arg(long, requires = "value", conflicts_with = "text")]
    pub(super) tenant: Option<String>,
    /// In this session only.
    #[arg(long, value_name = "SESSION")]
    pub(super) session: Option<Uuid>,
    #[command(flatten)]
    pub(super) narrow: Narrow,
    #[command(flatten)]
    pub(super) shown: Shown,
}

/// What to show, and how fast; or where to run it again.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Session id, as `tapedeck sessions` shows it.
    pub(super) session: Uuid,
    /// Real timing, so many times as fast: 1 is as it happened. Without it, all at once; in the player, 1.
    #[arg(long, value_name = "FACTOR", value_parser = speed)]
    pub(super) speed: Option<f64>,
    /// One JSON object a frame, a line each, as the API has it.
    #[arg(long, conflicts_with = "against")]
    pub(super) json: bool,
    /// Show payloads whole instead of their first lines.
    #[arg(long)]
    pub(super) full: bool,
    /// Print it instead of playing it, in a terminal, too.
    #[arg(long)]
    pub(super) print: bool,
    /// Send the recorded requests to the MCP server at this URL, and show how its answers differ.
    #[arg(long, value_name = "URL")]
    pub(super) against: Option<Url>,
    /// The credential for --against: the environment variable that holds a bearer token of your own.
    #[arg(long, value_name = "VARIABLE", requires = "against")]
    pub(super) token_env: Option<String>,
    /// What differs anyway: a JSON pointer into the answer's result, such as /content/0/text. May be given several times.
    #[arg(long, value_name = "POINTER", requires = "against")]
    pub(super) ignore: Vec<String>,
    #[command(flatten)]
    pub(super) fill: Fill,
}

/// What to put in place of what was masked.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Fill {
    /// A value for what a rule has masked: RULE=VALUE, or RULE=@VARIABLE for one in the environment. May be given several
    /// times.
    #[arg(long = "fill", value_name = "RULE=VALUE", value_parser = filling)]
    pub(super) values: Vec<(String, String)>,
    /// Leave out messages that hold masked values, instead of refusing.
    #[arg(long)]
    pub(super) skip_masked: bool,
}

/// What to follow.
#[derive(Debug, Args)]
pub(super) struct Tail {
    /// The session; without one, all sessions that begin or go on.
    pub(super) session: Option<Uuid>,
    /// Begin after this frame; default: with what comes next.
    #[arg(long, value_name = "NUMBER", requires = "session")]
    pub(super) after: Option<u64>,
    /// One JSON object a line.
    #[arg(long)]
    pub(super) json: bool,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A JSON object a frame, a line each.
    Jsonl,
    /// HTTP archive: requests with their answers.
    Har,
    /// asciinema cast of the replay in a terminal, version 2.
    Cast,
    /// A page that plays the session, in one file, offline.
    Html,
    /// Parquet, written by ClickHouse.
    Parquet,
}

impl Format {
    /// Its name in the API, and a file's extension.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Har => "har",
            Self::Cast => "cast",
            Self::Html => "html",
            Self::Parquet => "parquet",
        }
    }
}

/// What to write, and where.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The session; without one, all frames of the sessions that fit the filters.
    pub(super) session: Option<Uuid>,
    /// The form; of many sessions jsonl, har and parquet.
    #[arg(long, value_enum, default_value = "jsonl")]
    pub(super) format: Format,
    /// The file; default: the session's id, or `sessions`, and the format's extension. The manifest stands beside it, as
    /// FILE.manifest.json.
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Go on where an earlier run was interrupted.
    #[arg(long)]
    pub(super) resume: bool,
    #[command(flatten)]
    pub(super) filter: Filter,
    /// Print the manifest as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// What to serve, and where.
#[derive(Debug, Args)]
pub(super) struct Mock {
    /// The session.
    pub(super) session: Uuid,
    /// Where to serve; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub(super) listen: std::net::SocketAddr,
    #[command(flatten)]
    pub(super) fill: Fill,
}

/// What to serve, and how: all of it is in the file.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Test the configuration file and do nothing else.
    #[arg(long)]
    pub(super) check: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor >= 0.01 => Ok(factor),
        _ => Err("say a factor of 0.01 or more, such as 1 or 8".to_owned()),
    }
}

fn filling(text: &str) -> Result<(String, String), String> {
    let (rule, value) = text.split_once('=').ok_or("say RULE=VALUE, or RULE=@VARIABLE")?;
    match value.strip_prefix('@') {
        None => Ok((rule.to_owned(), value.to_owned())),
        Some(name) => match std::env::var(name) {
            Ok(value) => Ok((rule.to_owned(), value)),
            Err(_) => Err(format!("the environment variable {name} is not set")),
        },
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

    #[test]
    fn a_text_or_a_value_is_found_and_not_both() {
        assert!(Arguments::try_parse_from(["tapedeck", "find", "hello"]).is_ok());
        assert!(Arguments::try_parse_from(["tapedeck", "find", "--value", "-", "--tenant", "acme"]).is_ok());
        assert!(Arguments::try_parse_from(["tapedeck", "find"]).is_err());
        assert!(Arguments::try_parse_from(["tapedeck", "find", "hello", "--value", "x"]).is_err());
        assert!(Arguments::try_parse_from(["tapedeck", "find", "hello", "--tenant", "acme"]).is_err());
    }

    #[test]
    fn a_filling_names_its_rule() {
        let id = "0198c0de-0000-7000-8000-000000000000";
        assert!(Arguments::try_parse_from(["tapedeck", "mock", id, "--fill", "email=a@b.example"]).is_ok());
        assert!(Arguments::try_parse_from(["tapedeck", "mock", id, "--fill", "email"]).is_err());
        assert!(
            Arguments::try_parse_from(["tapedeck", "mock", id, "--fill", "email=@NO_SUCH_VARIABLE_AT_ALL"]).is_err()
        );
    }
}
