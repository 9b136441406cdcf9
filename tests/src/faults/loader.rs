//! The consumer under observation: every line that it writes is read as it is written, and a blow can be aimed at one.

use std::fs::{self, File};
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
use tokio::sync::watch;
use tokio::time::timeout;

use super::trace::{Aim, Told, Trace, read};

/// A member that was killed is missed after so long. Shorter, one that lives is missed, too, where cores are few.
///
/// The embedded broker reads its log record by record and answers no heartbeat meanwhile, which must not cost a member its
/// partitions; there a dead one is [removed](super::group::remove_member) instead.
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
pub struct Loader {
    launch: Launch,
    program: PathBuf,
    config: PathBuf,
    pipe: PathBuf,
    log: PathBuf,
    group: String,
}

/// A consumer that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Watched {
    child: Arc<Child>,
    /// What is known of it while it runs.
    told: watch::Receiver<Told>,
    /// Taken where the consumer's end is waited for.
    reader: Option<JoinHandle<std::io::Result<Trace>>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The reader holds the child, too, and ends only after it.
        self.child.kill_hard();
    }
}

impl Loader {
    /// Configures a consumer, with `more` at the end of its file, and lets it create topics and tables.
    pub async fn prepare(
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
        Self::writing_to(pipe, log, config, group, program.clone())
    }

    /// Another member of the same group.
    pub fn beside(&self) -> anyhow::Result<Self> {
        let (pipe, log) = (self.pipe.with_extension("other"), self.log.with_extension("other"));
        Self::writing_to(pipe, log, self.config.clone(), self.group.clone(), self.program.clone())
    }

    fn writing_to(
        pipe: PathBuf,
        log: PathBuf,
        config: PathBuf,
        group: String,
        program: PathBuf,
    ) -> anyhow::Result<Self> {
        nix::unistd::mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let launch = Launch::new("consumer", &program, &pipe)
            .arg("--config")
            .arg(&config)
            .env("RUST_LOG", "info,tapedeck_consumer=debug,librdkafka=debug");
        Ok(Self {
            launch,
            program,
            config,
            pipe,
            log,
            group,
        })
    }

    /// The consumer group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Starts a consumer; it need not have a partition when this returns. With an aim it is struck there.
    pub fn start(&self, aim: Option<Aim>) -> anyhow::Result<Watched> {
        // Open for both, neither end waits for the other; closed once both are there, so that the end is seen.
        let held = File::options().read(true).write(true).open(&self.pipe)?;
        let child = Arc::new(self.launch.start()?);
        let output = File::open(&self.pipe)?;
        drop(held);
        let log = File::options().create(true).append(true).open(&self.log)?;
        let killer = Arc::clone(&child);
        let (tell, told) = watch::channel(Told::default());
        let reader = std::thread::spawn(move || read(output, log, &killer, aim, &tell));
        Ok(Watched {
            child,
            told,
            reader: Some(reader),
        })
    }
}

impl Watched {
    /// Waits until the consumer has been killed where the aim is, or has ended by itself.
    pub async fn ended(self) -> anyhow::Result<(ExitStatus, Trace)> {
        let status = self.child.exited(PATIENCE).await;
        let status = status.ok_or_else(|| anyhow!("the consumer still runs after {PATIENCE:?}"))?;
        Ok((status, self.trace().await?))
    }

    /// Lets the consumer finish and end.
    pub async fn stop(self) -> anyhow::Result<ExitStatus> {
        let status = self.child.stop(PATIENCE).await;
        self.trace().await?;
        Ok(status)
    }

    /// Lets a paused one go on.
    pub fn resume(&self) -> anyhow::Result<()> {
        Ok(self.child.resume()?)
    }

    /// What it has told so far.
    pub fn told(&self) -> Told {
        self.told.borrow().clone()
    }

    /// Waits until what it has told is so.
    pub async fn tells(&self, is: impl FnMut(&Told) -> bool) -> anyhow::Result<()> {
        let mut told = self.told.clone();
        let reached = timeout(PATIENCE, told.wait_for(is)).await;
        let told = self.told();
        reached
            .map_err(|_| anyhow!("not after {PATIENCE:?}: {told:?}"))?
            .with_context(|| format!("the consumer has ended: {told:?}"))?;
        Ok(())
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
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
