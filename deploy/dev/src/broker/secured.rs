//! Apache Kafka as it is run where others are on the network: users and certificates, encryption, and nobody may do what
//! was not allowed.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::{Broker, BrokerError, BrokerKind, apache, cluster_id};
use crate::folder::Site;
use crate::ports;
use crate::process::Launch;

/// Longer than one of Kafka's tools takes on a busy machine.
const TOOL: Duration = Duration::from_secs(60);

/// Who may connect, and how the broker proves itself.
#[derive(Debug, Clone)]
pub struct Security {
    /// PEM: the broker's private key (PKCS #8), then its certificate, for 127.0.0.1, and those of its issuers.
    pub identity: SecretString,
    /// PEM: who issues clients' certificates. Such a client is known by its common name.
    pub client_ca: String,
    /// Who can sign in by SCRAM-SHA-256, with which password.
    pub users: Vec<(String, SecretString)>,
}

/// [`Security`], and where it is needed.
pub(super) struct Plan {
    security: Security,
    scram_port: u16,
    mutual_port: u16,
}

/// A running Apache Kafka that knows its users and allows them nothing that [`SecuredBroker::allow`] has not. It ends when
/// this is dropped.
#[derive(Debug)]
pub struct SecuredBroker {
    broker: Broker,
    scram_port: u16,
    mutual_port: u16,
    access_lists: Launch,
}

impl SecuredBroker {
    /// Installs Apache Kafka if need be, and starts it. When this returns, it has answered.
    ///
    /// # Errors
    /// When it cannot be installed or started; the error quotes its log.
    pub async fn start(security: Security, site: Site<'_>) -> Result<Self, BrokerError> {
        let room = site.run.room("kafka-secured")?;
        let plan = super::Plan {
            port: ports::free()?,
            cluster: cluster_id(),
        };
        let secured = Plan {
            security,
            scram_port: ports::free()?,
            mutual_port: ports::free()?,
        };
        let layout = apache::lay_out(&plan, Some(&secured), &room, site).await?;
        let broker = Broker::launch(BrokerKind::Apache, plan, layout.server.clone(), site).await?;
        let access_lists = layout
            .into_tool("Kafka's access lists", "org.apache.kafka.tools.AclCommand")
            .args(["--bootstrap-server", &broker.bootstrap(), "--add"]);
        Ok(Self {
            broker,
            scram_port: secured.scram_port,
            mutual_port: secured.mutual_port,
            access_lists,
        })
    }

    /// The broker; its own [`bootstrap`](Broker::bootstrap) asks for no credentials and may do everything: it is the
    /// administrator's.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// `127.0.0.1:PORT`, SASL_SSL with SCRAM-SHA-256.
    pub fn scram(&self) -> String {
        format!("127.0.0.1:{}", self.scram_port)
    }

    /// `127.0.0.1:PORT`, SSL with a certificate on both sides.
    pub fn mutual(&self) -> String {
        format!("127.0.0.1:{}", self.mutual_port)
    }

    /// Allows a user operations (`Write`, `Read`, …) on resources, in the words of Kafka's tool:
    /// `["--topic", "mcp.frames.v1"]`.
    ///
    /// # Errors
    /// When the tool fails; the error quotes its log.
    pub async fn allow(&self, user: &str, operations: &[&str], resources: &[&str]) -> Result<(), BrokerError> {
        let operations = operations.iter().flat_map(|operation| ["--operation", operation]);
        self.access_lists
            .clone()
            .args(["--allow-principal", &format!("User:{user}")])
            .args(operations)
            .args(resources)
            .complete(TOOL)
            .await?;
        Ok(())
    }
}

impl Plan {
    /// Name, protocol and port of the listeners for services.
    pub(super) fn listeners(&self) -> [(&str, &str, u16); 2] {
        [
            ("SCRAM", "SASL_SSL", self.scram_port),
            ("MUTUAL", "SSL", self.mutual_port),
        ]
    }

    /// What the storage tool is told of users: they are in the log before anyone can ask for them.
    pub(super) fn scram_users(&self) -> Vec<String> {
        let user = |(name, password): &(String, SecretString)| {
            let password = password.expose_secret();
            [
                "--add-scram".to_owned(),
                format!("SCRAM-SHA-256=[name={name},password={password}]"),
            ]
        };
        self.security.users.iter().flat_map(user).collect()
    }

    /// The broker's settings, and the files that they name.
    pub(super) fn settings(&self, room: &Path) -> io::Result<String> {
        let identity = write_private(&room.join("identity.pem"), self.security.identity.expose_secret())?;
        let clients = write_private(&room.join("clients.pem"), &self.security.client_ca)?;
        let (identity, clients) = (identity.display(), clients.display());
        Ok(format!(
            "\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
# Who comes without credentials, from this machine: the controller, the broker itself, and its administrator.
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={identity}
ssl.truststore.type=PEM
ssl.truststore.location={clients}
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.principal.mapping.rules=RULE:^CN=(.*)$/$1/
sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.scram.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
"
        ))
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<PathBuf> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(path.to_owned())
}
