//! The real parts that all tests of a binary share, and the runtime that they live on.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use tapedeck_dev::binaries::binaries;
use tapedeck_dev::broker::{Broker, BrokerKind};
use tapedeck_dev::clickhouse::{ClickHouse, ClickHouseKind};
use tapedeck_dev::folder::{Folder, Run, Site};
use tapedeck_dev::identity::{AccessToken, Identity, Options, User};
use tapedeck_dev::mcp::{self, Probe, ProbeOptions, Server};
use tapedeck_dev::node::Node;
use tapedeck_dev::progress::Quiet;
use tapedeck_dev::services::Target;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, OnceCell, Semaphore};

/// The audience of the tokens that [`Parts::token`] gets, and of every [`Deck`](crate::Deck) that names no other.
pub const AUDIENCE: &str = "https://tapedeck.example/";

/// The variable that chooses the broker: `apache` or `embedded`. Unset: as `cargo dev` chooses.
const BROKER: &str = "TAPEDECK_TEST_BROKER";

/// The runtime of the whole binary. A test's own would end with the test, and take along the connections that the
/// shared parts hold.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("threads can be started, or no test can be run at all"));

/// Where logs are, once there is a run.
static LOGS: OnceLock<String> = OnceLock::new();

/// Runs a test's body to its end. A failure says where the logs are.
///
/// # Errors
/// The body's.
pub fn run(test: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let outcome = RUNTIME.block_on(test);
    match LOGS.get() {
        Some(logs) => outcome.with_context(|| format!("logs are in {logs}")),
        None => outcome,
    }
}

/// The parts of this binary, brought up by whoever asks first.
///
/// # Errors
/// When a part is missing or does not start; the error says how to get it, or quotes its log.
pub async fn parts() -> anyhow::Result<&'static Parts> {
    static PARTS: OnceCell<Parts> = OnceCell::const_new();
    PARTS.get_or_try_init(Parts::start).await
}

/// A target named `name` that everyone who has signed in may use, without a credential.
pub fn target(name: &str, url: &str) -> Target {
    Target {
        name: name.to_owned(),
        url: url.to_owned(),
        allow_groups: vec!["engineers".to_owned()],
        credential: None,
    }
}

/// Real parts, running. They end with the process.
#[derive(Debug)]
pub struct Parts {
    /// The broker that decks use unless they are given another.
    pub broker: Broker,
    /// ClickHouse.
    pub clickhouse: ClickHouse,
    /// The identity provider: `alice` and `bob` are engineers, `olga` is an auditor, `mallory` a visitor.
    pub identity: Identity,
    /// The protocol project's reference server.
    pub everything: Server,
    /// A probe that all tests use: what it says reached it is everybody's.
    pub probe: Probe,
    /// Runs the official SDK's client.
    pub node: Node,
    folder: Folder,
    run: Run,
    tokens: Mutex<HashMap<String, AccessToken>>,
    /// Bounds the decks that run at once: each is two processes, and its test waits for them on few cores.
    pub(crate) turns: Semaphore,
}

impl Parts {
    async fn start() -> anyhow::Result<Self> {
        let folder = Folder::open()?;
        let run = folder.run(&format!("test-{}", binary_name()))?;
        let logs = run.path().join("logs");
        let _ = LOGS.set(logs.display().to_string());
        let site = Site {
            folder: &folder,
            run: &run,
            progress: &Quiet,
        };
        let (kind, reason) = broker_kind()?;
        let node = Node::open(site).await?;
        let (broker, clickhouse, identity, everything, probe, _) = tokio::try_join!(
            async {
                Broker::start(kind, None, site)
                    .await
                    .with_context(|| format!("the broker: {reason}"))
            },
            async { Ok(ClickHouse::start(ClickHouseKind::choose().0, None, None, site).await?) },
            async { Ok(Identity::start(&node, people(), site).await?) },
            async { Ok(mcp::everything(&node, None, site).await?) },
            async { Ok(Probe::start(&node, ProbeOptions::default(), site).await?) },
            async { Ok(binaries().await?) },
        )?;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            broker,
            clickhouse,
            identity,
            everything,
            probe,
            node,
            folder,
            run,
            tokens: Mutex::new(HashMap::new()),
            turns: Semaphore::new(cores.clamp(2, 8)),
        })
    }

    /// Where more parts are started.
    pub fn site(&self) -> Site<'_> {
        Site {
            folder: &self.folder,
            run: &self.run,
            progress: &Quiet,
        }
    }

    /// A probe of the test's own: what it says reached it is this test's doing.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn probe(&self, options: ProbeOptions) -> anyhow::Result<Probe> {
        Ok(Probe::start(&self.node, options, self.site()).await?)
    }

    /// A broker of the test's own, of the same kind as the shared one: to be killed.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn broker(&self) -> anyhow::Result<Broker> {
        Ok(Broker::start(self.broker.kind(), None, self.site()).await?)
    }

    /// A token for [`AUDIENCE`], got by a real sign-in once for each user.
    ///
    /// # Errors
    /// When the sign-in fails.
    pub async fn token(&self, user: &str) -> anyhow::Result<AccessToken> {
        let mut tokens = self.tokens.lock().await;
        if let Some(token) = tokens.get(user) {
            return Ok(token.clone());
        }
        let token = self.identity.user_token(user, AUDIENCE).await?;
        tokens.insert(user.to_owned(), token.clone());
        Ok(token)
    }
}

fn people() -> Options {
    let mut options = Options {
        lifetime: Duration::from_secs(24 * 3600),
        ..Options::default()
    };
    for (login, name, group) in [("bob", "Bob", "engineers"), ("olga", "Olga", "auditors")] {
        let user = User {
            name: name.to_owned(),
            email: format!("{login}@example.com"),
            groups: vec![group.to_owned()],
        };
        options.users.insert(login.to_owned(), user);
    }
    options
}

fn broker_kind() -> anyhow::Result<(BrokerKind, String)> {
    match std::env::var(BROKER).as_deref() {
        Err(_) => Ok(BrokerKind::choose()),
        Ok("apache") => Ok((BrokerKind::Apache, format!("{BROKER} asks for it"))),
        Ok("embedded") => Ok((BrokerKind::Embedded, format!("{BROKER} asks for it"))),
        Ok(other) => anyhow::bail!("{BROKER} is `{other}`: say apache or embedded"),
    }
}

/// `e2e` of `…/deps/e2e-0123456789abcdef`.
fn binary_name() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let stem = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    stem.rsplit_once('-').map_or(stem.clone(), |(name, _)| name.to_owned())
}
