//! What the recorder is started with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tapedeck_schemas::wire::Framing;

use super::TopicRole;
use crate::spool::{OpenError, SpoolSettings};

/// Where and how to record.
#[derive(Clone, Debug)]
pub struct RecorderSettings {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// librdkafka's own options, vetted: none of [`OWN_OPTIONS`]. May hold secrets.
    pub options: Options,
    /// Names of the topics; both must exist.
    pub topics: Topics,
    /// How records name their schemas.
    pub framings: Framings,
    /// The longest that a frame waits for its acknowledgement. Default: [`MESSAGE_TIMEOUT`].
    pub message_timeout: Duration,
    /// Host name of this proxy, stated in its first control statement.
    pub instance: String,
    /// Where the frames of some targets go while Kafka is away.
    pub spool: Option<(SpoolSettings, SpooledTargets)>,
}

/// How the records of each topic name their schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framings {
    /// Of frames.
    pub frames: Framing,
    /// Of control statements.
    pub control: Framing,
}

/// Names of the targets whose `record` is `spooled`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpooledTargets(pub BTreeSet<String>);

/// Default of [`RecorderSettings::message_timeout`].
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// librdkafka's options as name and value. `Debug` prints names only: values may be passwords.
#[derive(Clone, Default)]
pub struct Options(pub BTreeMap<String, String>);

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The two topics that the recorder writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Such as `mcp.frames.v1`.
    pub frames: String,
    /// Such as `mcp.control.v1`.
    pub control: String,
}

/// librdkafka options (and their aliases) that carry the promise: the recorder sets them itself and refuses to start
/// if they are among [`RecorderSettings::options`].
pub const OWN_OPTIONS: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "bootstrap.servers",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "dr_cb",
    "dr_msg_cb",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "linger.ms",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "partitioner",
    "partitioner_cb",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queuing.strategy",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "sticky.partitioning.linger.ms",
    "transactional.id",
];

/// Why the recorder does not start. Kafka being away is no reason: the recorder is then not ready.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// One of [`OWN_OPTIONS`] was given.
    #[error("the Kafka option {0} carries the recorder's promise and cannot be set")]
    OwnOption(String),
    /// librdkafka refuses an option, or has no resources for a client.
    #[error("the Kafka client cannot be made: {0}")]
    Client(String),
    /// The spool's folder cannot be used.
    #[error("[spool] {0}")]
    Spool(#[from] OpenError),
    /// The process has no file descriptors left.
    #[error("the Kafka client has no way to report: {0}")]
    Bell(#[source] std::io::Error),
}

impl Topics {
    /// A topic's name.
    #[must_use]
    pub fn name(&self, role: TopicRole) -> &str {
        match role {
            TopicRole::Frames => &self.frames,
            TopicRole::Control => &self.control,
        }
    }
}
