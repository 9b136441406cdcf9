//! The consumer's configuration, validated: everything that is wrong is reported at once, each with its place.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::time::Duration;

use tapedeck_config::{ByteSize, ClickHouse, Errors, Kafka, SchemaRegistry, Section};
use url::Url;

use crate::migrate::TopicPlan;
use crate::publish::Format;
use crate::retention::Retention;

pub use tapedeck_config::Redaction;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Configured id of this cluster and topic: part of every row's origin and every insert's token.
    pub source: String,
    /// Health and metrics, if they are to be served.
    pub admin_listen: Option<SocketAddr>,
    /// Kafka.
    pub kafka: Kafka,
    /// The consumer group.
    pub group: String,
    /// The schema registry, where one is used.
    pub schema_registry: Option<SchemaRegistry>,
    /// How audit events are written.
    pub audit_format: Format,
    /// ClickHouse.
    pub clickhouse: ClickHouse,
    /// When a batch is full.
    pub limits: Limits,
    /// How long ClickHouse may take to come to an insert's rows. A new owner of a partition waits for as long.
    pub lease: Duration,
    /// Without a frame for so long, a session ends.
    pub idle: Duration,
    /// A writer that has said nothing for so long is gone: the calls that it left open are `unknown`.
    pub silence: Duration,
    /// Settings of the topics that `migrate` creates.
    pub topics: Topics,
    /// Where traces are exported (OTLP over HTTP), the whole URL; nowhere, where nothing is configured.
    pub traces: Option<Url>,
    /// How long rows are kept.
    pub retention: Retention,
    /// What is redacted, and how.
    pub redaction: Redaction,
}

/// When a batch is full: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records.
    pub rows: usize,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Time since its first record.
    pub every: Duration,
    /// Bytes of memory that the records of all partitions may take at once, from when they are decoded until they are
    /// loaded; a batch may take half of it.
    pub memory: u64,
}

/// Settings of new topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Partitions of each; never changed afterwards.
    pub partitions: u32,
    /// Replicas of each partition.
    pub replication: u32,
    /// Replicas that must have a record before it is acknowledged.
    pub min_insync_replicas: u32,
    /// Retention of the raw frames, which hold secrets.
    pub retention: Duration,
    /// Retention of audit events and dead letters.
    pub audit_retention: Duration,
    /// Retention of seals and manifests.
    pub control_retention: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A part of 512 KiB with its envelope fits twice.
const MAX_MESSAGE: u64 = 1_048_588;
/// A writer states a manifest every 10 seconds: so long a silence is six of them.
const SILENCE: Duration = Duration::from_secs(60);

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, Errors> {
        tapedeck_config::read(path, Self::build)
    }

    /// Builds the configuration from a file's tables; what is wrong is reported there, then `None`.
    pub fn build(root: &Section<'_>) -> Option<Self> {
        let source = root
            .field::<String>("source")
            .and_then(identifier)
            .or("main".to_owned());
        let admin_listen = root.field("admin_listen").optional();
        let kafka = root.required_section("kafka", "how to reach Kafka");
        let (kafka, group) = kafka.map_or((None, None), |section| {
            let group = section.field("group").or("tapedeck-loader".to_owned());
            (Kafka::read(&section), Some(group))
        });
        let clickhouse = root.required_section("clickhouse", "how to reach ClickHouse");
        let clickhouse = clickhouse.and_then(|section| ClickHouse::read(&section));
        let schema_registry = root.section("schema_registry");
        let schema_registry = schema_registry.and_then(|section| SchemaRegistry::read(&section));
        let audit_format = root.section("audit").map_or(Format::Avro, |section| {
            section.field::<String>("format").and_then(format).or(Format::Avro)
        });
        let (limits, lease) = batch(root.section("batch").as_ref());
        let idle = root
            .section("sessions")
            .map_or(Duration::from_secs(30 * 60), |section| {
                let idle = section.field::<Duration>("idle").and_then(positive);
                idle.or(Duration::from_secs(30 * 60))
            });
        let silence = root.section("writers").map_or(SILENCE, |section| {
            section.field::<Duration>("silence").and_then(audible).or(SILENCE)
        });
        let otlp = root.section("telemetry").map(|section| section.field("otlp"));
        let traces = tapedeck_otlp::endpoint(otlp, root.reader());
        let topics = topics(root.section("topics").as_ref());
        let retention = Retention::read(root.section("retention").as_ref());
        let redaction = Redaction::read(root.section("redaction").as_ref());
        Some(Self {
            source,
            admin_listen,
            kafka: kafka?,
            group: group?,
            schema_registry,
            audit_format,
            clickhouse: clickhouse?,
            limits,
            lease,
            idle,
            silence,
            traces: traces?,
            topics,
            retention,
            redaction,
        })
    }

    /// The topics that `migrate` creates.
    #[must_use]
    pub fn topic_plans(&self) -> Vec<TopicPlan> {
        let names = &self.kafka.topics;
        let settings = &self.topics;
        let plan = |name: &str, retention| TopicPlan {
            name: name.to_owned(),
            partitions: i32::try_from(settings.partitions).unwrap_or(i32::MAX),
            replication: i32::try_from(settings.replication).unwrap_or(i32::MAX),
            min_insync_replicas: i32::try_from(settings.min_insync_replicas).unwrap_or(i32::MAX),
            retention,
            max_message_bytes: MAX_MESSAGE,
        };
        vec![
            plan(names.frames(), settings.retention),
            plan(names.audit(), settings.audit_retention),
            plan(names.control(), settings.control_retention),
            plan(names.deadletter(), settings.audit_retention),
        ]
    }
}

fn batch(section: Option<&Section<'_>>) -> (Limits, Duration) {
    let defaults = Limits {
        rows: 50_000,
        bytes: 64 * 1024 * 1024,
        every: Duration::from_secs(1),
        memory: 192 * 1024 * 1024,
    };
    let lease = Duration::from_secs(10);
    let Some(section) = section else {
        return (defaults, lease);
    };
    let rows = section.field::<NonZeroUsize>("rows").and_then(|rows| match rows.get() {
        rows @ 1..=500_000 => Ok(rows),
        _ => Err("more than 500000 rows would not stay one block in ClickHouse"),
    });
    let bytes = section
        .field::<ByteSize>("bytes")
        .and_then(|bytes| match bytes.as_u64() {
            bytes @ 1_048_576..=201_326_592 => Ok(bytes),
            _ => Err("it must be from 1MiB to 192MiB: a batch stays one block in ClickHouse"),
        });
    let every = section.field::<Duration>("every").and_then(positive);
    let memory = section
        .field::<ByteSize>("memory")
        .and_then(|memory| match memory.as_u64() {
            memory @ 67_108_864..=4_294_967_295 => Ok(memory),
            _ => {
                Err("it must be from 64MiB to less than 4GiB: half of it holds a batch, and a message has up to 17 MiB")
            }
        });
    let limits = Limits {
        rows: rows.or(defaults.rows),
        bytes: bytes.or(defaults.bytes),
        every: every.or(defaults.every),
        memory: memory.or(defaults.memory),
    };
    let lease_field = section
        .field::<Duration>("lease")
        .and_then(|given| match given.as_millis() {
            500..=60_000 => Ok(given),
            _ => Err("it must be from 500ms to 60s"),
        });
    (limits, lease_field.or(lease))
}

fn topics(section: Option<&Section<'_>>) -> Topics {
    let field = |key, default: u32| {
        section.map_or(default, |section| {
            let given = section
                .field::<NonZeroU32>(key)
                .and_then(|number| Ok::<_, &str>(number.get()));
            given.or(default)
        })
    };
    let days = |key, days: u32| {
        section.map_or(DAY * days, |section| {
            section.field::<Duration>(key).and_then(positive).or(DAY * days)
        })
    };
    let replication = field("replication", 3);
    Topics {
        partitions: field("partitions", 12),
        replication,
        min_insync_replicas: field("min_insync_replicas", replication.min(2)),
        retention: days("retention", 7),
        audit_retention: days("audit_retention", 30),
        control_retention: days("control_retention", 400),
    }
}

fn format(name: String) -> Result<Format, &'static str> {
    match name.as_str() {
        "avro" => Ok(Format::Avro),
        "json" => Ok(Format::Json),
        _ => Err("it is \"avro\" or \"json\""),
    }
}

fn positive(duration: Duration) -> Result<Duration, &'static str> {
    match duration.is_zero() {
        true => Err("it must be longer than nothing"),
        false => Ok(duration),
    }
}

fn audible(silence: Duration) -> Result<Duration, &'static str> {
    match silence.as_secs() {
        12..=3600 => Ok(silence),
        _ => Err("it must be from 12s, since a proxy that is well speaks every 10 s, to 1h"),
    }
}

fn identifier(source: String) -> Result<String, &'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match source.len() <= 64 && source.bytes().all(fits) {
        true => Ok(source),
        false => Err("an id has letters, digits, `.`, `_` and `-` only, 64 at most"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_right_configuration() {
        let text = include_str!("../../deploy/examples/consumer.toml");
        let variables = [("CLICKHOUSE_PASSWORD".to_owned(), "secret".to_owned())].into();
        let environment = tapedeck_config::Environment::Given(variables);
        let config = tapedeck_config::read_text_with("consumer.toml", text, environment, Config::build);
        let config = config.expect("the example is right");
        assert_eq!(config.limits.rows, 50_000);
        assert_eq!(config.silence, Duration::from_secs(60));
        assert_eq!(config.topic_plans().len(), 4);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let text = "source = \"a b\"\n[kafka]\n[batch]\nrows = 0\nbytes = \"1GiB\"\nmemory = \"1MiB\"\nlease = \"1h\"\nlinger = 1\n\
                    [writers]\nsilence = \"10s\"\n";
        let errors = tapedeck_config::read_text("c.toml", text, Config::build).expect_err("it is wrong");
        let text = errors.to_string();
        for expected in [
            "`source`",
            "kafka.brokers",
            "[clickhouse]",
            "batch.rows",
            "batch.bytes",
            "batch.memory",
            "batch.lease",
            "linger",
            "writers.silence",
        ] {
            assert!(text.contains(expected), "{expected} is not in:\n{text}");
        }
    }
}
