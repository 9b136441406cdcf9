//! The probe: an MCP server for tests, and its account of what reached it.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::folder::Site;
use crate::mcp::Server;
use crate::node::{Listener, Node, NodeError};

/// How the probe is to behave.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProbeOptions {
    /// Its port on 127.0.0.1, if that is free.
    pub port: Option<u16>,
    /// Issue no `Mcp-Session-Id`, and answer 405 to all but POST.
    pub stateless: bool,
    /// Answer with `application/json` instead of an event stream.
    pub json: bool,
}

/// What reached a probe since it was started or told to forget.
#[derive(Debug, Clone, Deserialize)]
pub struct Accounts {
    /// HTTP requests to the MCP endpoint.
    pub total: u64,
    /// JSON-RPC messages in them.
    pub messages: u64,
    /// The latest 10,000 of the requests, oldest first.
    pub calls: Vec<Received>,
}

/// One HTTP request as it reached a probe.
#[derive(Debug, Clone, Deserialize)]
pub struct Received {
    /// The HTTP method.
    pub http: String,
    /// All headers, in order, with their names as they came.
    pub headers: Vec<(String, String)>,
    /// `method`, `id` and `name` (tool, prompt or resource) of the first JSON-RPC message in it.
    pub rpc: Option<Value>,
}

impl Received {
    /// All values of a header, whose name is compared without case.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// A running probe. Its tools are `echo`, `progress`, `fail`, `refuse`, `big`, `image` and `hold`: see `probe.mjs`.
#[derive(Debug)]
pub struct Probe {
    server: Server,
    base: String,
    http: reqwest::Client,
}

impl Probe {
    /// Starts a probe.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(node: &Node, options: ProbeOptions, site: Site<'_>) -> Result<Self, NodeError> {
        let place = node.place("probe", options.port)?;
        let flag = |set: bool, name| set.then_some(name);
        let launch = node
            .launch(&place)
            .args(["probe.mjs", "--port", &place.port.to_string()])
            .args(
                [flag(options.stateless, "--stateless"), flag(options.json, "--json")]
                    .into_iter()
                    .flatten(),
            );
        let listener = Listener::start(&place, launch, site).await?;
        let base = listener.url().to_owned();
        Ok(Self {
            server: Server::new(listener),
            base,
            http: reqwest::Client::new(),
        })
    }

    /// Its MCP endpoint: `http://127.0.0.1:PORT/mcp`.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// The server, to stop, kill or restart.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What reached it.
    ///
    /// # Errors
    /// When the probe does not answer.
    pub async fn accounts(&self) -> Result<Accounts, NodeError> {
        self.ask(reqwest::Method::GET, "/probe/calls").await
    }

    /// The texts of all `echo` calls of up to 128 characters, in the order of arrival, repeated if they came twice.
    ///
    /// # Errors
    /// When the probe does not answer.
    pub async fn echoes(&self) -> Result<Vec<String>, NodeError> {
        self.ask(reqwest::Method::GET, "/probe/echoes").await
    }

    /// Lets all calls of `hold` go on, those that wait and those to come.
    ///
    /// # Errors
    /// When the probe does not answer.
    pub async fn release(&self) -> Result<(), NodeError> {
        self.ask(reqwest::Method::POST, "/probe/release").await
    }

    /// Forgets what reached it, and a release.
    ///
    /// # Errors
    /// When the probe does not answer.
    pub async fn forget(&self) -> Result<(), NodeError> {
        self.ask(reqwest::Method::DELETE, "/probe/calls").await
    }

    async fn ask<T: DeserializeOwned>(&self, method: reqwest::Method, path: &str) -> Result<T, NodeError> {
        let url = format!("{}{path}", self.base);
        let failed = |source| NodeError::Http {
            url: url.clone(),
            source,
        };
        let answer = self
            .http
            .request(method, &url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let text = answer.map_err(failed)?.text().await.map_err(failed)?;
        serde_json::from_str(&text).map_err(|source| NodeError::Answer {
            script: "probe.mjs",
            source,
        })
    }
}
