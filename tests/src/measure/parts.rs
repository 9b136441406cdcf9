//! The real parts that figures are taken on.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tapedeck_dev::broker::{Broker, BrokerKind};
use tapedeck_dev::clickhouse::{ClickHouse, ClickHouseKind};
use tapedeck_dev::folder::{Folder, Run, Site};
use tapedeck_dev::identity::{Identity, Options, User};
use tapedeck_dev::node::Node;
use tapedeck_dev::process::Launch;
use tapedeck_dev::progress::{Progress, Step};
use tapedeck_dev::services::{Consumer, ConsumerOptions, Database, Issuer, Kafka, Proxy, ProxyOptions, Target};

use super::Summary;

/// What a process may take beyond the time that it measures.
pub(super) const SLACK: Duration = Duration::from_secs(60);

/// Longer than any measurement, for which no token must end.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// Running parts, and where more are started. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) broker: Broker,
    pub(super) clickhouse: ClickHouse,
    pub(super) identity: Identity,
    folder: Folder,
    run: Run,
}

impl Parts {
    pub(super) async fn start() -> anyhow::Result<Self> {
        Self::start_with(BTreeMap::new()).await
    }

    /// Parts at whose identity provider these may sign in, too.
    pub(super) async fn start_with(users: BTreeMap<String, User>) -> anyhow::Result<Self> {
        let mut options = Options {
            lifetime: LONGEST,
            ..Options::default()
        };
        options.users.extend(users);
        let folder = Folder::open()?;
        let run = folder.run("measure")?;
        let site = Site {
            folder: &folder,
            run: &run,
            progress: &Errors,
        };
        let (kind, reason) = BrokerKind::choose();
        note(&reason);
        let node = Node::open(site).await?;
        let (broker, clickhouse, identity) = (
            Broker::start(kind, None, site).await?,
            ClickHouse::start(ClickHouseKind::choose().0, None, None, site).await?,
            Identity::start(&node, options, site).await?,
        );
        Ok(Self {
            broker,
            clickhouse,
            identity,
            folder,
            run,
        })
    }

    pub(super) fn site(&self) -> Site<'_> {
        Site {
            folder: &self.folder,
            run: &self.run,
            progress: &Errors,
        }
    }

    pub(super) fn kafka(&self, prefix: &str) -> Kafka {
        Kafka {
            brokers: self.broker.bootstrap(),
            topic_prefix: prefix.to_owned(),
        }
    }

    pub(super) fn database(&self, name: &str) -> Database {
        Database {
            url: self.clickhouse.url(),
            name: name.to_owned(),
            user: "default".to_owned(),
            password: None,
        }
    }

    /// A consumer as it is by default, lease and all: with a short one, large batches would come too late and be sent
    /// again. It creates topics and tables.
    pub(super) async fn consumer(
        &self,
        kafka: &Kafka,
        database: &Database,
        partitions: u16,
    ) -> anyhow::Result<Consumer> {
        self.consumer_with(kafka, database, partitions, json!({})).await
    }

    /// The same, with whatever else its configuration is to say.
    pub(super) async fn consumer_with(
        &self,
        kafka: &Kafka,
        database: &Database,
        partitions: u16,
        more: Value,
    ) -> anyhow::Result<Consumer> {
        let options = consumer_options(kafka, database, partitions, more);
        Ok(Consumer::start(&options, self.site()).await?)
    }

    /// Topics and tables as a consumer creates them.
    pub(super) async fn migrate(&self, kafka: &Kafka, database: &Database, partitions: u16) -> anyhow::Result<()> {
        let options = consumer_options(kafka, database, partitions, json!({}));
        Ok(Consumer::migrate(&options, self.site()).await?)
    }

    /// A proxy that anybody may use before `target`, the name of what is at `url`.
    pub(super) async fn proxy(&self, kafka: Kafka, url: &str) -> anyhow::Result<Proxy> {
        let target = Target {
            name: "target".to_owned(),
            url: url.to_owned(),
            allow_groups: vec!["*".to_owned()],
            credential: None,
        };
        let options = ProxyOptions {
            targets: vec![target],
            ..ProxyOptions::new(kafka, Issuer::new(self.identity.issuer(), []))
        };
        Ok(Proxy::start(&options, self.site()).await?)
    }

    /// A new folder of the run, and the log of what works in it.
    pub(super) fn room(&self, name: &str) -> anyhow::Result<(PathBuf, PathBuf)> {
        let room = self.run.room(name)?;
        let log = self.run.log(&room);
        Ok((room, log))
    }

    /// This program again, as one of the processes that a measurement is made of; and the file that it prints to.
    pub(super) fn ourselves(&self, name: &str) -> anyhow::Result<(Launch, PathBuf)> {
        let (room, log) = self.room(name)?;
        let output = room.join("output");
        let launch = Launch::new(name, std::env::current_exe()?, log).output(&output);
        Ok((launch, output))
    }
}

fn consumer_options(kafka: &Kafka, database: &Database, partitions: u16, more: Value) -> ConsumerOptions {
    ConsumerOptions {
        admin_port: None,
        kafka: kafka.clone(),
        group: database.name.clone(),
        database: database.clone(),
        partitions,
        every: Duration::from_secs(1),
        more,
        environment: Vec::new(),
    }
}

/// Lets one of our processes measure for so long, and reads what it has printed.
pub(super) async fn complete(launch: Launch, within: Duration, output: &Path) -> anyhow::Result<Summary> {
    let milliseconds = within.as_millis().to_string();
    launch
        .args(["--milliseconds", &milliseconds])
        .complete(within + SLACK)
        .await?;
    Ok(serde_json::from_str(&fs::read_to_string(output)?)?)
}

/// Tells people on standard error what goes on: standard output is for figures.
pub(super) struct Errors;

impl Progress for Errors {
    fn report(&self, step: Step<'_>) {
        match step {
            Step::Installing { part, what } => note(&format!("installing {part}: {what}")),
            Step::Waiting { part } => note(&format!("waiting for another process to install {part}")),
            Step::Note { part, text } => note(&format!("{part}: {text}")),
            _ => {}
        }
    }
}

pub(super) fn note(text: &str) {
    // A closed terminal is no reason to end.
    let _ = writeln!(std::io::stderr(), "{text}");
}
