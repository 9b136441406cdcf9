//! What the tests stand on: a real broker, a real issuer, a real target, and the proxy between them.

mod client;
mod issuer;
mod log;
mod target;

use std::collections::HashMap;
use std::net::SocketAddr;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tapedeck_config::Environment;
use tapedeck_dev::broker::{Broker, BrokerKind};
use tapedeck_dev::folder::{Folder, Site};
use tapedeck_dev::progress::Quiet;
use tapedeck_proxy::Running;
use tapedeck_proxy::config::Config;
use tokio::sync::OnceCell;
use uuid::Uuid;

pub(crate) use client::Request;
pub(crate) use issuer::Issuer;
pub(crate) use log::{assert_at_most_one_end, ends, frames, in_log, joined, of_kind};
pub(crate) use target::{Broken, Reply, Target};

/// What the proxy shows to targets.
pub(crate) const TARGET_SECRET: &str = "the-targets-own-secret";
/// The group that may use the target.
pub(crate) const GROUP: &str = "engineers";

/// A broker of its own, for tests that stop it.
pub(crate) async fn own_broker() -> Broker {
    own_broker_of(BrokerKind::Embedded).await
}

/// The same, of this kind.
pub(crate) async fn own_broker_of(kind: BrokerKind) -> Broker {
    let folder = Folder::open().expect("the workspace's folder");
    let run = folder.run("test-proxy").expect("a run's folder");
    let site = Site {
        folder: &folder,
        run: &run,
        progress: &Quiet,
    };
    Broker::start(kind, None, site).await.expect("the broker starts")
}

/// The broker that the tests of this binary share: its address.
pub(crate) async fn shared_broker() -> String {
    static BROKER: OnceCell<Broker> = OnceCell::const_new();
    BROKER.get_or_init(own_broker).await.bootstrap()
}

/// A proxy before one target, recording to topics of its own.
pub(crate) struct Rig {
    pub(crate) running: Running,
    pub(crate) issuer: Issuer,
    pub(crate) target: Target,
    pub(crate) bootstrap: String,
    pub(crate) prefix: String,
}

impl Rig {
    /// On the shared broker.
    pub(crate) async fn new(target: Target) -> Self {
        Self::on(&shared_broker().await, target).await
    }

    /// On the broker at `bootstrap`; ready when it returns.
    pub(crate) async fn on(bootstrap: &str, target: Target) -> Self {
        Self::on_topics(bootstrap, target, &[], "").await
    }

    /// The same, with these settings of the topics, and with more settings of the target and what may follow.
    pub(crate) async fn on_topics(bootstrap: &str, target: Target, topics: &[(&str, &str)], settings: &str) -> Self {
        let prefix = format!("t{}", Uuid::now_v7().simple());
        create_topics_with(bootstrap, &prefix, topics).await;
        let settings = format!("{}\n{settings}", reached_at(&target));
        let rig = Self::start_with(bootstrap, &prefix, target, "http://127.0.0.1:9", "", &settings).await;
        rig.ready().await;
        rig
    }

    /// Without waiting for Kafka.
    pub(crate) async fn start(bootstrap: &str, prefix: &str, target: Target) -> Self {
        let settings = reached_at(&target);
        Self::start_with(bootstrap, prefix, target, "http://127.0.0.1:9", "", &settings).await
    }

    /// On the shared broker, ready, known as `public_url`, and with more settings of the target and what may follow.
    pub(crate) async fn with(target: Target, public_url: &str, settings: &str) -> Self {
        Self::like(target, public_url, "", settings).await
    }

    /// As [`Rig::with`], and with `top` before the first section.
    pub(crate) async fn like(target: Target, public_url: &str, top: &str, settings: &str) -> Self {
        let settings = format!("{}\n{settings}", reached_at(&target));
        Self::to(target, public_url, top, &settings).await
    }

    /// On the shared broker, with more settings of the target and what may follow; whether it is ready or not.
    pub(crate) async fn unready(target: Target, settings: &str) -> Self {
        let bootstrap = shared_broker().await;
        let prefix = format!("t{}", Uuid::now_v7().simple());
        create_topics(&bootstrap, &prefix).await;
        let settings = format!("{}\n{settings}", reached_at(&target));
        Self::start_with(&bootstrap, &prefix, target, "http://127.0.0.1:9", "", &settings).await
    }

    /// Before a target that is a program, as these settings of it have it.
    pub(crate) async fn bridged(settings: &str) -> Self {
        Self::to(Target::nowhere(), "http://127.0.0.1:9", "", settings).await
    }

    /// Where the settings say how the target is reached.
    pub(crate) async fn reached(target: Target, settings: &str) -> Self {
        Self::to(target, "http://127.0.0.1:9", "", settings).await
    }

    async fn to(target: Target, public_url: &str, top: &str, settings: &str) -> Self {
        let bootstrap = shared_broker().await;
        let prefix = format!("t{}", Uuid::now_v7().simple());
        create_topics(&bootstrap, &prefix).await;
        let rig = Self::start_with(&bootstrap, &prefix, target, public_url, top, settings).await;
        rig.ready().await;
        rig
    }

    /// As [`Rig::start`], with more settings and what may follow.
    pub(crate) async fn start_with(
        bootstrap: &str,
        prefix: &str,
        target: Target,
        public_url: &str,
        top: &str,
        settings: &str,
    ) -> Self {
        let issuer = Issuer::start().await;
        let text = format!(
            r#"
            listen = "127.0.0.1:0"
            admin_listen = "127.0.0.1:0"
            public_url = "{public_url}"
            {top}
            [kafka]
            brokers = "{bootstrap}"
            topic_prefix = "{prefix}"
            [[issuer]]
            url = "{issuer}"
            audience = "tapedeck"
            [[target]]
            name = "demo"
            allow_groups = ["{GROUP}"]
            allow_single_copy = true
            {settings}
            "#,
            issuer = issuer.url(),
        );
        let environment = HashMap::from([
            ("TARGET_SECRET".to_owned(), TARGET_SECRET.to_owned()),
            (
                "PATH".to_owned(),
                std::env::var("PATH").expect("programs are found by it"),
            ),
        ]);
        let config =
            Config::from_text("test.toml", &text, Environment::Given(environment)).expect("a good configuration");
        let running = tapedeck_proxy::start(config).await.expect("the proxy starts");
        Self {
            running,
            issuer,
            target,
            bootstrap: bootstrap.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// A token that may use the target.
    pub(crate) fn token(&self) -> String {
        self.issuer.token("alice", &[GROUP])
    }

    /// An authenticated POST of `body`.
    pub(crate) fn post(&self, body: impl Into<bytes::Bytes>) -> Request {
        self.request("POST")
            .body(body)
            .header("content-type", "application/json")
    }

    /// An authenticated request without a body.
    pub(crate) fn request(&self, method: &str) -> Request {
        Request::new(self.address(), method, "/demo/mcp").header("authorization", &format!("Bearer {}", self.token()))
    }

    /// Waits until the proxy says that it could record.
    pub(crate) async fn ready(&self) {
        let admin = self.running.admin_address();
        let asked = async { while Request::new(admin, "GET", "/readyz").send().await.status != 200 {} };
        tokio::time::timeout(std::time::Duration::from_secs(60), asked)
            .await
            .expect("the proxy gets ready");
    }

    /// What it has counted.
    pub(crate) async fn metrics(&self) -> String {
        let page = Request::new(self.running.admin_address(), "GET", "/metrics")
            .send()
            .await;
        let page = page.whole().await.expect("a page");
        String::from_utf8(page.to_vec()).expect("text")
    }

    /// Waits until this line is among what it has counted.
    pub(crate) async fn counts(&self, line: &str) {
        let counted = async { while !self.metrics().await.lines().any(|one| one == line) {} };
        tokio::time::timeout(std::time::Duration::from_secs(60), counted)
            .await
            .unwrap_or_else(|_| panic!("it never counts {line}"));
    }

    /// Stops the proxy, so that everything it recorded is in the log, and reads the log.
    pub(crate) async fn stop_and_read(self) -> Vec<tapedeck_schemas::Frame> {
        self.running.stop().await.expect("a goodbye");
        frames(&self.bootstrap, &self.prefix).await
    }
}

/// A target that is reached by HTTP, with a credential.
pub(crate) fn reached_at(target: &Target) -> String {
    format!("url = \"{}\"\ncredential = {{ env = \"TARGET_SECRET\" }}", target.url())
}

/// The topics of a prefix, with two partitions each.
pub(crate) async fn create_topics(bootstrap: &str, prefix: &str) {
    create_topics_with(bootstrap, prefix, &[]).await;
}

async fn create_topics_with(bootstrap: &str, prefix: &str, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .expect("an admin client");
    let names = [format!("{prefix}.frames.v1"), format!("{prefix}.control.v1")];
    let topics = names.each_ref().map(|name| {
        let topic = NewTopic::new(name, 2, TopicReplication::Fixed(1));
        settings
            .iter()
            .fold(topic, |topic, (name, value)| topic.set(name, value))
    });
    let options = AdminOptions::new().operation_timeout(Some(std::time::Duration::from_secs(30)));
    for result in admin.create_topics(&topics, &options).await.expect("an answer") {
        result.expect("a topic is created");
    }
}
