//! The consumer under observation: every line that it writes is read as it is written, and a kill can be aimed at one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use nix::sys::stat::Mode;
use tapedeck_dev::binaries::binaries;
use tapedeck_dev::broker::BrokerKind;
use tapedeck_dev::folder::Site;
use tapedeck_dev::process::{Child, Launch};
use tapedeck_dev::services::{Database, Kafka};

/// A member that was killed is missed after so long. Shorter, one that lives is missed, too, where cores are few.
///
/// The embedded broker reads its log record by record and answers no heartbeat meanwhile, which must not cost a member its
/// partitions; there a dead one is [removed](crate::group::remove_member) instead.
fn session(broker: BrokerKind) -> Duration {
    match broker {
        BrokerKind::Apache => Duration::from_secs(4),
        BrokerKind::Embedded => Duration::from_secs(60),
    }
}

/// Short, so that a new owner begins soon.
const LEASE: &str = "500ms";

/// The longest that a consumer may take to do what a test waits for.
const PATIENCE: Duration = Duration::from_secs(90);

/// How to start a consumer again and again.
#[derive(Debug)]
pub(crate) struct Loader {
    launch: Launch,
    pipe: PathBuf,
    log: PathBuf,
    group: String,
}

/// When to kill.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aim {
    /// A phase's name.
    pub(crate) phase: &'static str,
    /// How many batches may have come to it, this one included.
    pub(crate) nth: usize,
    /// How long to wait then: a window has a beginning, a middle and an end.
    pub(crate) pause: Duration,
}

/// In which part of a batch's life a consumer died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Window {
    BetweenBatches,
    BeforeInsert,
    InsertRunning,
    InsertedNotPublished,
    PublishedNotCommitted,
}

impl Window {
    /// The windows that a kill must have fallen in.
    pub(crate) const ALL: [Self; 4] = [
        Self::BeforeInsert,
        Self::InsertRunning,
        Self::InsertedNotPublished,
        Self::PublishedNotCommitted,
    ];

    fn after(phase: Option<&str>) -> Self {
        match phase {
            Some("decoded") => Self::BeforeInsert,
            Some("inserting") => Self::InsertRunning,
            Some("inserted" | "publishing") => Self::InsertedNotPublished,
            Some("published") => Self::PublishedNotCommitted,
            _ => Self::BetweenBatches,
        }
    }
}

/// A consumer that runs. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    child: Arc<Child>,
    /// Taken where the consumer's end is waited for.
    reader: Option<JoinHandle<std::io::Result<Trace>>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The reader holds the child, too, and ends only after it.
        self.child.kill_hard();
    }
}

/// What a consumer wrote, once it has ended.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// The last phase of each partition's last batch.
    last: BTreeMap<i32, String>,
    /// The partition that the aim was taken at.
    aimed: Option<i32>,
    /// Its id in the group.
    member: Option<String>,
    /// The last lines.
    tail: Vec<String>,
}

impl Trace {
    /// Where the partition that was aimed at really was; with the aim never taken, any partition.
    pub(crate) fn window(&self) -> Window {
        let partition = self.aimed.or_else(|| self.last.keys().next().copied());
        let phase = partition.and_then(|partition| self.last.get(&partition));
        Window::after(phase.map(String::as_str))
    }

    /// Its id in the group, if it has joined.
    pub(crate) fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    /// The last lines, for people and for what must stand in them.
    pub(crate) fn tail(&self) -> String {
        self.tail.join("\n")
    }

    fn take(&mut self, line: String) -> Option<(i32, String)> {
        const TAIL: usize = 40;
        if let Some(member) = member_of(&line) {
            self.member = Some(member.to_owned());
            return None;
        }
        if line.contains(" librdkafka: ") {
            return None;
        }
        let found = phase_of(&line);
        if self.tail.len() == TAIL {
            self.tail.remove(0);
        }
        self.tail.push(line);
        if let Some((partition, phase)) = &found {
            self.last.insert(*partition, phase.clone());
        }
        found
    }
}

/// `… batch phase=NAME partition=N start=N end=N`: partition and phase.
fn phase_of(line: &str) -> Option<(i32, String)> {
    let field = |name: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"'))
    };
    let phase = field("phase")?;
    Some((field("partition")?.parse().ok()?, phase.to_owned()))
}

/// `… JoinGroup response: … my MemberId ID, …`: the id. The first answer gives it, and those that follow repeat it.
fn member_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("my MemberId ")?;
    let (member, _) = rest.split_once(',')?;
    Some(member).filter(|member| !member.is_empty())
}

impl Loader {
    /// Configures a consumer, with `more` at the end of its file, and lets it create topics and tables.
    pub(crate) async fn prepare(
        kafka: &Kafka,
        database: &Database,
        broker: BrokerKind,
        more: &str,
        site: Site<'_>,
    ) -> anyhow::Result<Self> {
        let program = &binaries().await?.consumer;
        let room = site.run.room("consumer")?;
        let (pipe, log) = (room.join("output"), site.run.log(&room));
        let group = format!("{}-loader", kafka.topic_prefix);
        let config = room.join("consumer.toml");
        fs::write(
            &config,
            format!(
                "\
[kafka]
brokers = [\"{brokers}\"]
topic_prefix = \"{prefix}\"
group = \"{group}\"
# One that was killed is missed soon.
options.\"session.timeout.ms\" = \"{session}\"
options.\"heartbeat.interval.ms\" = \"500\"
options.\"reconnect.backoff.max.ms\" = \"500\"
# Its id in the group stands in the log.
options.debug = \"cgrp\"

[topics]
partitions = 2
replication = 1
min_insync_replicas = 1

[clickhouse]
url = \"{url}\"
database = \"{database}\"
user = \"{user}\"

[batch]
every = \"100ms\"
lease = \"{LEASE}\"

{more}",
                session = session(broker).as_millis(),
                brokers = kafka.brokers,
                prefix = kafka.topic_prefix,
                url = database.url,
                database = database.name,
                user = database.user,
            ),
        )?;
        Launch::new("consumer migrate", program, &log)
            .args(["migrate", "--config"])
            .arg(&config)
            .complete(PATIENCE)
            .await?;
        nix::unistd::mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let launch = Launch::new("consumer", program, &pipe)
            .arg("--config")
            .arg(&config)
            .env("RUST_LOG", "info,tapedeck_consumer=debug,librdkafka=debug");
        Ok(Self {
            launch,
            pipe,
            log,
            group,
        })
    }

    /// The consumer group.
    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// Starts a consumer; it need not have a partition when this returns. With an aim it is killed there.
    pub(crate) fn start(&self, aim: Option<Aim>) -> anyhow::Result<Watched> {
        // Open for both, neither end waits for the other; closed once both are there, so that the end is seen.
        let held = File::options().read(true).write(true).open(&self.pipe)?;
        let child = Arc::new(self.launch.start()?);
        let output = File::open(&self.pipe)?;
        drop(held);
        let log = File::options().create(true).append(true).open(&self.log)?;
        let killer = Arc::clone(&child);
        let reader = std::thread::spawn(move || read(output, log, &killer, aim));
        Ok(Watched {
            child,
            reader: Some(reader),
        })
    }
}

impl Watched {
    /// Waits until the consumer has been killed where the aim is, or has ended by itself.
    pub(crate) async fn ended(self) -> anyhow::Result<(ExitStatus, Trace)> {
        let status = self.child.exited(PATIENCE).await;
        let status = status.ok_or_else(|| anyhow!("the consumer still runs after {PATIENCE:?}"))?;
        Ok((status, self.trace().await?))
    }

    /// Lets the consumer finish and end.
    pub(crate) async fn stop(self) -> anyhow::Result<ExitStatus> {
        let status = self.child.stop(PATIENCE).await;
        self.trace().await?;
        Ok(status)
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&self) -> bool {
        self.child.is_running()
    }

    async fn trace(mut self) -> anyhow::Result<Trace> {
        // Its whole group, so that nothing holds the other end of the pipe.
        self.child.kill_hard();
        let reader = self.reader.take().context("the end was waited for before")?;
        let joined = tokio::task::spawn_blocking(move || reader.join()).await?;
        joined
            .map_err(|_| anyhow!("the reader panicked"))?
            .context("reading the consumer's output")
    }
}

/// Reads to the end, which comes when the process and all its output are gone.
fn read(output: File, mut log: File, child: &Child, mut aim: Option<Aim>) -> std::io::Result<Trace> {
    let mut trace = Trace::default();
    let mut seen = 0;
    for line in BufReader::new(output).lines() {
        let line = line?;
        writeln!(log, "{line}")?;
        let Some((partition, phase)) = trace.take(line) else {
            continue;
        };
        let Some(wanted) = aim.filter(|aim| aim.phase == phase) else {
            continue;
        };
        seen += 1;
        if seen >= wanted.nth {
            std::thread::sleep(wanted.pause);
            child.kill_hard();
            trace.aimed = Some(partition);
            aim = None;
        }
    }
    Ok(trace)
}
