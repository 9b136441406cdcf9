//! `[kafka] options.*`: librdkafka's own options, less those that carry the promise.

use rdkafka::{ClientConfig, error::KafkaError};
use toml::de::{DeTable, DeValue};

use super::OptionValue;
use crate::{FromToml, Node, SecretSource};

/// Options that users cannot set, and why. **The one list**: what a recorded call means rests on these, so the services
/// set them themselves. librdkafka's aliases stand beside the names they mean.
///
/// Everything else passes: TLS, SASL, sockets, compression, fetch sizes, reconnects, session timeouts, `client.id`,
/// `client.rack`, `debug`.
#[rustfmt::skip]
const REFUSED: &[(&[&str], &str)] = &[
    (&["bootstrap.servers", "metadata.broker.list"],
     "write it as `brokers`"),
    (&["acks", "request.required.acks"],
     "a frame counts as recorded only when all in-sync replicas have it"),
    (&["enable.idempotence", "max.in.flight", "max.in.flight.requests.per.connection", "queuing.strategy", "msg_order_cmp"],
     "frames must reach the log once and in order"),
    (&["enable.gapless.guarantee"],
     "the recorder names its own gaps and replaces a producer that failed"),
    (&["retries", "message.send.max.retries", "message.timeout.ms", "delivery.timeout.ms", "request.timeout.ms"],
     "how long a publish may take decides when a call is refused, and the recorder sets that"),
    (&["linger.ms", "queue.buffering.max.ms"],
     "the recorder sets it by each target's record mode: a call that waits for its record must not wait for a batch"),
    (&["partitioner", "partitioner_cb", "sticky.partitioning.linger.ms"],
     "every frame of a session key must land in one partition, for every writer alike"),
    (&["message.max.bytes"],
     "payloads are split to fit it, and a smaller limit would refuse them"),
    (&["queue.buffering.max.messages", "queue.buffering.max.kbytes"],
     "the recorder bounds what is under way, and refuses a frame before it is numbered rather than after"),
    (&["transactional.id", "transaction.timeout.ms"],
     "the recorder publishes without transactions"),
    (&["dr_cb", "dr_msg_cb", "delivery.report.only.error", "produce.offset.report"],
     "the delivery report is the proof that a frame is on record"),
    (&["allow.auto.create.topics"],
     "topics are created by `tapedeck-consumer migrate`, with their partitions and retention"),
    (&["group.id"],
     "write it as `group` in the consumer's [kafka] section"),
    (&["group.instance.id", "group.protocol", "group.protocol.type", "group.remote.assignor", "partition.assignment.strategy"],
     "who reads which partition is part of loading each frame exactly once"),
    (&["enable.auto.commit", "auto.commit.enable", "auto.commit.interval.ms", "enable.auto.offset.store",
       "offset.store.method", "offset.store.path", "offset.store.sync.interval.ms"],
     "an offset is committed after its frames are in ClickHouse, never by a timer"),
    (&["auto.offset.reset"],
     "an offset that is gone means lost frames; the consumer stops instead of skipping them"),
    (&["isolation.level", "enable.partition.eof", "check.crcs"],
     "the consumer sets how it reads the log"),
    (&["plugin.library.paths", "interceptors", "opaque", "default_topic_conf"],
     "it would put foreign code or hidden settings into the recorder"),
    (&["enabled_events", "log.queue", "background_event_cb", "internal.termination.signal"],
     "the recorder serves librdkafka's events itself"),
];

/// Options whose value is a secret even where it is written in the file: kept out of Debug and of every message.
/// librdkafka marks the same ones as sensitive.
const SENSITIVE: &[&str] = &[
    "sasl.password",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl_key",
    "ssl.keystore.password",
];

/// Reads the table of options. Names may be quoted (`"sasl.password" = …`) or written as TOML's dotted keys
/// (`sasl.password = …`), which TOML reads as tables within tables.
pub(super) fn read(node: Node<'_>) -> Vec<(String, OptionValue)> {
    let mut options = Vec::new();
    match node.value() {
        DeValue::Table(table) => walk(&node, table, "", &mut options),
        _ => node.wrong_type("a table of librdkafka's options"),
    }
    options
}

fn walk<'a>(parent: &Node<'a>, table: &'a DeTable<'a>, before: &str, options: &mut Vec<(String, OptionValue)>) {
    for (key, value) in table {
        let name = format!("{before}{}", key.get_ref());
        let node = Node::new(parent.reader(), value, format!("kafka.options.{name}"));
        match node.value() {
            DeValue::Table(inner) if !names_a_secret(inner) => walk(&node, inner, &format!("{name}."), options),
            _ => options.extend(option(&node, &name).map(|value| (name, value))),
        }
    }
}

/// Whether a table is `{ env = … }` or `{ file = … }`, and not the beginning of a longer option's name. Of librdkafka's
/// options only `sasl.oauthbearer.assertion.file` and two others end in `.file`; those must be quoted.
fn names_a_secret(table: &DeTable<'_>) -> bool {
    table.len() == 1 && (table.contains_key("env") || table.contains_key("file"))
}

/// One option: refused, resolved, and tried on librdkafka.
fn option(node: &Node<'_>, name: &str) -> Option<OptionValue> {
    if let Some((_, reason)) = REFUSED.iter().find(|(names, _)| names.contains(&name)) {
        node.problem(format!("`kafka.options.{name}` cannot be set: {reason}"));
        return None;
    }
    let value = match node.value() {
        DeValue::String(text) if SENSITIVE.contains(&name) => OptionValue::Secret(text.as_ref().into()),
        DeValue::String(text) => OptionValue::Plain(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => OptionValue::Plain(number.to_string().replace('_', "")),
        DeValue::Float(number) => OptionValue::Plain(number.to_string().replace('_', "")),
        DeValue::Boolean(value) => OptionValue::Plain(value.to_string()),
        DeValue::Table(_) => {
            let source = SecretSource::from_toml(node)?;
            match source.text(node.reader().environment()) {
                Ok(secret) => OptionValue::Secret(secret),
                Err(error) => {
                    node.problem(format!("`kafka.options.{name}`: {error}"));
                    return None;
                }
            }
        }
        _ => {
            node.wrong_type("a string, a decimal number, a boolean, { env = \"NAME\" } or { file = \"path\" }");
            return None;
        }
    };
    match try_on_librdkafka(name, &value) {
        Ok(()) => Some(value),
        Err(message) => {
            node.problem(message);
            None
        }
    }
}

/// Sets the option on a configuration that is thrown away: librdkafka knows which names and values it takes.
fn try_on_librdkafka(name: &str, value: &OptionValue) -> Result<(), String> {
    let Err(error) = ClientConfig::new().set(name, value.expose()).create_native_config() else {
        return Ok(());
    };
    // librdkafka repeats the value in what it says, so for a secret only the name is told.
    match (value, error) {
        (OptionValue::Plain(_), KafkaError::ClientConfig(_, description, _, _)) => {
            Err(format!("`kafka.options.{name}`: librdkafka refuses it: {description}"))
        }
        _ => Err(format!(
            "`kafka.options.{name}`: librdkafka refuses this name or its value"
        )),
    }
}
