//! What the pages are served by: a deck that records, and `tapedeck serve` over TLS before its database.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tapedeck_dev::binaries::binaries;
use tapedeck_dev::process::{Child, Launch};
use tapedeck_dev::{chromium, ports, progress};
use tapedeck_tests::{Deck, Parts, parts, target};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

/// Longer than a console takes to start on a busy machine.
const START: Duration = Duration::from_secs(60);

static STAGE: OnceCell<Stage> = OnceCell::const_new();

/// Shared by all tests of the binary; ends with the process.
pub(crate) struct Stage {
    pub(crate) parts: &'static Parts,
    pub(crate) deck: Deck,
    /// `https://127.0.0.1:PORT`.
    pub(crate) url: String,
    pub(crate) browser: chromium::Browser,
    _console: Child,
}

impl Stage {
    /// The stage, set by whichever test comes first.
    pub(crate) async fn get() -> anyhow::Result<&'static Self> {
        STAGE.get_or_try_init(Self::set).await
    }

    async fn set() -> anyhow::Result<Self> {
        let parts = parts().await?;
        let targets = vec![
            target("probe", parts.probe.url()),
            target("everything", parts.everything.url()),
        ];
        let deck = Deck::start(parts, targets).await?;
        let browser = chromium::Browser::open(parts.site().folder, &progress::Quiet).await?;
        let port = ports::free()?;
        let url = format!("https://127.0.0.1:{port}");
        let room = parts.site().run.room("console")?;
        let client = register(parts.identity.issuer(), &url).await?;
        let config = configure(&room, port, &url, &deck, parts.identity.issuer(), &client)?;
        let log = parts.site().run.log(&room);
        let launch = Launch::new("console", &binaries().await?.console, log)
            .args(["serve", "--config"])
            .arg(config);
        let console = launch.start()?;
        let connects = async || {
            let connected = TcpStream::connect(("127.0.0.1", port)).await;
            connected.map(drop).map_err(|error| error.to_string())
        };
        console.ready(START, connects).await?;
        Ok(Self {
            parts,
            deck,
            url,
            browser,
            _console: console,
        })
    }
}

/// Engineers are administrators here, visitors see their own sessions.
fn configure(
    room: &Path,
    port: u16,
    url: &str,
    deck: &Deck,
    issuer: &str,
    client: &(String, String),
) -> anyhow::Result<std::path::PathBuf> {
    // Browsers keep `__Host-` cookies only for what TLS serves.
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    let (certificate, key, secret) = (room.join("console.pem"), room.join("console.key"), room.join("secret"));
    fs::write(&certificate, own.cert.pem())?;
    fs::write(&key, own.signing_key.serialize_pem())?;
    fs::write(&secret, &client.1)?;
    let database = json!({ "url": deck.database.url, "database": deck.database.name, "user": deck.database.user });
    let config = json!({
        "listen": format!("127.0.0.1:{port}"),
        "public_url": url,
        "tls": { "certificate": certificate, "key": key },
        "clickhouse": database,
        "access_log": database,
        "issuer": {
            "url": issuer,
            "client_id": client.0,
            "client_secret": { "file": secret },
            "scopes": ["profile", "email", "groups"],
        },
        "roles": { "administrator": "engineers", "viewer": "visitors" },
        // Several tests are one user at once.
        "limits": { "queries_per_user": 24, "streams_per_user": 24 },
    });
    let path = room.join("console.toml");
    fs::write(&path, toml::to_string(&config)?)?;
    Ok(path)
}

/// The console as a client of the provider (RFC 7591): its id and secret.
async fn register(issuer: &str, url: &str) -> anyhow::Result<(String, String)> {
    let asked = json!({
        "client_name": "tapedeck",
        "redirect_uris": [format!("{url}/auth/callback")],
        "post_logout_redirect_uris": [format!("{url}/")],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
    });
    let request = reqwest::Client::new().post(format!("{issuer}/reg"));
    let request = request
        .header("content-type", "application/json")
        .body(asked.to_string());
    let answer: Value = serde_json::from_str(&request.send().await?.text().await?)?;
    let text = |name: &str| {
        answer[name]
            .as_str()
            .map(str::to_owned)
            .with_context(|| answer.to_string())
    };
    Ok((text("client_id")?, text("client_secret")?))
}
