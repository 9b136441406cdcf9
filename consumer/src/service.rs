//! The consumer as a service: one task per assigned partition, until it is told to end or cannot go on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tapedeck_clickhouse::ConnectError;
use tapedeck_otlp::OtlpError;
use tapedeck_registry::{Registry, RegistryError};
use tapedeck_schemas::schema;
use tapedeck_schemas::wire::Framing;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admin::Admin;
use crate::batch::Tools;
use crate::budget::Budget;
use crate::config::Config;
use crate::group::{Change, Member};
use crate::metrics::Metrics;
use crate::partition::Partition;
use crate::publish::{Format, PublishError, Publisher, Topics};
use crate::rows::Origin;
use crate::rules::{self, RulesError};
use crate::schemas::Schemas;
use crate::silence::Listener;
use crate::sink::Sink;
use crate::stop::Stop;
use crate::telemetry::Traces;

/// How long a batch may take to end when its partition is revoked, or the service ends.
const GRACE: Duration = Duration::from_secs(10);
/// How long tasks may take to let go of the group, and the brokers to hear of it.
const LEAVING: Duration = Duration::from_secs(5);
/// Longest wait for the acknowledgement of one published record; then it is tried again.
const DELIVERY: Duration = Duration::from_secs(30);

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A client of Kafka could not be made.
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The producer could not be made.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// ClickHouse cannot be reached by what is configured.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Traces cannot be exported, whatever the collector's state.
    #[error("[telemetry]: {0}")]
    Telemetry(#[from] OtlpError),
    /// The schema registry refuses for good.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Packs or policies are wrong, or cannot be read.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The address is taken, or not ours.
    #[error("admin_listen: {0}")]
    Listen(#[source] std::io::Error),
    /// A partition cannot be loaded any more.
    #[error("{0}")]
    Stop(#[from] Stop),
    /// A partition's task panicked: a mistake in this program.
    #[error("a task failed: {0}")]
    Panic(#[from] tokio::task::JoinError),
}

/// Runs until `shutdown`, then ends what is under way and leaves the group.
///
/// # Errors
/// What cannot be mended by waiting; one partition that cannot go on ends all, so that somebody looks.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), ServiceError> {
    run_with(config, Arc::new(Metrics::default()), shutdown).await
}

/// The same, with figures that somebody else can see, too.
///
/// # Errors
/// As [`run`].
pub async fn run_with(config: Config, metrics: Arc<Metrics>, shutdown: CancellationToken) -> Result<(), ServiceError> {
    let kafka = config.kafka.client_config();
    let names = &config.kafka.topics;
    let sink = Sink::new(&config.clickhouse)?;
    let (schemas, topics) = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        met = meet_registry(&config) => met?,
    };
    let traces = Traces::start(config.traces.as_ref())?;
    let (rules, reload) = rules::load(config.redaction.clone())?;
    let tools = Tools {
        sink: sink.clone(),
        publisher: Publisher::new(kafka.clone(), topics, DELIVERY)?,
        rules,
        metrics: Arc::clone(&metrics),
        traces: traces.clone(),
        lease: config.lease,
        idle: config.idle,
        retention: config.retention.clone(),
        budget: Budget::new(config.limits.memory, Arc::clone(&metrics)),
    };
    let mut tasks = JoinSet::new();
    if let Some(address) = config.admin_listen {
        let listener = TcpListener::bind(address).await.map_err(ServiceError::Listen)?;
        let address = listener.local_addr().map_err(ServiceError::Listen)?;
        info!(%address, "serving health and metrics");
        let admin = Admin { metrics, sink };
        tasks.spawn(async move {
            admin.serve(listener).await;
            Ok(())
        });
    }
    {
        let metrics = Arc::clone(&tools.metrics);
        tasks.spawn(async move {
            reload.run(&metrics).await;
            Ok(())
        });
    }
    let listener = Arc::new(Listener::new(config.silence).with_schemas(schemas.clone()));
    {
        let (listener, kafka) = (Arc::clone(&listener), kafka.clone());
        let (group, topic) = (config.group.clone(), names.control().to_owned());
        tasks.spawn(async move {
            listener.run(&kafka, &group, &topic).await;
            Ok(())
        });
    }
    let (member, changes, left) = Member::join(
        kafka.clone(),
        &config.group,
        names.frames(),
        GRACE + Duration::from_secs(2),
    )?;
    let member = Arc::new(member);
    let partition = |number| Partition {
        origin: Origin {
            source: config.source.clone(),
            topic: names.frames().to_owned(),
            partition: number,
        },
        member: Arc::clone(&member),
        listener: Arc::clone(&listener),
        kafka: kafka.clone(),
        group: config.group.clone(),
        schemas: schemas.clone(),
        limits: config.limits,
        grace: GRACE,
        tools: tools.clone(),
        revoked: CancellationToken::new(),
    };
    let result = supervise(partition, changes, &mut tasks, &shutdown).await;
    tasks.shutdown().await;
    // Tasks that partitions' tasks had started were told to end, and let go of it a moment later.
    drop(member);
    if tokio::time::timeout(LEAVING, left.wait()).await.is_err() {
        warn!("the group was not left in time: others take over once its session has timed out");
    }
    traces.shutdown().await;
    result
}

/// Registers what is published, where there is a registry.
async fn meet_registry(config: &Config) -> Result<(Schemas, Topics), RegistryError> {
    let names = &config.kafka.topics;
    let mut topics = Topics {
        audit: names.audit().to_owned(),
        format: config.audit_format,
        dead_letter: names.deadletter().to_owned(),
        ..Topics::default()
    };
    let Some(registry) = &config.schema_registry else {
        return Ok((Schemas::default(), topics));
    };
    let registry = Registry::new(registry)?;
    if topics.format == Format::Avro {
        topics.audit_framing = Framing::Registry(registry.register_at_last(&topics.audit, schema::AUDIT).await?);
    }
    let letters = registry
        .register_at_last(&topics.dead_letter, schema::DEAD_LETTER)
        .await?;
    topics.dead_letter_framing = Framing::Registry(letters);
    Ok((Schemas::of(registry), topics))
}

struct Task {
    revoked: CancellationToken,
    handle: AbortHandle,
}

impl Task {
    /// Tells the task to end, and waits until it has.
    async fn end(self) {
        self.revoked.cancel();
        while !self.handle.is_finished() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn supervise(
    partition: impl Fn(i32) -> Partition,
    mut changes: mpsc::UnboundedReceiver<Change>,
    tasks: &mut JoinSet<Result<(), Stop>>,
    shutdown: &CancellationToken,
) -> Result<(), ServiceError> {
    let mut owned: HashMap<i32, Task> = HashMap::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => {
                for task in owned.values() {
                    task.revoked.cancel();
                }
                for (_, task) in owned.drain() {
                    task.end().await;
                }
                return Ok(());
            }
            Some(ended) = tasks.join_next() => ended??,
            Some(change) = changes.recv() => match change {
                Change::Assigned(numbers) => {
                    for number in numbers {
                        if let Some(before) = owned.remove(&number) {
                            before.end().await;
                        }
                        let partition = partition(number);
                        let revoked = partition.revoked.clone();
                        let handle = tasks.spawn(partition.run());
                        owned.insert(number, Task { revoked, handle });
                    }
                }
                Change::Revoked(numbers, done) => {
                    let ended: Vec<Task> = numbers.iter().filter_map(|number| owned.remove(number)).collect();
                    ended.iter().for_each(|task| task.revoked.cancel());
                    for task in ended {
                        task.end().await;
                    }
                    // Nobody waits any more if it took too long; the lease covers that.
                    let _ = done.send(());
                }
            },
        }
    }
}
