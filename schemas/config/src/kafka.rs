//! The `[kafka]` section, which the proxy and the consumer share: `brokers`, `topic_prefix` and `options.*`.

mod options;
mod topics;

use std::fmt;

use rdkafka::ClientConfig;
use secrecy::{ExposeSecret, SecretString};

use crate::{OneOrMany, Section};

pub use topics::Topics;

/// How to reach Kafka. Debug shows no secret. Equal to another where brokers, topics and all options are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// Brokers to start from, each `host:port`; at least one.
    pub brokers: Vec<String>,
    /// The names of the topics.
    pub topics: Topics,
    /// librdkafka's own options as the user gave them, in the file's order. Each was accepted by librdkafka, and none
    /// of them carries the promise.
    options: Vec<(String, OptionValue)>,
}

/// The value of one of librdkafka's options.
#[derive(Clone)]
enum OptionValue {
    Plain(String),
    Secret(SecretString),
}

impl fmt::Debug for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(value) => value.fmt(f),
            Self::Secret(_) => f.write_str("[secret]"),
        }
    }
}

impl PartialEq for OptionValue {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for OptionValue {}

impl OptionValue {
    fn expose(&self) -> &str {
        match self {
            Self::Plain(value) => value,
            Self::Secret(value) => value.expose_secret(),
        }
    }
}

impl Kafka {
    /// Reads the section; what is wrong is reported, then `None`.
    pub fn read(section: &Section<'_>) -> Option<Self> {
        let brokers = section
            .field::<OneOrMany<String>>("brokers")
            .and_then(brokers)
            .required("the brokers to start from, such as [\"kafka-1:9092\", \"kafka-2:9092\"]");
        let prefix = section
            .field::<String>("topic_prefix")
            .and_then(|prefix| Topics::new(&prefix));
        let topics = prefix.or(Topics::default());
        let options = section.node("options").map_or_else(Vec::new, options::read);
        Some(Self {
            brokers: brokers?,
            topics,
            options,
        })
    }

    /// A client configuration with `bootstrap.servers` and the user's options. The caller sets what carries the
    /// promise (acks, idempotence, partitioner, timeouts, commits, offsets) on top; none of it can be in here.
    ///
    /// The result holds secrets. Its own `Debug` hides those that librdkafka's crate knows; do not print it.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers.join(","));
        for (name, value) in &self.options {
            config.set(name, value.expose());
        }
        config
    }

    /// The configuration for brokers and topics that no file names: for tools and tests.
    pub fn new(brokers: Vec<String>, topics: Topics) -> Self {
        Self {
            brokers,
            topics,
            options: Vec::new(),
        }
    }
}

/// A list, or one string with commas, of `host:port`.
fn brokers(written: OneOrMany<String>) -> Result<Vec<String>, String> {
    let brokers: Vec<String> = written
        .0
        .iter()
        .flat_map(|entry| entry.split(','))
        .map(|entry| entry.trim().to_owned())
        .collect();
    for broker in &brokers {
        let port = broker
            .rsplit_once(':')
            .filter(|(host, _)| !host.is_empty())
            .map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(port)) if port > 0) {
            return Err(format!(
                "{broker:?} is not a broker's host:port, such as \"kafka-1:9092\""
            ));
        }
        if broker.contains("://") {
            return Err(format!(
                "{broker:?} has a scheme; choose TLS by options.\"security.protocol\" instead"
            ));
        }
    }
    Ok(brokers)
}
