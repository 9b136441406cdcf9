//! Streamable HTTP (MCP, revision 2025-11-25, "Transports") as a client that sends what it is told.

use std::time::Duration;

use anyhow::{Context as _, bail};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde_json::Value;
use tapedeck_asker::issuer::{is_secure, with_causes};
use url::Url;

use crate::command::api::careful;
use crate::command::failure::Failure;
use crate::command::tail::Events;

/// How long a server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest answer, in bytes: nothing that was recorded is longer.
const LONGEST: usize = 16 << 20;

/// A session with an MCP server.
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    token: Option<String>,
    session: Option<HeaderValue>,
    revision: Option<String>,
}

impl Client {
    pub(super) fn new(url: Url, token: Option<String>) -> anyhow::Result<Self> {
        if token.is_some() && !is_secure(&url) {
            let message = format!("{url} is not https: a token sent there could be read on its way");
            return Err(Failure::Usage(message).into());
        }
        Ok(Self {
            http: careful().timeout(PATIENCE).build()?,
            url,
            token,
            session: None,
            revision: None,
        })
    }

    /// Sends a message; all messages that come back on its exchange.
    pub(super) async fn send(&mut self, text: &str) -> anyhow::Result<Vec<Value>> {
        let mut request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .body(text.to_owned());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session.clone());
        }
        if let Some(revision) = &self.revision {
            request = request.header("mcp-protocol-version", revision);
        }
        let sent = request.send().await;
        let mut response = sent.map_err(|error| anyhow::anyhow!("{}", with_causes(&error.without_url())))?;
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let message = format!("{} answers {}: say --token-env VARIABLE", self.url, response.status());
                return Err(Failure::NotAllowed(message).into());
            }
            status if status.is_server_error() => bail!("{} answers {status}", self.url),
            _ => {}
        }
        if let Some(session) = response.headers().get("mcp-session-id") {
            self.session = Some(session.clone());
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let (mut messages, mut events, mut body) = (Vec::new(), Events::default(), Vec::new());
        while let Some(chunk) = response.chunk().await.context("the server's answer broke off")? {
            match is_stream {
                true => {
                    for (_, data) in events.add(&chunk)? {
                        messages.push(serde_json::from_str(&data).context("the server's event is not JSON")?);
                    }
                }
                false if body.len() + chunk.len() > LONGEST => bail!("the server's answer is longer than 16 MiB"),
                false => body.extend_from_slice(&chunk),
            }
        }
        match serde_json::from_slice(&body) {
            Ok(Value::Array(batch)) => messages.extend(batch),
            Ok(message) => messages.push(message),
            // No body, or a page that explains a status.
            Err(_) => {}
        }
        let agreed = messages
            .iter()
            .find_map(|message| message["result"]["protocolVersion"].as_str());
        if let Some(revision) = agreed {
            self.revision = Some(revision.to_owned());
        }
        Ok(messages)
    }
}
