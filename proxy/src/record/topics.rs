//! A look at the two topics: do they exist, can they be written, what does an acknowledgement mean.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaRespErr;
use tokio::runtime::Handle;

use super::{NotReady, TopicRole, Topics};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(3);

/// One thing of each topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inspected<T> {
    pub(super) frames: T,
    pub(super) control: T,
}

impl<T> Inspected<T> {
    pub(super) fn of(&self, role: TopicRole) -> &T {
        match role {
            TopicRole::Frames => &self.frames,
            TopicRole::Control => &self.control,
        }
    }

    pub(super) fn map<U>(self, f: impl Fn(T) -> U) -> Inspected<U> {
        Inspected {
            frames: f(self.frames),
            control: f(self.control),
        }
    }
}

/// One topic as the cluster describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TopicState {
    pub(super) partitions: usize,
    /// Every partition has a leader, and as many replicas in sync as the topic demands.
    pub(super) available: bool,
    /// An acknowledgement means at least two copies.
    pub(super) two_copies: bool,
}

/// Asks the cluster, with a connection of its own: one that is not in a reconnection pause. Blocks.
pub(super) fn inspect(
    config: &ClientConfig,
    topics: &Topics,
    runtime: &Handle,
) -> Result<Inspected<TopicState>, NotReady> {
    let client: AdminClient<DefaultClientContext> = config.create().map_err(|error| {
        tracing::warn!(%error, "cannot make a Kafka client");
        NotReady::Away
    })?;
    Ok(Inspected {
        frames: inspect_one(&client, TopicRole::Frames, &topics.frames, runtime)?,
        control: inspect_one(&client, TopicRole::Control, &topics.control, runtime)?,
    })
}

fn inspect_one(
    client: &AdminClient<DefaultClientContext>,
    role: TopicRole,
    name: &str,
    runtime: &Handle,
) -> Result<TopicState, NotReady> {
    let metadata = client.inner().fetch_metadata(Some(name), REQUEST).map_err(|error| {
        tracing::debug!(%error, topic = name, "Kafka does not answer");
        NotReady::Away
    })?;
    let topic = metadata.topics().iter().find(|topic| topic.name() == name);
    if topic.and_then(MetadataTopic::error) == Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        return Err(NotReady::Forbidden(role));
    }
    let topic = topic
        .filter(|topic| topic.error().is_none() && !topic.partitions().is_empty())
        .ok_or(NotReady::NoTopic(role))?;
    let demanded = min_insync_replicas(client, name, runtime);
    Ok(TopicState {
        partitions: topic.partitions().len(),
        available: available(topic, demanded),
        two_copies: demanded >= 2 && topic.partitions().iter().all(|one| one.replicas().len() >= 2),
    })
}

fn available(topic: &MetadataTopic, demanded: usize) -> bool {
    topic
        .partitions()
        .iter()
        // Brokers that demand one copy need not list replicas in sync.
        .all(|partition| partition.leader() >= 0 && (demanded < 2 || partition.isr().len() >= demanded))
}

/// The topic's `min.insync.replicas`. 1 where the broker does not say (some embedded ones; a missing DescribeConfigs
/// permission): what is not known to be two copies counts as one.
fn min_insync_replicas(client: &AdminClient<DefaultClientContext>, name: &str, runtime: &Handle) -> usize {
    let options = AdminOptions::new().request_timeout(Some(REQUEST));
    let specifier = ResourceSpecifier::Topic(name);
    let described = runtime.block_on(client.describe_configs([&specifier], &options));
    let said = match described {
        Ok(resources) => resources.into_iter().find_map(|resource| {
            let resource = resource
                .inspect_err(|error| tracing::debug!(%error, topic = name, "the topic's configuration is not told"))
                .ok()?;
            resource.get("min.insync.replicas")?.value.as_deref()?.parse().ok()
        }),
        Err(error) => {
            tracing::debug!(%error, topic = name, "the topic's configuration is not told");
            None
        }
    };
    said.unwrap_or(1)
}
