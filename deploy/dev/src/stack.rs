//! The whole stack on 127.0.0.1: broker, ClickHouse, identity provider, MCP server, consumer, proxy and console.

mod given;

use std::time::Duration;

use serde_json::json;
use thiserror::Error;
use url::Url;
use uuid::Uuid;

use crate::binaries::{BinariesError, binaries};
use crate::broker::{self, Broker, BrokerError, BrokerKind};
use crate::clickhouse::{self, ClickHouse, ClickHouseError, ClickHouseKind, Login};
use crate::folder::{Folder, FolderError, Run, Site};
use crate::identity::{self, Identity};
use crate::ledger::Ledger;
use crate::mcp;
use crate::node::{Node, NodeError};
use crate::progress::{Progress, Step};
use crate::services::{
    Console, ConsoleOptions, Consumer, ConsumerOptions, Database, Issuer, Kafka, Proxy, ProxyOptions, ServiceError,
    Target,
};

/// The group of the stack's own users that may use its target.
pub const GROUP: &str = "engineers";

/// Partitions of the topics: enough to see keys spread, few enough to read.
const PARTITIONS: u16 = 4;

/// The longest that a frame waits to be inserted: soon enough for someone who watches.
const EVERY: Duration = Duration::from_millis(500);

/// Where the broker comes from.
#[derive(Debug, Clone)]
pub enum BrokerSource {
    /// Apache Kafka where it can run, else the embedded one.
    Choose,
    /// That one.
    Start(BrokerKind),
    /// Brokers that run already: `HOST:PORT`.
    Given(String),
}

/// What the stack is made of.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// The run's name, for people: `dev`, `test-faults`.
    pub name: String,
    /// The broker.
    pub broker: BrokerSource,
    /// A ClickHouse that runs already, with its login in the URL if it needs one.
    pub clickhouse: Option<Url>,
    /// An issuer that runs already.
    pub issuer: Option<Issuer>,
    /// An MCP server that runs already, and who may use it.
    pub target: Option<Target>,
    /// The groups that may use the stack's own target; `None` is the group of the stack's own users. `*` is everyone.
    pub allow_groups: Option<Vec<String>>,
    /// Whether to use ports that people can remember, as far as they are free.
    pub usual_ports: bool,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            name: "stack".to_owned(),
            broker: BrokerSource::Choose,
            clickhouse: None,
            issuer: None,
            target: None,
            allow_groups: None,
            usual_ports: false,
        }
    }
}

/// The stack could not be brought up.
#[derive(Debug, Error)]
pub enum StackError {
    /// The folder could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Our programs could not be built.
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    /// The broker did not start.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// ClickHouse did not start.
    #[error(transparent)]
    ClickHouse(#[from] ClickHouseError),
    /// The identity provider or the MCP server did not start.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The proxy, the consumer or the console did not start.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A part that was given does not answer.
    #[error("{what} at {place} does not answer: {reason}")]
    Given {
        /// What it is.
        what: &'static str,
        /// Where.
        place: String,
        /// What came instead.
        reason: String,
    },
}

/// All parts, running. They end when this is dropped.
#[derive(Debug)]
pub struct Stack {
    // Fields are dropped in this order: who uses a part goes before it.
    /// The recorder proxy.
    pub proxy: Proxy,
    /// The consumer.
    pub consumer: Consumer,
    /// The console, where the identity provider is ours: it must let the console register itself.
    pub console: Option<Console>,
    /// The MCP server, if it is ours.
    pub server: Option<mcp::Server>,
    /// The identity provider, if it is ours.
    pub identity: Option<Identity>,
    /// ClickHouse, if it is ours.
    pub clickhouse: Option<ClickHouse>,
    /// The broker, if it is ours.
    pub broker: Option<Broker>,
    /// Node, to run clients with.
    pub node: Node,
    /// Where frames are recorded.
    pub kafka: Kafka,
    /// Where frames are loaded.
    pub database: Database,
    /// The issuer's URL.
    pub issuer: String,
    /// The target's name.
    pub target: String,
    /// Data and logs.
    pub run: Run,
}

impl Stack {
    /// Installs and starts all that is not given. When this returns, everything has answered.
    ///
    /// # Errors
    /// When a part cannot be installed, started or reached. What had started ends.
    pub async fn start(options: StackOptions, progress: &dyn Progress) -> Result<Self, StackError> {
        let folder = Folder::open()?;
        let run = folder.run(&options.name)?;
        let site = Site {
            folder: &folder,
            run: &run,
            progress,
        };
        let port = |port: u16| options.usual_ports.then_some(port);

        let node = Node::open(site).await?;
        let ((broker, brokers), (clickhouse, database), (identity, issuer), (server, target), _) = tokio::try_join!(
            start_broker(&options.broker, port(9092), site),
            start_clickhouse(options.clickhouse.as_ref(), port(8123), site),
            start_identity(options.issuer.clone(), &node, port(4180), site),
            start_server(&options, &node, port(3001), site),
            async { binaries().await.map_err(StackError::from) },
        )?;

        // What others use, too, gets names of this run's own: its offsets must not be taken for another topic's.
        let mut kafka = Kafka {
            brokers,
            topic_prefix: "mcp".to_owned(),
        };
        let mut database = database;
        if broker.is_none() || clickhouse.is_none() {
            let id = Uuid::now_v7().simple();
            kafka.topic_prefix = format!("tapedeck-dev-{id}");
            database.name = format!("tapedeck_dev_{id}");
        }

        let consumer = Consumer::start(
            &ConsumerOptions {
                admin_port: port(9465),
                kafka: kafka.clone(),
                group: kafka.topic_prefix.clone() + "-consumer",
                database: database.clone(),
                partitions: PARTITIONS,
                every: EVERY,
                more: json!({}),
                environment: Vec::new(),
            },
            site,
        )
        .await?;

        let console = match &identity {
            Some(identity) => Some(start_console(&database, identity.issuer(), port(8090), site).await?),
            None => None,
        };

        let issuer_url = issuer.url.clone();
        let name = target.name.clone();
        let proxy = Proxy::start(
            &ProxyOptions {
                port: port(8080),
                admin_port: port(9464),
                kafka: kafka.clone(),
                issuers: vec![issuer],
                targets: vec![target],
                tag_key: None,
                more: json!({}),
                environment: Vec::new(),
            },
            site,
        )
        .await?;
        Ok(Self {
            proxy,
            consumer,
            console,
            server,
            identity,
            clickhouse,
            broker,
            node,
            kafka,
            database,
            issuer: issuer_url,
            target: name,
            run,
        })
    }

    /// The target's MCP endpoint on the proxy, which is the audience of its tokens, too.
    pub fn endpoint(&self) -> String {
        self.proxy.endpoint(&self.target)
    }

    /// What was recorded, compared with what was loaded.
    pub fn ledger(&self) -> Ledger {
        Ledger::new(&self.kafka, &self.database)
    }

    /// Ends all parts of ours in order, so that nothing is cut short.
    pub async fn stop(self) {
        self.proxy.service().stop().await;
        self.consumer.service().stop().await;
        if let Some(console) = &self.console {
            console.stop().await;
        }
        if let Some(clickhouse) = &self.clickhouse {
            clickhouse.stop().await;
        }
        if let Some(broker) = &self.broker {
            broker.stop().await;
        }
    }
}

/// Engineers are administrators, visitors see their own sessions.
async fn start_console(
    database: &Database,
    issuer: &str,
    port: Option<u16>,
    site: Site<'_>,
) -> Result<Console, StackError> {
    let options = ConsoleOptions {
        port,
        database: database.clone(),
        issuer: issuer.to_owned(),
        roles: json!({ "administrator": GROUP, "viewer": "visitors" }),
        more: json!({}),
    };
    Ok(Console::start(&options, site).await?)
}

async fn start_broker(
    source: &BrokerSource,
    port: Option<u16>,
    site: Site<'_>,
) -> Result<(Option<Broker>, String), StackError> {
    let note = |text: &str| site.progress.report(Step::Note { part: "broker", text });
    let kind = match source {
        BrokerSource::Given(brokers) => {
            let silent = |reason| StackError::Given {
                what: "Kafka",
                place: brokers.clone(),
                reason,
            };
            broker::answers(brokers).await.map_err(silent)?;
            note(&format!("{brokers}, as asked"));
            return Ok((None, brokers.clone()));
        }
        BrokerSource::Start(kind) => {
            note(&format!("{kind}, as asked"));
            *kind
        }
        BrokerSource::Choose => {
            let (kind, reason) = BrokerKind::choose();
            note(&reason);
            kind
        }
    };
    let broker = Broker::start(kind, port, site).await?;
    let brokers = broker.bootstrap();
    Ok((Some(broker), brokers))
}

async fn start_clickhouse(
    given: Option<&Url>,
    port: Option<u16>,
    site: Site<'_>,
) -> Result<(Option<ClickHouse>, Database), StackError> {
    let name = "tapedeck".to_owned();
    if let Some(given) = given {
        let database = given::database(given, name);
        let Database {
            url, user, password, ..
        } = database.clone();
        let login = password.map(|password| Login { user, password });
        let silent = |reason| StackError::Given {
            what: "ClickHouse",
            place: url.clone(),
            reason,
        };
        clickhouse::answers(url.as_str(), login.as_ref())
            .await
            .map_err(silent)?;
        site.progress.report(Step::Note {
            part: "ClickHouse",
            text: &format!("{url}, as asked"),
        });
        return Ok((None, database));
    }
    let (kind, reason) = ClickHouseKind::choose();
    site.progress.report(Step::Note {
        part: "ClickHouse",
        text: &reason,
    });
    let clickhouse = ClickHouse::start(kind, port, None, site).await?;
    let database = Database {
        url: clickhouse.url(),
        name,
        user: "default".to_owned(),
        password: None,
    };
    Ok((Some(clickhouse), database))
}

async fn start_identity(
    given: Option<Issuer>,
    node: &Node,
    port: Option<u16>,
    site: Site<'_>,
) -> Result<(Option<Identity>, Issuer), StackError> {
    if let Some(issuer) = given {
        given::accepts("the issuer", &issuer.url).await?;
        return Ok((None, issuer));
    }
    let identity = Identity::start(
        node,
        identity::Options {
            port,
            ..identity::Options::default()
        },
        site,
    )
    .await?;
    let issuer = Issuer::new(identity.issuer(), []);
    Ok((Some(identity), issuer))
}

async fn start_server(
    options: &StackOptions,
    node: &Node,
    port: Option<u16>,
    site: Site<'_>,
) -> Result<(Option<mcp::Server>, Target), StackError> {
    if let Some(target) = &options.target {
        given::accepts("the MCP server", &target.url).await?;
        return Ok((None, target.clone()));
    }
    let server = mcp::everything(node, port, site).await?;
    let target = Target {
        name: "everything".to_owned(),
        url: server.url().to_owned(),
        allow_groups: options.allow_groups.clone().unwrap_or_else(|| vec![GROUP.to_owned()]),
        credential: None,
    };
    Ok((Some(server), target))
}
