//! Why a frame is not on record.

use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;

use crate::spool::SpoolError;

/// Why no frame can be recorded now. The message names no payload and is fit for an operator's log and for `/readyz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// Kafka has not been reached yet, or its topics have not been looked at.
    #[error("the recorder has not reached Kafka since it started")]
    Starting,
    /// Kafka was reached and is not any more, or does not acknowledge.
    #[error("Kafka does not acknowledge")]
    Away,
    /// Kafka was reached, and does not know who we are.
    #[error(
        "Kafka refuses the credentials in [kafka.options]: sasl.mechanism, sasl.username and sasl.password, or ssl.certificate"
    )]
    Credentials,
    /// Kafka was reached, and one side does not trust the other.
    #[error("no TLS connection to Kafka: see security.protocol and ssl.ca.location in [kafka.options]")]
    Tls,
    /// Kafka knows who we are, and does not allow it.
    #[error("Kafka does not allow this proxy to write the {0} topic: its ACLs must allow Write and DescribeConfigs")]
    Forbidden(TopicRole),
    /// A topic is missing: nothing here creates it.
    #[error("the {0} topic does not exist")]
    NoTopic(TopicRole),
    /// A partition has no leader, or fewer replicas in sync than the topic demands.
    #[error("a partition of the {0} topic has no leader or too few replicas in sync")]
    Unavailable(TopicRole),
    /// The order under one key, and so the promise, would not survive it.
    #[error(
        "the {topic} topic had {were} partitions and now has {are}: their number must never change; restart after moving to a new topic"
    )]
    PartitionsChanged {
        /// Which topic.
        topic: TopicRole,
        /// When this process first saw it.
        were: usize,
        /// Now.
        are: usize,
    },
    /// An acknowledgement may mean a single copy, and the target does not allow that.
    #[error(
        "the {0} topic acknowledges with a single copy (min.insync.replicas < 2), which this target does not allow"
    )]
    SingleCopy(TopicRole),
    /// [`shutdown`](super::Recorder::shutdown) has begun.
    #[error("the recorder is shutting down")]
    ShuttingDown,
}

impl NotReady {
    /// A stable name, for metrics and refusals.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Away => "kafka_away",
            Self::Credentials => "kafka_credentials",
            Self::Tls => "kafka_tls",
            Self::Forbidden(_) => "kafka_forbidden",
            Self::NoTopic(_) => "no_topic",
            Self::Unavailable(_) => "topic_unavailable",
            Self::PartitionsChanged { .. } => "partitions_changed",
            Self::SingleCopy(_) => "single_copy",
            Self::ShuttingDown => "shutting_down",
        }
    }
}

/// One of the two topics that the recorder writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicRole {
    /// The frames.
    Frames,
    /// The writers' signed statements.
    Control,
}

impl std::fmt::Display for TopicRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Frames => "frames",
            Self::Control => "control",
        })
    }
}

/// A frame that is not on record, so what it describes must not happen or not be shown. Always Kafka's or the
/// recorder's fault, never the client's; worth another try after [`NotRecorded::retry_after`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// Refused before it was sealed: certainly not in the log.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// Refused before it was sealed: too much awaits acknowledgement already.
    #[error("the recorder's queue is full")]
    QueueFull,
    /// Refused before it was sealed: too many frames of this session key are unconfirmed.
    #[error("too many frames of this session await acknowledgement")]
    TooManyUnconfirmed,
    /// Refused before it was sealed: a payload over [`tapedeck_schemas::MAX_PART`] is to be split by the caller.
    #[error("a payload of {0} bytes is larger than a part may be")]
    TooLarge(usize),
    /// Kafka is away, and the spool has reached its cap: refused before it was sealed, or named as lost by the session's
    /// next segment.
    #[error("Kafka is away and the spool is full")]
    SpoolFull,
    /// Kafka is away, and the spool's disk does not take the frame: it may be there or not.
    #[error("Kafka is away and the spool cannot be written")]
    SpoolFailed,
    /// Sealed and handed over, but not acknowledged in time: it may still be in the log, and its session's next
    /// segment says so.
    #[error("Kafka did not acknowledge: {0}")]
    Undelivered(RDKafkaErrorCode),
}

impl From<SpoolError> for NotRecorded {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Full => Self::SpoolFull,
            SpoolError::Failed => Self::SpoolFailed,
        }
    }
}

impl NotRecorded {
    /// A stable name, for metrics and refusals.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotReady(why) => why.reason(),
            Self::QueueFull => "queue_full",
            Self::TooManyUnconfirmed => "too_many_unconfirmed",
            Self::TooLarge(_) => "too_large",
            Self::SpoolFull => "spool_full",
            Self::SpoolFailed => "spool_failed",
            Self::Undelivered(_) => "undelivered",
        }
    }

    /// What to tell the client in `Retry-After` (RFC 9110, section 10.2.3).
    #[must_use]
    pub fn retry_after(self) -> Duration {
        match self {
            Self::QueueFull | Self::TooManyUnconfirmed => Duration::from_secs(1),
            _ => Duration::from_secs(5),
        }
    }
}
