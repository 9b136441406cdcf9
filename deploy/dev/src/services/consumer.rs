//! The consumer, and the database that it loads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{Kafka, Service, ServiceError, overlay, write_config};
use crate::binaries::binaries;
use crate::folder::Site;
use crate::ports;
use crate::process::Launch;

const NAME: &str = "consumer";

/// The variable that carries ClickHouse's password.
const PASSWORD: &str = "TAPEDECK_CLICKHOUSE_PASSWORD";

/// How long creating tables and topics may take.
const MIGRATE: Duration = Duration::from_secs(60);

/// A database in a ClickHouse.
#[derive(Debug, Clone)]
pub struct Database {
    /// The HTTP interface, without a login in it.
    pub url: String,
    /// The database's name.
    pub name: String,
    /// The user.
    pub user: String,
    /// The user's password, if there is one.
    pub password: Option<SecretString>,
}

impl Database {
    /// A client for it.
    pub fn client(&self) -> clickhouse::Client {
        let client = clickhouse::Client::default()
            .with_url(&self.url)
            .with_database(&self.name)
            .with_user(&self.user);
        match &self.password {
            Some(password) => client.with_password(password.expose_secret()),
            None => client,
        }
    }

    pub(super) fn describe(&self) -> Value {
        let mut described = json!({ "url": self.url, "database": self.name, "user": self.user });
        if self.password.is_some() {
            described["password_env"] = json!(PASSWORD);
        }
        described
    }

    /// How the console is told of this database.
    pub fn console_arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "--clickhouse".to_owned(),
            self.url.clone(),
            "--database".to_owned(),
            self.name.clone(),
        ];
        if self.user != "default" {
            arguments.extend(["--clickhouse-user".to_owned(), self.user.clone()]);
        }
        arguments
    }

    /// What the console finds in its environment.
    pub fn console_environment(&self) -> Vec<(&'static str, String)> {
        self.password
            .iter()
            .map(|password| (PASSWORD, password.expose_secret().to_owned()))
            .collect()
    }

    /// Adds the password to what a program of ours finds in its environment.
    pub(super) fn lend(&self, launch: Launch) -> Launch {
        match &self.password {
            Some(password) => launch.env(PASSWORD, password.expose_secret()),
            None => launch,
        }
    }
}

/// What a consumer is to be told.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// Where its admin endpoints are, if that port is free.
    pub admin_port: Option<u16>,
    /// What it reads.
    pub kafka: Kafka,
    /// Its consumer group.
    pub group: String,
    /// What it loads.
    pub database: Database,
    /// Partitions of the topics that it creates.
    pub partitions: u16,
    /// The longest that a frame waits for others to be inserted with it.
    pub every: Duration,
    /// Whatever else its configuration is to say, laid over the above: `{"batch": {"rows": 10, "lease": "1s"}}`.
    pub more: Value,
    /// What it finds in its environment beside ours.
    pub environment: Vec<(String, String)>,
}

/// A running consumer. It ends when this is dropped.
#[derive(Debug)]
pub struct Consumer {
    service: Service,
}

impl Consumer {
    /// Builds and configures a consumer, lets it create tables and topics, and starts it. When this returns, it is ready.
    ///
    /// # Errors
    /// When it cannot be built, its tables cannot be made, or it does not get ready; the error quotes its log.
    pub async fn start(options: &ConsumerOptions, site: Site<'_>) -> Result<Self, ServiceError> {
        let prepared = prepare(options, site).await?;
        prepared.migrate().await?;
        prepared.start(site).await
    }

    /// Lets a consumer create tables and topics, and starts none.
    ///
    /// # Errors
    /// When it cannot be built, or its tables cannot be made; the error quotes its log.
    pub async fn migrate(options: &ConsumerOptions, site: Site<'_>) -> Result<(), ServiceError> {
        prepare(options, site).await?.migrate().await
    }

    /// As [`Consumer::start`], with tables and topics as they are.
    ///
    /// # Errors
    /// When it cannot be built, or does not get ready; the error quotes its log.
    pub async fn start_only(options: &ConsumerOptions, site: Site<'_>) -> Result<Self, ServiceError> {
        prepare(options, site).await?.start(site).await
    }

    /// The service, to stop, kill or restart.
    pub fn service(&self) -> &Service {
        &self.service
    }
}

/// A consumer that is configured and can be started.
struct Prepared<'a> {
    options: &'a ConsumerOptions,
    program: &'static Path,
    config: PathBuf,
    log: PathBuf,
    admin_port: u16,
}

async fn prepare<'a>(options: &'a ConsumerOptions, site: Site<'_>) -> Result<Prepared<'a>, ServiceError> {
    let program = &binaries().await?.consumer;
    let room = site.run.room(NAME)?;
    let log = site.run.log(&room);
    let admin_port =
        ports::pick(options.admin_port).map_err(|source| ServiceError::Prepare { service: NAME, source })?;
    let config = room.join("consumer.toml");
    let mut settings = describe(options, admin_port);
    overlay(&mut settings, &options.more);
    write_config(NAME, &config, &settings)?;
    Ok(Prepared {
        options,
        program,
        config,
        log,
        admin_port,
    })
}

impl Prepared<'_> {
    /// What the consumer finds in its environment, migrating or loading.
    fn lend(&self, launch: Launch) -> Launch {
        let launch = self.options.database.lend(launch);
        let environment = &self.options.environment;
        environment
            .iter()
            .fold(launch, |launch, (key, value)| launch.env(key, value))
    }

    async fn migrate(&self) -> Result<(), ServiceError> {
        let migrate = Launch::new("consumer migrate", self.program, &self.log)
            .args(["migrate", "--config"])
            .arg(&self.config);
        Ok(self.lend(migrate).complete(MIGRATE).await?)
    }

    async fn start(self, site: Site<'_>) -> Result<Consumer, ServiceError> {
        let launch = Launch::new(NAME, self.program, &self.log)
            .arg("--config")
            .arg(&self.config);
        let launch = self.lend(launch);
        Ok(Consumer {
            service: Service::start(launch, NAME, self.admin_port, self.config, site).await?,
        })
    }
}

fn describe(options: &ConsumerOptions, admin_port: u16) -> Value {
    json!({
        "admin_listen": format!("127.0.0.1:{admin_port}"),
        "kafka": {
            "brokers": [options.kafka.brokers],
            "topic_prefix": options.kafka.topic_prefix,
            "group": options.group,
        },
        // The stack has one broker, and so one copy.
        "topics": { "partitions": options.partitions, "replication": 1, "min_insync_replicas": 1 },
        "clickhouse": options.database.describe(),
        "batch": { "every": format!("{}ms", options.every.as_millis()) },
    })
}
