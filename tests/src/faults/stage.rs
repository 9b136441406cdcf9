//! The parts that all tests of this binary share, started once, and what each test has for itself on them.

use std::time::Duration;

use crate::{Client, metric_is, until};
use anyhow::{Context as _, ensure};
use serde_json::json;
use tapedeck_dev::broker::{Broker, BrokerKind};
use tapedeck_dev::clickhouse::{ClickHouse, ClickHouseKind};
use tapedeck_dev::folder::{Folder, Run, Site};
use tapedeck_dev::identity::{AccessToken, Identity, Machine, Options};
use tapedeck_dev::mcp::{Probe, ProbeOptions};
use tapedeck_dev::node::Node;
use tapedeck_dev::progress::Quiet;
use tapedeck_dev::services::{Database, Issuer, Kafka, Proxy, ProxyOptions, Target};
use tokio::sync::OnceCell;

use super::load::{Call, Load, Plan};
use super::loader::Loader;
use super::positions::Positions;

/// Callers, each with session key and session of its own, so that several partitions have work.
pub const CALLERS: usize = 4;

/// The group that may call.
const GROUP: &str = "engineers";

static STAGE: OnceCell<Stage> = OnceCell::const_new();

/// Runs a test on the shared parts.
pub fn on_stage(test: impl AsyncFnOnce(&'static Stage) -> anyhow::Result<()>) -> anyhow::Result<()> {
    crate::run(async {
        let stage = STAGE.get_or_try_init(Stage::start).await?;
        test(stage)
            .await
            .with_context(|| format!("logs are in {}", stage.run.path().display()))
    })
}

/// What is shared. A static is never dropped: its processes end with this one.
#[derive(Debug)]
pub struct Stage {
    folder: Folder,
    run: Run,
    node: Node,
    identity: Identity,
    clickhouse: OnceCell<ClickHouse>,
    broker: OnceCell<Broker>,
}

impl Stage {
    /// Starts what all faults need. Brokers and ClickHouse come when they are asked for.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = Folder::open()?;
        let run = folder.run("faults")?;
        let site = Site {
            folder: &folder,
            run: &run,
            progress: &Quiet,
        };
        let node = Node::open(site).await?;
        let machines = (0..CALLERS).map(|number| Machine {
            id: format!("caller-{number}"),
            secret: "sesame".to_owned(),
            groups: vec![GROUP.to_owned()],
        });
        let options = Options {
            machines: machines.collect(),
            ..Options::default()
        };
        let identity = Identity::start(&node, options, site).await?;
        Ok(Self {
            folder,
            run,
            node,
            identity,
            clickhouse: OnceCell::new(),
            broker: OnceCell::new(),
        })
    }

    /// Where parts are installed and run.
    pub fn site(&self) -> Site<'_> {
        Site {
            folder: &self.folder,
            run: &self.run,
            progress: &Quiet,
        }
    }

    /// The broker that nobody kills: Apache Kafka.
    pub async fn broker(&self) -> anyhow::Result<&Broker> {
        self.broker
            .get_or_try_init(|| self.another_broker(BrokerKind::Apache))
            .await
    }

    /// A broker of one's own.
    pub async fn another_broker(&self, kind: BrokerKind) -> anyhow::Result<Broker> {
        Ok(Broker::start(kind, None, self.site()).await?)
    }

    /// The ClickHouse that nobody kills.
    pub async fn clickhouse(&self) -> anyhow::Result<&ClickHouse> {
        self.clickhouse.get_or_try_init(|| self.another_clickhouse()).await
    }

    /// A ClickHouse of one's own.
    pub async fn another_clickhouse(&self) -> anyhow::Result<ClickHouse> {
        let (kind, _) = ClickHouseKind::choose();
        Ok(ClickHouse::start(kind, None, None, self.site()).await?)
    }
}

/// One test's topics, database and consumer.
#[derive(Debug)]
pub struct Scene {
    /// Where its topics are.
    pub kafka: Kafka,
    /// Where its tables are.
    pub database: Database,
    /// How its consumer is started.
    pub loader: Loader,
}

impl Scene {
    /// Creates topics and database, named after the test.
    pub async fn set(stage: &Stage, name: &str, broker: &Broker, clickhouse: &ClickHouse) -> anyhow::Result<Self> {
        Self::with(stage, name, broker, clickhouse, "").await
    }

    /// The same, with more in the consumer's configuration.
    pub async fn with(
        stage: &Stage,
        name: &str,
        broker: &Broker,
        clickhouse: &ClickHouse,
        more: &str,
    ) -> anyhow::Result<Self> {
        let kafka = Kafka {
            brokers: broker.bootstrap(),
            topic_prefix: name.to_owned(),
        };
        let database = Database {
            url: clickhouse.url(),
            name: name.to_owned(),
            user: "default".to_owned(),
            password: None,
        };
        let loader = Loader::prepare(&kafka, &database, broker.kind(), more, stage.site()).await?;
        Ok(Self {
            kafka,
            database,
            loader,
        })
    }

    /// Waits until the consumer has committed all that the topic holds: then it is loaded, and its events are published.
    pub async fn settled(&self) -> anyhow::Result<()> {
        until(async || {
            Ok(self
                .positions()
                .await?
                .and_then(|positions| positions.reach(&positions.ends())))
        })
        .await
    }

    /// Waits until the consumer has committed all that the topic holds now, while more may come.
    pub async fn loaded_so_far(&self) -> anyhow::Result<()> {
        let ends = until(async || self.positions().await).await?.ends();
        until(async || Ok(self.positions().await?.and_then(|positions| positions.reach(&ends)))).await
    }

    /// Loads all that the topic holds, by a consumer that then ends.
    pub async fn load(&self) -> anyhow::Result<()> {
        let consumer = self.loader.start(None)?;
        self.settled().await?;
        ensure!(consumer.stop().await?.success(), "the consumer did not end well");
        Ok(())
    }

    async fn positions(&self) -> anyhow::Result<Result<Positions, String>> {
        Positions::ask(&self.kafka.brokers, &self.kafka.frames(), self.loader.group()).await
    }
}

/// A proxy before a server that keeps an account of what reached it.
#[derive(Debug)]
pub struct Front {
    /// The proxy.
    pub proxy: Proxy,
    /// The server behind it.
    pub probe: Probe,
    tokens: Vec<AccessToken>,
}

impl Front {
    /// Starts both, and gets tokens for so many callers.
    pub async fn start(stage: &Stage, scene: &Scene, callers: usize) -> anyhow::Result<Self> {
        Self::recording(stage, scene, callers, "required").await
    }

    /// As [`Front::start`], where the target's `record` is this.
    pub async fn recording(stage: &Stage, scene: &Scene, callers: usize, record: &str) -> anyhow::Result<Self> {
        let options = ProbeOptions {
            stateless: true,
            json: true,
            ..ProbeOptions::default()
        };
        let probe = Probe::start(&stage.node, options, stage.site()).await?;
        let (proxy, tokens) = proxy_before(stage, scene, callers, probe.url(), record).await?;
        Ok(Self { proxy, probe, tokens })
    }

    /// A client of one caller.
    pub fn client(&self, caller: usize) -> anyhow::Result<Client> {
        let client = Client::bearer(&self.proxy.endpoint("probe"), self.tokens[caller].as_str())?;
        client.with("mcp-protocol-version", "2025-11-25")
    }

    /// Ends the calls, and the proxy in order, so that all that it has is in the log; then loads it.
    pub async fn emptied(&self, scene: &Scene, load: Load) -> anyhow::Result<Vec<Call>> {
        let calls = load.finish().await;
        // A spool is drained before Kafka has it all, and nothing is spooled after that.
        metric_is(self.proxy.service(), "tapedeck_recorder_spool_bytes", "0").await?;
        stopped(&self.proxy).await?;
        scene.load().await?;
        Ok(calls)
    }

    /// Lets so many clients call.
    pub fn load(&self, clients: usize, every: Duration) -> anyhow::Result<Load> {
        Load::start(&Plan {
            endpoint: self.proxy.endpoint("probe").parse()?,
            tokens: self.tokens.clone(),
            clients,
            every,
        })
    }
}

/// Stops a proxy in order: all that it has is in the log then.
pub async fn stopped(proxy: &Proxy) -> anyhow::Result<()> {
    let ended = proxy.service().stop().await;
    ensure!(ended.success(), "the proxy ended with {ended}");
    Ok(())
}

/// A proxy before the target `probe`, which is at `url`, and tokens of so many callers.
pub async fn proxy_before(
    stage: &Stage,
    scene: &Scene,
    callers: usize,
    url: &str,
    record: &str,
) -> anyhow::Result<(Proxy, Vec<AccessToken>)> {
    let issuer = Issuer::new(stage.identity.issuer(), []);
    let target = Target {
        name: "probe".to_owned(),
        url: url.to_owned(),
        allow_groups: vec![GROUP.to_owned()],
        credential: None,
    };
    let as_recorded = json!({
        "name": target.name, "url": target.url, "allow_groups": target.allow_groups,
        "record": record, "allow_single_copy": true,
    });
    let options = ProxyOptions {
        targets: vec![target],
        more: json!({
            "kafka": { "options": { "reconnect.backoff.max.ms": "500" } },
            "spool": { "dir": "spool" },
            "target": [as_recorded],
        }),
        ..ProxyOptions::new(scene.kafka.clone(), issuer)
    };
    let proxy = Proxy::start(&options, stage.site()).await?;
    let endpoint = proxy.endpoint("probe");
    let mut tokens = Vec::new();
    for machine in stage.identity.machines().iter().take(callers) {
        tokens.push(stage.identity.machine_token(machine, &endpoint).await?);
    }
    Ok((proxy, tokens))
}
