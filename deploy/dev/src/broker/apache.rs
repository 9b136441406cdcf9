//! Apache Kafka, one node that is broker and controller (KRaft).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{BrokerError, Plan, secured};
use crate::fetch;
use crate::folder::Site;
use crate::ports;
use crate::prerequisites::{self, Prerequisite};
use crate::process::Launch;

/// As `deploy/dev/kafka/pom.xml` has it.
const VERSION: &str = "4.3.1";

/// Longer than formatting an empty folder takes on a busy machine.
const FORMAT: Duration = Duration::from_secs(60);

pub(super) async fn prepare(plan: &Plan, site: Site<'_>) -> Result<Launch, BrokerError> {
    let room = site.run.room("kafka")?;
    Ok(lay_out(plan, None, &room, site).await?.server)
}

/// How to run the broker, and the tools that come with it.
pub(super) struct Layout {
    pub(super) server: Launch,
    java: Java,
}

/// Writes the broker's settings into `room` and formats its log.
pub(super) async fn lay_out(
    plan: &Plan,
    security: Option<&secured::Plan>,
    room: &Path,
    site: Site<'_>,
) -> Result<Layout, BrokerError> {
    prerequisites::check(&[Prerequisite::Java])?;
    let classes = fetch::maven(site.folder, "kafka", VERSION, site.progress).await?;
    let java = Java {
        classes: classes.join("lib/*"),
        room: room.to_owned(),
        log: site.run.log(room),
    };
    let properties = room.join("server.properties");
    let controller_port = ports::free()?;
    let listeners = match security {
        None => listeners(plan.port, controller_port, &[]),
        Some(security) => listeners(plan.port, controller_port, &security.listeners()) + &security.settings(room)?,
    };
    fs::write(&properties, listeners + &settings(controller_port, &room.join("data")))?;

    let users = security.iter().flat_map(|security| security.scram_users());
    java.run("Kafka's storage tool", "64m", "kafka.tools.StorageTool")
        .args(["format", "--standalone", "-t", &plan.cluster, "-c"])
        .arg(&properties)
        .args(users)
        .complete(FORMAT)
        .await?;
    Ok(Layout {
        server: java.run("Apache Kafka", "256m", "kafka.Kafka").arg(&properties),
        java,
    })
}

impl Layout {
    /// How to run one of Kafka's tools.
    pub(super) fn into_tool(self, name: &str, class: &str) -> Launch {
        self.java.run(name, "64m", class)
    }
}

/// Kafka's classes, and where what runs of them works and logs.
struct Java {
    classes: PathBuf,
    room: PathBuf,
    log: PathBuf,
}

impl Java {
    fn run(&self, name: &str, heap: &str, class: &str) -> Launch {
        Launch::new(name, "java", &self.log)
            .current_dir(&self.room)
            .args([format!("-Xms{heap}"), format!("-Xmx{heap}")])
            // Half the start-up time: the optimizing compiler and the concurrent collector pay off much later.
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp"])
            .arg(&self.classes)
            .arg(class)
    }
}

/// Where the broker listens: (name, protocol, port) beside the listeners that it always has.
fn listeners(port: u16, controller_port: u16, more: &[(&str, &str, u16)]) -> String {
    let usual = [
        ("PLAINTEXT", "PLAINTEXT", port),
        ("CONTROLLER", "PLAINTEXT", controller_port),
    ];
    let all: Vec<_> = usual.iter().chain(more).collect();
    let addresses: Vec<_> = all
        .iter()
        .map(|(name, _, port)| format!("{name}://127.0.0.1:{port}"))
        .collect();
    let protocols: Vec<_> = all
        .iter()
        .map(|(name, protocol, _)| format!("{name}:{protocol}"))
        .collect();
    format!(
        "listeners={0}\nadvertised.listeners={0}\nlistener.security.protocol.map={1}\n",
        addresses.join(","),
        protocols.join(","),
    )
}

fn settings(controller_port: u16, data: &Path) -> String {
    // In a properties file a backslash escapes.
    let data = data.display().to_string().replace('\\', "\\\\");
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}

# There is one node.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
min.insync.replicas=1

auto.create.topics.enable=false
message.max.bytes=4194304
log.cleaner.dedupe.buffer.size=20971520
# 50 partitions each, by default: a second of every first use.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4

# A consumer that is alone need not wait for others; one that was killed is missed soon.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
# A restart after a hard end waits until the old session has expired.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_the_pom_pins() {
        let pom = include_str!("../../kafka/pom.xml");
        assert_eq!(pom.matches(&format!("<version>{VERSION}</version>")).count(), 2);
    }
}
