//! `cargo dev`: the whole stack from nothing, a real session through it, and that session replayed.

use std::io;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use serde_json::Value;
use tapedeck_dev::binaries::binaries;
use tapedeck_dev::broker::BrokerKind;
use tapedeck_dev::identity::AccessToken;
use tapedeck_dev::ledger::{Account, Conversation};
use tapedeck_dev::mcp::{Call, Caller, Line, Transcript, Visit};
use tapedeck_dev::services::{Issuer, Target};
use tapedeck_dev::stack::{BrokerSource, GROUP, Stack, StackOptions};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use crate::signpost;
use crate::terminal::Terminal;

/// Who signs in to the stack's own identity provider.
pub(crate) const USER: &str = "alice";

/// Holds a token of an issuer that was given.
const TOKEN: &str = "TAPEDECK_DEV_TOKEN";

/// How long the consumer may take to load a session of some dozen frames.
const LOAD: Duration = Duration::from_secs(60);

/// What to bring up, and what to use that runs already.
// Without a group: `part` has arguments of the same type name.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Stop after the replay; exit code 0 only if every frame is there
    #[arg(long)]
    exit: bool,
    /// Which broker to start [default: apache where Java 17+ and Maven are installed, else embedded]
    #[arg(long, conflicts_with = "kafka")]
    broker: Option<Kind>,
    /// Use the Kafka brokers that run there
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Use the ClickHouse whose HTTP interface that is, with user and password in the URL if it needs them
    #[arg(long, value_name = "URL")]
    clickhouse: Option<Url>,
    /// Take tokens of that issuer; put one into TAPEDECK_DEV_TOKEN
    #[arg(long, value_name = "URL", requires = "audience")]
    issuer: Option<String>,
    /// What that issuer's tokens have in `aud`
    #[arg(long, value_name = "AUD", requires = "issuer")]
    audience: Option<String>,
    /// The claim of that issuer's tokens that holds the groups
    #[arg(long, value_name = "CLAIM", requires = "issuer")]
    groups_claim: Option<String>,
    /// Record that MCP server instead of the demo server
    #[arg(long, value_name = "URL")]
    target: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Apache Kafka, which needs Java and Maven
    Apache,
    /// The embedded broker, built by cargo
    Embedded,
}

/// Runs until everything is shown or someone ends it. Whatever way that goes, dropping the stack ends its processes.
#[tokio::main]
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new();
    let stack = tokio::select! {
        shown = show(&arguments, &terminal) => shown?,
        ended = asked_to_end() => {
            terminal.say(&format!("stopped by {}", ended?));
            return Ok(ExitCode::FAILURE);
        }
    };
    if !arguments.exit {
        signpost::print(&stack, &terminal).await?;
        terminal.say("up until Ctrl-C");
        asked_to_end().await?;
    }
    terminal.say("stopping");
    let run = stack.run.clone();
    tokio::select! {
        () = stack.stop() => {}
        // Who asks twice is in a hurry: what still runs is killed.
        ended = asked_to_end() => { ended?; }
    }
    terminal.say(&format!("data and logs are in {}", run.path().display()));
    Ok(ExitCode::SUCCESS)
}

/// Brings the stack up, holds a session, and replays it from ClickHouse.
async fn show(arguments: &Arguments, terminal: &Terminal) -> anyhow::Result<Stack> {
    let options = arguments.options()?;
    let caller = arguments.caller()?;
    terminal.step("programs", "proxy, consumer and console are built by cargo");
    let stack = Stack::start(options, terminal).await?;

    let mut visit = Visit::scenario(&stack.endpoint(), caller);
    if stack.server.is_none() {
        // Nothing is known of its tools: what is called there might have effects.
        visit.calls = Some(["tools", "resources", "prompts"].map(Call::list).to_vec());
    }
    terminal.step("client", &format!("the official MCP SDK calls {}", visit.url));
    let transcript = visit.run(&stack.node).await?;
    let told = summary(&transcript);
    ensure!(
        transcript.completed(),
        "the client was refused: {}",
        complaints(&transcript)
    );
    terminal.step("client", &told);
    if stack.server.is_some() {
        expect_the_scenario(&transcript)?;
    }

    let account = stack.ledger().settle(conversation(&transcript), LOAD).await?;
    let Account {
        frames,
        segments,
        session,
    } = account;
    terminal.step(
        "recorded",
        &format!("{frames} frames in {segments} segments: in ClickHouse, dense, intact"),
    );
    replay(&stack, &session.to_string(), terminal).await?;
    if arguments.exit {
        // A proxy that says goodbye seals its segments: then nothing more will come.
        stack.proxy.service().stop().await;
        let Account { frames, .. } = stack.ledger().settle(conversation(&transcript), LOAD).await?;
        terminal.step(
            "complete",
            &format!("all {frames} frames that the proxy ever recorded are in ClickHouse"),
        );
    }
    Ok(stack)
}

impl Arguments {
    fn options(&self) -> anyhow::Result<StackOptions> {
        let broker = match (&self.kafka, self.broker) {
            (Some(brokers), _) => BrokerSource::Given(brokers.clone()),
            (None, Some(Kind::Apache)) => BrokerSource::Start(BrokerKind::Apache),
            (None, Some(Kind::Embedded)) => BrokerSource::Start(BrokerKind::Embedded),
            (None, None) => BrokerSource::Choose,
        };
        let issuer = self.issuer.as_ref().map(|url| Issuer {
            url: url.clone(),
            audiences: self.audience.iter().cloned().collect(),
            groups_claim: self.groups_claim.clone(),
        });
        // The groups of an issuer that was given are its own affair: whoever it vouches for may come.
        let may = if issuer.is_some() { "*" } else { GROUP };
        let allow_groups = vec![may.to_owned()];
        let target = self.target.as_ref().map(|url| Target {
            name: "target".to_owned(),
            url: url.clone(),
            allow_groups: allow_groups.clone(),
            credential: None,
        });
        let clickhouse = self.clickhouse.clone();
        Ok(StackOptions {
            name: "dev".to_owned(),
            broker,
            clickhouse,
            issuer,
            target,
            allow_groups: Some(allow_groups),
            usual_ports: true,
        })
    }

    fn caller(&self) -> anyhow::Result<Caller> {
        match (&self.issuer, std::env::var(TOKEN)) {
            (None, _) => Ok(Caller::SignIn(USER.to_owned())),
            (Some(_), Ok(token)) => Ok(Caller::Bearer(AccessToken::new(token))),
            (Some(issuer), Err(_)) => bail!("put an access token of {issuer} into the environment variable {TOKEN}"),
        }
    }
}

fn conversation(transcript: &Transcript) -> Conversation {
    let said = transcript.conversation();
    let count = |is: fn(&Line) -> bool| said.iter().filter(|line| is(line)).count() as u64;
    Conversation {
        sent: count(|line| matches!(line, Line::Sent { .. })),
        received: count(|line| matches!(line, Line::Received { .. })),
    }
}

/// What the client was told when it was refused, in its SDK's words.
fn complaints(transcript: &Transcript) -> String {
    let errors = transcript.errors();
    let told = |error: &&Value| {
        error["message"]
            .as_str()
            .map_or_else(|| error.to_string(), str::to_owned)
    };
    errors.iter().map(told).collect::<Vec<_>>().join("; ")
}

fn progressed(transcript: &Transcript) -> usize {
    transcript
        .received()
        .iter()
        .filter(|message| message["method"] == "notifications/progress")
        .count()
}

fn failed(transcript: &Transcript) -> usize {
    transcript
        .received()
        .iter()
        .filter(|message| message["result"]["isError"] == true)
        .count()
}

fn summary(transcript: &Transcript) -> String {
    let Conversation { sent, received } = conversation(transcript);
    let signed_in = transcript.lines.iter().find_map(|line| match line {
        Line::SignedIn { signed_in } => Some(format!("signed in as {signed_in}, ")),
        _ => None,
    });
    format!(
        "{}sent {sent} messages and received {received}: {} of progress, {} tools that failed",
        signed_in.unwrap_or_default(),
        progressed(transcript),
        failed(transcript),
    )
}

fn expect_the_scenario(transcript: &Transcript) -> anyhow::Result<()> {
    ensure!(progressed(transcript) > 0, "the client saw no progress notification");
    ensure!(failed(transcript) > 0, "the client saw no tool fail");
    Ok(())
}

/// Lets the console tell the session, on our own output.
async fn replay(stack: &Stack, session: &str, terminal: &Terminal) -> anyhow::Result<()> {
    terminal.step("replay", &format!("tapedeck replay {session}"));
    let mut command = Command::new(&binaries().await?.console);
    command
        .args(["replay", session])
        .args(stack.database.console_arguments());
    command.envs(stack.database.console_environment());
    let status = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("cannot run the console")?;
    ensure!(status.success(), "the console could not replay the session: {status}");
    Ok(())
}

/// Ctrl-C, SIGTERM, or the terminal gone; says which.
async fn asked_to_end() -> io::Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
        _ = hangup.recv() => "SIGHUP",
    })
}

#[cfg(test)]
mod tests;
