//! Apache Kafka, one node that is broker and controller (KRaft).

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{BrokerError, Plan};
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
    prerequisites::check(&[Prerequisite::Java])?;
    let classes = fetch::maven(site.folder, "kafka", VERSION, site.progress)
        .await?
        .join("lib/*");
    let room = site.run.room("kafka")?;
    let log = site.run.log(&room);
    let properties = room.join("server.properties");
    fs::write(&properties, settings(plan.port, ports::free()?, &room.join("data")))?;

    let java = |name, heap: &str| {
        Launch::new(name, "java", &log)
            .current_dir(&room)
            .args([format!("-Xms{heap}"), format!("-Xmx{heap}")])
            // Half the start-up time: the optimizing compiler and the concurrent collector pay off much later.
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp"])
            .arg(&classes)
    };
    let format = java("Kafka's storage tool", "64m").args(["kafka.tools.StorageTool", "format", "--standalone"]);
    format
        .args(["-t", &plan.cluster, "-c"])
        .arg(&properties)
        .complete(FORMAT)
        .await?;
    Ok(java("Apache Kafka", "256m").arg("kafka.Kafka").arg(&properties))
}

fn settings(port: u16, controller_port: u16, data: &Path) -> String {
    // In a properties file a backslash escapes.
    let data = data.display().to_string().replace('\\', "\\\\");
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
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
