//! The identity provider: npm's certified `oidc-provider`, with users, machines and keys that we give it.
//!
//! Tokens are JWT access tokens by RFC 9068 whose audience is the resource that was asked for (RFC 8707). MCP clients
//! register themselves (RFC 7591) and sign in with an authorization code and PKCE; a login takes any password.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::folder::Site;
use crate::node::{Listener, Node, NodeError};
use crate::process::Child;

/// How long one sign-in may take.
const SIGN_IN: Duration = Duration::from_secs(60);

/// Someone who can sign in.
#[derive(Debug, Clone, Default, Serialize)]
pub struct User {
    /// The display name, the claim `name`.
    pub name: String,
    /// The claim `email`.
    pub email: String,
    /// The claim `groups`.
    pub groups: Vec<String>,
}

/// A program that gets its tokens by client credentials.
#[derive(Clone, Serialize)]
pub struct Machine {
    /// Its client id, which is its subject, too.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The claim `groups`.
    pub groups: Vec<String>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Machine")
            .field("id", &self.id)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

/// What the provider is to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its port on 127.0.0.1, if that is free.
    pub port: Option<u16>,
    /// Who can sign in, by login.
    pub users: BTreeMap<String, User>,
    /// Machine clients.
    pub machines: Vec<Machine>,
    /// How long tokens are valid.
    pub lifetime: Duration,
}

impl Default for Options {
    /// Two people and a machine: `alice`, who may use the stack's targets, `mallory`, who may not, and `robot`, who may.
    fn default() -> Self {
        let user = |name: &str, groups: &[&str]| User {
            name: name.to_owned(),
            email: format!("{}@example.com", name.to_lowercase()),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        let robot = Machine {
            id: "robot".to_owned(),
            secret: "robot".to_owned(),
            groups: vec!["engineers".to_owned()],
        };
        Self {
            port: None,
            users: BTreeMap::from([
                ("alice".to_owned(), user("Alice", &["engineers"])),
                ("mallory".to_owned(), user("Mallory", &["visitors"])),
            ]),
            machines: vec![robot],
            lifetime: Duration::from_secs(3600),
        }
    }
}

/// An access token. Its `Debug` output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(String);

impl AccessToken {
    /// A token from elsewhere, for a provider that is not ours.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The token as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessToken(…)")
    }
}

/// A token for a test to have signed, as it is: neither header nor claims are checked or completed.
#[derive(Debug, Clone, Serialize)]
pub struct Unsigned {
    /// The JOSE header. `alg` chooses the kind of a key made for the occasion: `RS256` or `ES256`.
    pub header: Value,
    /// The claims.
    pub claims: Value,
    /// Which of the provider's own keys signs. Without one, a key that nobody knows does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

/// A running identity provider. It ends when this is dropped.
#[derive(Debug)]
pub struct Identity {
    node: Node,
    listener: Listener,
    keys: PathBuf,
    machines: Vec<Machine>,
}

impl Identity {
    /// Starts a provider.
    ///
    /// # Errors
    /// When it does not start, or its files cannot be written.
    pub async fn start(node: &Node, options: Options, site: Site<'_>) -> Result<Self, NodeError> {
        let place = node.place("identity", options.port)?;
        let (config, keys) = (place.room.join("config.json"), place.room.join("keys.json"));
        let settings = json!({
            "port": place.port,
            "keys": keys,
            "users": options.users,
            "clients": options.machines,
            "lifetime_seconds": options.lifetime.as_secs(),
        });
        write_private(&config, &settings)?;
        let listener = Listener::start(&place, node.launch(&place).arg("identity.mjs").arg(&config), site).await?;
        Ok(Self {
            node: node.clone(),
            listener,
            keys,
            machines: options.machines,
        })
    }

    /// The issuer, exactly as it stands in `iss`: `http://127.0.0.1:PORT`. The same after a restart.
    pub fn issuer(&self) -> &str {
        self.listener.url()
    }

    /// Its process, to pause it or to read its log. Another one after a restart.
    pub fn child(&self) -> Arc<Child> {
        self.listener.child()
    }

    /// Kills it (SIGKILL), as if the machine had failed, and waits until it is gone.
    pub fn kill(&self) {
        self.listener.kill();
    }

    /// Lets it end cleanly.
    pub async fn stop(&self) {
        self.listener.stop().await;
    }

    /// Starts it again, with the same issuer and keys; kills it first if it still runs. Registered clients are forgotten.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&self) -> Result<(), NodeError> {
        self.listener.restart().await
    }

    /// A token for a user, who signs in with a freshly registered client: authorization code with PKCE.
    ///
    /// # Errors
    /// When the sign-in fails.
    pub async fn user_token(&self, login: &str, audience: &str) -> Result<AccessToken, NodeError> {
        user_token(&self.node, self.issuer(), login, audience).await
    }

    /// A token for a machine, by client credentials.
    ///
    /// # Errors
    /// When the provider refuses it, as it does a machine that it was not told of.
    pub async fn machine_token(&self, machine: &Machine, audience: &str) -> Result<AccessToken, NodeError> {
        let Machine { id, secret, .. } = machine;
        let request = json!({ "issuer": self.issuer(), "audience": audience, "client": id, "secret": secret });
        ask_for_token(&self.node, &request).await
    }

    /// The machines that the provider was told of.
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// The provider's private keys, a JWK set (RFC 7517).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn private_keys(&self) -> Result<Value, NodeError> {
        let read = |source| NodeError::File {
            action: "read",
            path: self.keys.clone(),
            source,
        };
        let text = fs::read_to_string(&self.keys).map_err(read)?;
        serde_json::from_str(&text).map_err(|source| NodeError::Answer {
            script: "identity.mjs",
            source,
        })
    }

    /// The id of the provider's own key for `alg` (`RS256` or `ES256`), to sign with.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub fn key_id(&self, alg: &str) -> Result<Option<String>, NodeError> {
        let keys = self.private_keys()?;
        let key = keys["keys"]
            .as_array()
            .and_then(|keys| keys.iter().find(|key| key["alg"] == alg));
        Ok(key.and_then(|key| key["kid"].as_str()).map(str::to_owned))
    }

    /// Signs tokens for tests, in order.
    ///
    /// # Errors
    /// When a token names a key that the provider has not, or an algorithm other than `RS256` and `ES256`.
    pub async fn sign(&self, tokens: &[Unsigned]) -> Result<Vec<AccessToken>, NodeError> {
        let script = "sign.mjs";
        let request = json!({ "keys": self.private_keys()?, "tokens": tokens });
        let answer = self.node.ask(script, &request, SIGN_IN).await?;
        let signed: Vec<String> =
            serde_json::from_str(&answer).map_err(|source| NodeError::Answer { script, source })?;
        Ok(signed.into_iter().map(AccessToken).collect())
    }
}

/// A token for a user of the provider at `issuer`, ours or another with dynamic registration and forms like ours.
///
/// # Errors
/// When the sign-in fails.
pub async fn user_token(node: &Node, issuer: &str, login: &str, audience: &str) -> Result<AccessToken, NodeError> {
    ask_for_token(node, &json!({ "issuer": issuer, "audience": audience, "user": login })).await
}

async fn ask_for_token(node: &Node, request: &Value) -> Result<AccessToken, NodeError> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
    }
    let script = "token.mjs";
    let answer = node.ask(script, request, SIGN_IN).await?;
    let granted: Granted = serde_json::from_str(&answer).map_err(|source| NodeError::Answer { script, source })?;
    Ok(AccessToken(granted.access_token))
}

/// Writes a file that only its owner can read: it holds client secrets.
fn write_private(path: &PathBuf, config: &Value) -> Result<(), NodeError> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(config.to_string().as_bytes())
    };
    write().map_err(|source| NodeError::File {
        action: "write",
        path: path.clone(),
        source,
    })
}
