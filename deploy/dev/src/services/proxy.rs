//! The recorder proxy.

use std::fmt;
use std::path::PathBuf;

use rand::RngExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{Kafka, Service, ServiceError, overlay, write_config};
use crate::binaries::binaries;
use crate::folder::Site;
use crate::ports;
use crate::process::Launch;

const NAME: &str = "proxy";

/// The variable that carries the key of session tags.
const TAG_KEY: &str = "TAPEDECK_TAG_KEY";

/// An issuer whose tokens the proxy takes.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Exactly as it stands in `iss`.
    pub url: String,
    /// What must stand in `aud`; empty means the URLs of the proxy's targets.
    pub audiences: Vec<String>,
    /// The claim that holds the groups, if it is not `groups`.
    pub groups_claim: Option<String>,
}

impl Issuer {
    /// The issuer at `url`, whose tokens name their groups in `groups` and one of `audiences`, if there are any, in `aud`.
    pub fn new<'a>(url: &str, audiences: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            url: url.to_owned(),
            audiences: audiences.into_iter().map(str::to_owned).collect(),
            groups_claim: None,
        }
    }
}

/// What the proxy shows to a target.
#[derive(Clone)]
pub struct Credential {
    /// The header field.
    pub header: String,
    /// What stands before the secret in it.
    pub prefix: String,
    /// The secret. It reaches the proxy through its environment.
    pub secret: SecretString,
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credential")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// An MCP server behind the proxy.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name, in `/{name}/mcp`.
    pub name: String,
    /// Its MCP endpoint.
    pub url: String,
    /// The groups that may use it.
    pub allow_groups: Vec<String>,
    /// What it is shown.
    pub credential: Option<Credential>,
}

/// What a proxy is to be told.
#[derive(Debug, Clone)]
pub struct ProxyOptions {
    /// Where it listens on 127.0.0.1, if that port is free.
    pub port: Option<u16>,
    /// Where its admin endpoints are, if that port is free.
    pub admin_port: Option<u16>,
    /// Where it records.
    pub kafka: Kafka,
    /// Whose tokens it takes.
    pub issuers: Vec<Issuer>,
    /// What is behind it.
    pub targets: Vec<Target>,
    /// The key of session tags, which replicas share; a random one if absent.
    pub tag_key: Option<SecretString>,
    /// Whatever else its configuration is to say, laid over the above: `{"kafka": {"options": {"message.timeout.ms": "500"}}}`.
    pub more: Value,
    /// What it finds in its environment beside ours.
    pub environment: Vec<(String, String)>,
}

impl ProxyOptions {
    /// A proxy for tokens of that issuer, on any free ports, with a key of its own and nothing behind it yet.
    pub fn new(kafka: Kafka, issuer: Issuer) -> Self {
        Self {
            port: None,
            admin_port: None,
            kafka,
            issuers: vec![issuer],
            targets: Vec::new(),
            tag_key: None,
            more: Value::Null,
            environment: Vec::new(),
        }
    }
}

/// A running proxy. It ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    service: Service,
    url: String,
}

impl Proxy {
    /// Builds, configures and starts a proxy. When this returns, it is ready.
    ///
    /// # Errors
    /// When it cannot be built or does not get ready; the error quotes its log.
    pub async fn start(options: &ProxyOptions, site: Site<'_>) -> Result<Self, ServiceError> {
        let prepared = prepare(options, site).await?;
        Ok(Self {
            service: Service::start(prepared.launch, NAME, prepared.admin_port, prepared.config, site).await?,
            url: prepared.url,
        })
    }

    /// As [`Proxy::start`], for a proxy that cannot get ready as things are. When this returns, it serves.
    ///
    /// # Errors
    /// When it cannot be built or does not serve; the error quotes its log.
    pub async fn start_unready(options: &ProxyOptions, site: Site<'_>) -> Result<Self, ServiceError> {
        let prepared = prepare(options, site).await?;
        let service = Service::begin(prepared.launch, NAME, prepared.admin_port, prepared.config, site)?;
        service.alive().await?;
        Ok(Self {
            service,
            url: prepared.url,
        })
    }

    /// The service, to stop, kill or restart.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Its public URL: `http://127.0.0.1:PORT`. The same after a restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A target's MCP endpoint, which is its resource identifier, too: `{url}/{target}/mcp`.
    pub fn endpoint(&self, target: &str) -> String {
        endpoint(&self.url, target)
    }
}

/// A proxy that is configured and can be started.
struct Prepared {
    launch: Launch,
    url: String,
    admin_port: u16,
    config: PathBuf,
}

async fn prepare(options: &ProxyOptions, site: Site<'_>) -> Result<Prepared, ServiceError> {
    let program = &binaries().await?.proxy;
    let room = site.run.room(NAME)?;
    let pick = |wanted| ports::pick(wanted).map_err(|source| ServiceError::Prepare { service: NAME, source });
    let (port, admin_port) = (pick(options.port)?, pick(options.admin_port)?);
    let url = format!("http://127.0.0.1:{port}");
    let config = room.join("proxy.toml");
    let mut settings = describe(options, &url, port, admin_port);
    overlay(&mut settings, &options.more);
    write_config(NAME, &config, &settings)?;

    let mut launch = Launch::new(NAME, program, site.run.log(&room))
        .arg("--config")
        .arg(&config);
    let tag_key = options.tag_key.clone().unwrap_or_else(random_key);
    launch = launch.env(TAG_KEY, tag_key.expose_secret());
    for (key, value) in &options.environment {
        launch = launch.env(key, value);
    }
    for target in &options.targets {
        if let Some(credential) = &target.credential {
            launch = launch.env(variable(target), credential.secret.expose_secret());
        }
    }
    Ok(Prepared {
        launch,
        url,
        admin_port,
        config,
    })
}

fn endpoint(url: &str, target: &str) -> String {
    format!("{url}/{target}/mcp")
}

/// The variable that carries a target's credential.
fn variable(target: &Target) -> String {
    format!("TAPEDECK_CREDENTIAL_{}", target.name.to_uppercase().replace('-', "_"))
}

fn random_key() -> SecretString {
    let bytes: [u8; 32] = rand::rng().random();
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into()
}

fn describe(options: &ProxyOptions, url: &str, port: u16, admin_port: u16) -> Value {
    let endpoints: Vec<String> = options
        .targets
        .iter()
        .map(|target| endpoint(url, &target.name))
        .collect();
    let issuers = options.issuers.iter().map(|issuer| {
        let audiences = if issuer.audiences.is_empty() {
            &endpoints
        } else {
            &issuer.audiences
        };
        let groups_claim = issuer.groups_claim.as_deref().unwrap_or("groups");
        json!({ "url": issuer.url, "audience": audiences, "groups_claim": groups_claim })
    });
    let targets = options.targets.iter().map(|target| {
        let mut described = json!({
            "name": target.name,
            "url": target.url,
            "allow_groups": target.allow_groups,
            "record": "required",
            // The stack has one broker, and so one copy.
            "allow_single_copy": true,
        });
        if let Some(Credential { header, prefix, .. }) = &target.credential {
            described["credential"] = json!({ "header": header, "prefix": prefix, "env": variable(target) });
        }
        described
    });
    json!({
        "listen": format!("127.0.0.1:{port}"),
        "admin_listen": format!("127.0.0.1:{admin_port}"),
        "public_url": url,
        "kafka": {
            "brokers": [options.kafka.brokers],
            "topic_prefix": options.kafka.topic_prefix,
        },
        "sessions": { "tag_keys": [{ "env": TAG_KEY }] },
        "issuer": issuers.collect::<Vec<_>>(),
        "target": targets.collect::<Vec<_>>(),
    })
}
