//! An MCP client that sends exactly what a test tells it to.

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

/// The protocol revision that [`Client::initialize`] asks for.
const REVISION: &str = "2025-06-18";

/// A client of one endpoint. Nothing is done behind a test's back: no redirects, no second attempts.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    headers: HeaderMap,
    next_id: u64,
}

impl Client {
    /// A client without a token.
    pub fn anonymous(url: &str) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without TLS needs nothing that could be missing");
        let mut headers = HeaderMap::new();
        let accept = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(http::header::ACCEPT, accept);
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            http,
            url: url.to_owned(),
            headers,
            next_id: 1,
        }
    }

    /// A client with a bearer token.
    ///
    /// # Errors
    /// When the token has bytes that no header can have.
    pub fn bearer(url: &str, token: &str) -> anyhow::Result<Self> {
        Self::anonymous(url).with("authorization", &format!("Bearer {token}"))
    }

    /// Sends that header on every request from now on, in place of what it was.
    ///
    /// # Errors
    /// When it is no header.
    pub fn with(mut self, name: &str, value: &str) -> anyhow::Result<Self> {
        self.headers
            .insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
        Ok(self)
    }

    /// Opens a session, and keeps to it if the answer names one.
    ///
    /// # Errors
    /// When there is no answer, or it is a refusal.
    pub async fn initialize(&mut self) -> anyhow::Result<Answer> {
        let id = self.id();
        let opened = self.post(&Self::initialization(id)).await?;
        anyhow::ensure!(
            opened.status == 200,
            "initialize was answered {}: {}",
            opened.status,
            opened.text()
        );
        if let Some(session) = opened.header("mcp-session-id") {
            *self = self.clone().with("mcp-session-id", session)?;
        }
        *self = self.clone().with("mcp-protocol-version", REVISION)?;
        let told = self
            .post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
            .await?;
        anyhow::ensure!(
            told.status == 202,
            "initialized was answered {}: {}",
            told.status,
            told.text()
        );
        Ok(opened)
    }

    /// The message that opens a session.
    pub fn initialization(id: u64) -> Value {
        let params = json!({
            "protocolVersion": REVISION,
            "capabilities": {},
            "clientInfo": { "name": "tapedeck-tests", "version": "1.0.0" },
        });
        json!({ "jsonrpc": "2.0", "id": id, "method": "initialize", "params": params })
    }

    /// The session that it keeps to.
    pub fn session(&self) -> Option<&str> {
        self.headers.get("mcp-session-id").and_then(|value| value.to_str().ok())
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// When there is no answer. A refusal is an answer.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> anyhow::Result<Answer> {
        let id = self.id();
        let params = json!({ "name": tool, "arguments": arguments });
        self.post(&json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }))
            .await
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(&self, message: &Value) -> anyhow::Result<Answer> {
        self.send(Method::POST, Some(message.to_string())).await
    }

    /// Ends the session.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn delete(&self) -> anyhow::Result<Answer> {
        self.send(Method::DELETE, None).await
    }

    /// Sends a request with that body, and reads the answer to its end.
    ///
    /// # Errors
    /// When there is no answer, or it breaks off.
    pub async fn send(&self, method: Method, body: Option<String>) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, &self.url).headers(self.headers.clone());
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("no answer from {}", self.url))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.context("the answer breaks off")?;
        Ok(Answer { status, headers, body })
    }

    /// Gets any URL without a token: metadata, readiness.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(url: &str) -> anyhow::Result<Answer> {
        let mut client = Self::anonymous(url);
        client.headers.clear();
        client.send(Method::GET, None).await
    }

    fn id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }
}

/// An HTTP answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body's bytes.
    pub body: Bytes,
}

impl Answer {
    /// A header's value, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON-RPC messages in it: the body itself, or the data of each event.
    ///
    /// # Errors
    /// When something in it is no JSON.
    pub fn messages(&self) -> anyhow::Result<Vec<Value>> {
        let text = self.text();
        let is_stream = self
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/event-stream"));
        let parse = |json: &str| serde_json::from_str(json).with_context(|| format!("no JSON: {json}"));
        if is_stream {
            // The servers of these tests put an event's data on one line.
            text.lines()
                .filter_map(|line| line.strip_prefix("data: "))
                .map(parse)
                .collect()
        } else {
            Ok(vec![parse(&text)?])
        }
    }

    /// The last message: the answer, after notifications.
    ///
    /// # Errors
    /// When there is none.
    pub fn message(&self) -> anyhow::Result<Value> {
        self.messages()?
            .pop()
            .ok_or_else(|| anyhow!("the answer has no message"))
    }

    /// The text of the first content block of a tool's result.
    ///
    /// # Errors
    /// When there is none.
    pub fn tool_text(&self) -> anyhow::Result<String> {
        let message = self.message()?;
        let text = message["result"]["content"][0]["text"].as_str();
        Ok(text.ok_or_else(|| anyhow!("no text in {message}"))?.to_owned())
    }
}
