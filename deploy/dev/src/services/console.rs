//! The console, `tapedeck serve`, over TLS as browsers want it.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{Database, GRACE, START, ServiceError, overlay, write_config};
use crate::binaries::binaries;
use crate::folder::Site;
use crate::ports;
use crate::process::{Launch, Server};
use crate::progress::Step;

const NAME: &str = "console";

/// The variables that carry the secrets that it is told of.
const CLIENT_SECRET: &str = "TAPEDECK_CONSOLE_CLIENT_SECRET";
const SESSION_KEY: &str = "TAPEDECK_CONSOLE_SESSION_KEY";

/// What a console is to be told.
#[derive(Debug, Clone)]
pub struct ConsoleOptions {
    /// Where it serves, if that port is free.
    pub port: Option<u16>,
    /// What it shows, and where it writes down who has looked.
    pub database: Database,
    /// An issuer that lets clients register themselves (RFC 7591).
    pub issuer: String,
    /// `[roles]`.
    pub roles: Value,
    /// Whatever else its configuration is to say, laid over the above.
    pub more: Value,
}

/// A running console. It ends when this is dropped.
#[derive(Debug)]
pub struct Console {
    server: Server,
    port: u16,
}

impl Console {
    /// Builds and configures a console, makes it a client of the issuer and a certificate for itself, and starts it. When this
    /// returns, it takes connections.
    ///
    /// # Errors
    /// When it cannot be built, registered or started; the error quotes its log.
    pub async fn start(options: &ConsoleOptions, site: Site<'_>) -> Result<Self, ServiceError> {
        let began = Instant::now();
        let program = &binaries().await?.console;
        let room = site.run.room(NAME)?;
        let log = site.run.log(&room);
        let failed = |source| ServiceError::Prepare { service: NAME, source };
        let port = ports::pick(options.port).map_err(failed)?;
        let url = format!("https://127.0.0.1:{port}");
        let (id, secret) = register(&options.issuer, &url).await?;
        let (certificate, key) = (room.join("console.pem"), room.join("console.key"));
        // Browsers keep `__Host-` cookies only for what TLS serves.
        let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]);
        let own = own.map_err(|error| failed(io::Error::other(error)))?;
        fs::write(&certificate, own.cert.pem()).map_err(failed)?;
        fs::write(&key, own.signing_key.serialize_pem()).map_err(failed)?;
        let mut settings = json!({
            "listen": format!("127.0.0.1:{port}"),
            "public_url": url,
            "session_keys": [{ "env": SESSION_KEY }],
            "tls": { "certificate": certificate, "key": key },
            "clickhouse": options.database.describe(),
            "access_log": options.database.describe(),
            "issuer": {
                "url": options.issuer,
                "client_id": id,
                "client_secret": { "env": CLIENT_SECRET },
                "scopes": ["profile", "email", "groups"],
            },
            "roles": options.roles,
        });
        overlay(&mut settings, &options.more);
        let config = room.join("console.toml");
        write_config(NAME, &config, &settings)?;
        let session_key: [u8; 32] = rand::random();
        let session_key: String = session_key.iter().map(|byte| format!("{byte:02x}")).collect();
        let launch = Launch::new(NAME, program, &log)
            .args(["serve", "--config"])
            .arg(&config)
            .env(CLIENT_SECRET, secret)
            .env(SESSION_KEY, session_key);
        site.progress.report(Step::Starting { part: NAME });
        let server = Server::start(options.database.lend(launch))?;
        let console = Self { server, port };
        console.ready().await?;
        site.progress.report(Step::Ready {
            part: NAME,
            after: began.elapsed(),
        });
        Ok(console)
    }

    /// `https://127.0.0.1:PORT`, with a certificate that nobody has signed. The same after a restart.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Kills it and starts it again, as it was.
    ///
    /// # Errors
    /// When it does not get ready; the error quotes its log.
    pub async fn restart(&self) -> Result<(), ServiceError> {
        self.server.start_again()?;
        self.ready().await
    }

    /// Lets it finish what it has begun and end.
    pub async fn stop(&self) {
        self.server.stop(GRACE).await;
    }

    async fn ready(&self) -> Result<(), ServiceError> {
        let connects = async || {
            let connected = TcpStream::connect(("127.0.0.1", self.port)).await;
            connected.map(drop).map_err(|error| error.to_string())
        };
        Ok(self.server.child().ready(START, connects).await?)
    }
}

/// Longer than a provider takes to register a client on a busy machine.
const REGISTERED: Duration = Duration::from_secs(30);

/// Makes a console a client of the issuer (RFC 7591); `url` is the console's origin. Its id and secret.
///
/// # Errors
/// When the issuer cannot be reached or registers nobody.
pub async fn register(issuer: &str, url: &str) -> Result<(String, String), ServiceError> {
    let asked = json!({
        "client_name": "tapedeck",
        "redirect_uris": [format!("{url}/auth/callback")],
        "post_logout_redirect_uris": [format!("{url}/")],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
    });
    let place = format!("{issuer}/reg");
    let failed = |source| ServiceError::Http {
        url: place.clone(),
        source,
    };
    let request = reqwest::Client::new()
        .post(&place)
        .timeout(REGISTERED)
        .header("content-type", "application/json")
        .body(asked.to_string());
    let answer = request.send().await.and_then(reqwest::Response::error_for_status);
    let text = answer.map_err(failed)?.text().await.map_err(failed)?;
    let registered: Value = serde_json::from_str(&text).unwrap_or_default();
    let text = |name: &str| registered[name].as_str().map(str::to_owned);
    text("client_id")
        .zip(text("client_secret"))
        .ok_or_else(|| ServiceError::Prepare {
            service: NAME,
            source: io::Error::other(format!("{place} answers without a client id and secret")),
        })
}
