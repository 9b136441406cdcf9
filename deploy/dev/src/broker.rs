//! A Kafka broker: Apache Kafka, or one that needs no Java.
//!
//! Neither creates topics by itself: what a producer or consumer names must have been created.

mod apache;
mod embedded;
mod secured;

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::fetch::FetchError;
use crate::folder::{FolderError, Site};
use crate::ports;
use crate::prerequisites::{self, Missing, Prerequisite};
use crate::process::{Child, Launch, ProcessError, Server};
use crate::progress::Step;

pub use secured::{SecuredBroker, Security};

/// Longer than a broker takes to start on a busy machine.
const START: Duration = Duration::from_secs(120);

/// How long a broker may take to end cleanly.
const GRACE: Duration = Duration::from_secs(20);

/// How long one metadata request may take.
const REQUEST: Duration = Duration::from_secs(2);

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerKind {
    /// Apache Kafka 4.3 on Java 17 or newer: one node, broker and controller.
    Apache,
    /// Tansu with SQLite storage, built by cargo. No transactions; a committed offset's metadata comes back empty.
    Embedded,
}

impl fmt::Display for BrokerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Apache => "Apache Kafka",
            Self::Embedded => "the embedded broker (Tansu)",
        })
    }
}

impl BrokerKind {
    /// Apache Kafka where Java and Maven are installed, else the embedded broker; and the reason, for people.
    pub fn choose() -> (Self, String) {
        match prerequisites::check(&[Prerequisite::Java, Prerequisite::Maven]) {
            Ok(()) => (
                Self::Apache,
                format!("{}, since Java 17+ and Maven are installed", Self::Apache),
            ),
            Err(missing) => (
                Self::Embedded,
                format!(
                    "{}, since {} lacks what it needs; {missing}",
                    Self::Embedded,
                    Self::Apache
                ),
            ),
        }
    }
}

/// A broker could not be started.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// A prerequisite is missing.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// It could not be installed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its folder could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its settings could not be written, or no port is free.
    #[error("cannot prepare the broker: {0}")]
    Prepare(#[from] io::Error),
    /// Its process failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The client that asks it for metadata could not be made.
    #[error("cannot make a Kafka client: {0}")]
    Client(#[from] KafkaError),
}

/// A running broker. It ends when this is dropped.
#[derive(Debug)]
pub struct Broker {
    kind: BrokerKind,
    port: u16,
    cluster: String,
    server: Server,
}

/// What a kind of broker needs to prepare its first start.
struct Plan {
    port: u16,
    /// Names the cluster. A broker that answers with another name is a stranger on our port.
    cluster: String,
}

impl Broker {
    /// Installs the broker if need be, and starts it on `port` if that is free, else on another. When this returns, it
    /// has answered a metadata request.
    ///
    /// # Errors
    /// When it cannot be installed or started; the error quotes its log.
    pub async fn start(kind: BrokerKind, port: Option<u16>, site: Site<'_>) -> Result<Self, BrokerError> {
        let plan = Plan {
            port: ports::pick(port)?,
            cluster: cluster_id(),
        };
        let launch = match kind {
            BrokerKind::Apache => apache::prepare(&plan, site).await?,
            BrokerKind::Embedded => embedded::prepare(&plan, site).await?,
        };
        Self::launch(kind, plan, launch, site).await
    }

    async fn launch(kind: BrokerKind, plan: Plan, launch: Launch, site: Site<'_>) -> Result<Self, BrokerError> {
        let part = kind.to_string();
        site.progress.report(Step::Starting { part: &part });
        let began = Instant::now();
        let broker = Self {
            kind,
            port: plan.port,
            cluster: plan.cluster,
            server: Server::start(launch)?,
        };
        broker.ready().await?;
        site.progress.report(Step::Ready {
            part: &part,
            after: began.elapsed(),
        });
        Ok(broker)
    }

    /// `127.0.0.1:PORT`, for `bootstrap.servers`. The same after a restart.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Which broker it is.
    pub fn kind(&self) -> BrokerKind {
        self.kind
    }

    /// Its process, to pause it or to read its log. Another one after a restart.
    pub fn child(&self) -> Arc<Child> {
        self.server.child()
    }

    /// Kills it (SIGKILL), as if the machine had failed, and waits until it is gone.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Starts it again, on the same port and data; kills it first if it still runs.
    ///
    /// # Errors
    /// When it does not get ready; the error quotes its log.
    pub async fn restart(&self) -> Result<(), BrokerError> {
        self.server.start_again()?;
        self.ready().await
    }

    /// Lets it end cleanly; says how it ended.
    pub async fn stop(&self) -> ExitStatus {
        self.server.stop(GRACE).await
    }

    async fn ready(&self) -> Result<(), BrokerError> {
        let client = Arc::new(metadata_client(&self.bootstrap())?);
        let probe = || {
            let (client, cluster) = (Arc::clone(&client), self.cluster.clone());
            async move { in_background(move || serves(&client, Some(&cluster))).await }
        };
        Ok(self.server.child().ready(START, probe).await?)
    }
}

/// Whether the brokers at `bootstrap` answer a metadata request: for brokers that are not ours.
///
/// # Errors
/// When no client can be made of that address, or none answers; says why.
pub async fn answers(bootstrap: &str) -> Result<(), String> {
    let client = metadata_client(bootstrap).map_err(|error| error.to_string())?;
    in_background(move || serves(&client, None)).await
}

fn metadata_client(bootstrap: &str) -> Result<BaseConsumer, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        // The defaults wait up to 10 s between attempts: longer than a start takes.
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "100")
        .create()
}

fn serves(client: &BaseConsumer, cluster: Option<&str>) -> Result<(), String> {
    let metadata = client
        .fetch_metadata(None, REQUEST)
        .map_err(|error| error.to_string())?;
    if let Some(expected) = cluster {
        let found = client.client().fetch_cluster_id(REQUEST);
        if found.as_deref() != Some(expected) {
            return Err(format!(
                "another cluster answers on this port: {}",
                found.unwrap_or_default()
            ));
        }
    }
    // After a hard end, a broker answers before it may lead.
    let leaderless = |topic: &&rdkafka::metadata::MetadataTopic| topic.partitions().iter().any(|p| p.leader() < 0);
    match metadata.topics().iter().find(leaderless) {
        _ if metadata.brokers().is_empty() => Err("no broker has registered".to_owned()),
        Some(topic) => Err(format!("topic {} has a partition without a leader", topic.name())),
        None => Ok(()),
    }
}

/// librdkafka's metadata calls block.
async fn in_background(call: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    tokio::task::spawn_blocking(call)
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
}

/// 16 bytes in URL-safe base64, as Kafka has it. A UUIDv7 does not begin with a dash, which tools would take for an option.
fn cluster_id() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(uuid::Uuid::now_v7())
}
