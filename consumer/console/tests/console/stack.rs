//! Real parts and one console, started once for all tests. What is recorded never changes, so tests share it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use clickhouse::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{StatusCode, redirect};
use serde_json::Value;
use tapedeck_config::Environment;
use tapedeck_console::serve::{self, config::Config};
use tapedeck_consumer::migrate::migrate_database;
use tapedeck_dev::clickhouse::{ClickHouse, ClickHouseKind};
use tapedeck_dev::folder::{Folder, Run, Site};
use tapedeck_dev::identity::{Identity, Options, User};
use tapedeck_dev::node::Node;
use tapedeck_dev::progress::Quiet;
use tapedeck_dev::services::register;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::recordings::{self, Recordings};

/// What tokens in recordings are made with: the present one, and the one before it.
pub(crate) const TOKEN_KEYS: [(&str, &str); 2] = [
    ("2026a", "a secret that consumers and consoles share"),
    ("2025", "the secret that they shared the year before"),
];
/// What bearer tokens for the console have in `aud`.
const AUDIENCE: &str = "https://console.test/api";
/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

static STACK: OnceCell<Stack> = OnceCell::const_new();

pub(crate) struct Stack {
    pub(crate) clickhouse: ClickHouse,
    pub(crate) identity: Identity,
    pub(crate) database: String,
    /// `http://127.0.0.1:PORT` of the console.
    pub(crate) url: String,
    pub(crate) recordings: Recordings,
    tokens: BTreeMap<&'static str, String>,
    client: (String, String),
    /// The run's folder is in use as long as this is there.
    run: Run,
}

/// A console in a thread of its own. It goes on when this is dropped.
pub(crate) struct Served {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Served {
    /// Ends it, in order.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::task::spawn_blocking(|| self.thread.join()).await;
        ended.expect("it is waited for").expect("it does not panic");
    }
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        value.to_str().expect("visible ASCII")
    }
}

/// Who can sign in: vera sees her own sessions, audrey those of tenant a, ada all, nora nothing.
fn users() -> BTreeMap<String, User> {
    let user = |name: &str, group: &str| User {
        name: name.to_owned(),
        email: format!("{}@example.com", name.to_lowercase()),
        groups: vec![group.to_owned()],
    };
    BTreeMap::from([
        ("vera".to_owned(), user("Vera", "staff")),
        ("audrey".to_owned(), user("Audrey", "audit-a")),
        ("ada".to_owned(), user("Ada", "admins")),
        ("nora".to_owned(), user("Nora", "visitors")),
    ])
}

impl Stack {
    pub(crate) async fn get() -> &'static Self {
        STACK.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        // What the console logs stands beside a test that fails.
        tracing_subscriber::fmt()
            .with_env_filter("warn,tapedeck_console=info")
            .with_ansi(false)
            .init();
        let folder = Folder::open().expect("a folder for parts");
        let run = folder.run("test-console").expect("a folder for this run");
        let site = Site {
            folder: &folder,
            run: &run,
            progress: &Quiet,
        };
        let clickhouse = ClickHouse::start(ClickHouseKind::choose().0, None, None, site)
            .await
            .expect("ClickHouse");
        let node = Node::open(site).await.expect("npm packages");
        let options = Options {
            users: users(),
            ..Options::default()
        };
        let identity = Identity::start(&node, options, site)
            .await
            .expect("an identity provider");
        let database = "tapedeck".to_owned();
        let reads = Client::default().with_url(clickhouse.url());
        migrate_database(&reads, &database)
            .await
            .expect("the database is migrated");
        let recordings = recordings::record(&reads.with_database(&database), identity.issuer()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let client = register(identity.issuer(), &url)
            .await
            .expect("a client of the provider");
        let mut tokens = BTreeMap::new();
        for user in ["vera", "audrey", "ada", "nora"] {
            let token = identity.user_token(user, AUDIENCE).await.expect("a token");
            tokens.insert(user, token.as_str().to_owned());
        }
        let stack = Self {
            clickhouse,
            identity,
            database,
            url,
            recordings,
            tokens,
            client,
            run,
        };
        stack.serve(listener, &stack.clickhouse.url(), "");
        stack
    }

    /// Serves on a listener, in a thread of its own: a test's runtime ends with the test.
    pub(crate) fn serve(&self, listener: TcpListener, access_log: &str, more: &str) {
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        self.serve_at(listener, &url, access_log, more);
    }

    /// [`Stack::serve`] under another name.
    pub(crate) fn serve_at(&self, listener: TcpListener, url: &str, access_log: &str, more: &str) {
        self.serve_all(listener, url, &self.database, access_log, more);
    }

    /// One more console behind the name of the first, as a load balancer has several: where it is, and what ends it.
    pub(crate) async fn replica(&self, database: &str, more: &str) -> (String, Served) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = format!("http://{}", listener.local_addr().expect("an address"));
        let served = self.serve_all(listener, &self.url, database, &self.clickhouse.url(), more);
        (at, served)
    }

    /// [`Stack::serve`] over another database.
    pub(crate) fn serve_database(&self, listener: TcpListener, database: &str) {
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        self.serve_all(listener, &url, database, &self.clickhouse.url(), "");
    }

    fn serve_all(&self, listener: TcpListener, url: &str, database: &str, access_log: &str, more: &str) -> Served {
        // A question about limits brings its own.
        let limits = match more.contains("[limits]") {
            true => "",
            false => "[limits]\nexports_per_user = 64\n",
        };
        let text = format!(
            "listen = \"127.0.0.1:0\"\npublic_url = \"{url}\"\nsession_keys = [{{ env = \"SESSION_KEY\" }}]\n\
             [clickhouse]\nurl = \"{}\"\ndatabase = \"{database}\"\n\
             [access_log]\nurl = \"{access_log}\"\ndatabase = \"{database}\"\n\
             [issuer]\nurl = \"{}\"\nclient_id = \"{}\"\nclient_secret = {{ env = \"SECRET\" }}\naudience = \"{AUDIENCE}\"\n\
             scopes = [\"profile\", \"email\", \"groups\"]\n\
             [roles]\nviewer = \"staff\"\nadministrator = \"admins\"\n\
             [[roles.auditor]]\ngroups = \"audit-a\"\ntenants = \"a\"\n\
             [[tokens.key]]\nid = \"2026a\"\nsecret = {{ env = \"TOKENS_0\" }}\n\
             [[tokens.key]]\nid = \"2025\"\nsecret = {{ env = \"TOKENS_1\" }}\n{limits}{more}",
            self.clickhouse.url(),
            self.identity.issuer(),
            self.client.0,
        );
        let [present, former] = TOKEN_KEYS.map(|(_, secret)| secret.to_owned());
        let secrets = [
            ("SECRET", self.client.1.clone()),
            ("SESSION_KEY", "session key ".repeat(4)),
            ("TOKENS_0", present),
            ("TOKENS_1", former),
        ];
        let environment = Environment::Given(secrets.map(|(name, secret)| (name.to_owned(), secret)).into());
        let config = tapedeck_config::read_text_with("test.toml", &text, environment, Config::build);
        let config = config.expect("a right configuration");
        let listener = listener.into_std().expect("a socket");
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build();
            let served = runtime.expect("a runtime").block_on(async {
                let listener = TcpListener::from_std(listener).expect("a socket");
                serve::run_on(listener, config, stopping).await
            });
            served.expect("it is served");
        });
        Served { stop, thread }
    }

    /// Asks as a user with a bearer token, or as nobody.
    pub(crate) async fn ask(&self, user: Option<&str>, path: &str) -> Answer {
        self.ask_with(user, path, &[]).await
    }

    /// [`Stack::ask`] with header fields.
    pub(crate) async fn ask_with(&self, user: Option<&str>, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.ask_at(&self.url, user, path, fields).await
    }

    /// [`Stack::ask_with`] at another console.
    pub(crate) async fn ask_at(&self, url: &str, user: Option<&str>, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut request = http().get(format!("{url}{path}"));
        if let Some(user) = user {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.tokens[user]));
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// The database itself, past the console.
    pub(crate) fn direct(&self) -> Client {
        Client::default()
            .with_url(self.clickhouse.url())
            .with_database(&self.database)
    }

    /// A folder for files of tests.
    pub(crate) fn room(&self) -> PathBuf {
        self.run.room("files").expect("a folder")
    }

    pub(crate) fn token(&self, user: &str) -> &str {
        &self.tokens[user]
    }

    /// A number that ClickHouse counts, past the console.
    pub(crate) async fn number(&self, sql: &str) -> u64 {
        let client = self.direct();
        let sql = format!("SELECT toUInt64(assumeNotNull(({sql})))");
        client.query(&sql).fetch_one::<u64>().await.expect("a number")
    }
}

/// A client that follows no redirect and keeps no cookie.
pub(crate) fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(PATIENCE);
    builder.build().expect("an HTTP client")
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    // A stream has no end: that it begins is all that is asked of it here.
    let is_stream = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "text/event-stream");
    let body = match is_stream {
        true => String::new(),
        false => response.text().await.expect("a body"),
    };
    Answer { status, headers, body }
}
