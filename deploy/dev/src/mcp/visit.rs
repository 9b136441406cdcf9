//! One visit of the official SDK's client to an MCP endpoint, and what it sent and saw.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::identity::AccessToken;
use crate::node::{Node, NodeError};

/// How long a visit may take.
const VISIT: Duration = Duration::from_secs(300);

const SCRIPT: &str = "client.mjs";

/// As whom the client comes.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Without a token; a 401 is an error.
    Anonymous,
    /// With this token.
    Bearer(AccessToken),
    /// With nothing: it finds the authorization server by itself, registers, and signs in as this user.
    SignIn(String),
}

/// One thing that the client is told to do.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", untagged)]
pub enum Call {
    /// Call a tool.
    Tool {
        /// Its name.
        tool: String,
        /// What it is given.
        arguments: Value,
        /// Ask for progress notifications.
        progress: bool,
    },
    /// Read a resource.
    Resource {
        /// Its URI.
        resource: String,
    },
    /// Get a prompt.
    Prompt {
        /// Its name.
        prompt: String,
        /// What it is given.
        arguments: Map<String, Value>,
    },
    /// List `tools`, `resources` or `prompts`.
    List {
        /// Which of them.
        list: String,
    },
}

impl Call {
    /// A listing of `tools`, `resources` or `prompts`.
    pub fn list(what: &str) -> Self {
        Self::List { list: what.to_owned() }
    }

    /// A call of a tool.
    pub fn tool(name: &str, arguments: Value) -> Self {
        Self::Tool {
            tool: name.to_owned(),
            arguments,
            progress: false,
        }
    }

    /// A call of a tool that streams progress.
    pub fn streaming(name: &str, arguments: Value) -> Self {
        Self::Tool {
            tool: name.to_owned(),
            arguments,
            progress: true,
        }
    }
}

/// What the client is to do, where, and as whom.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The MCP endpoint.
    pub url: String,
    /// As whom.
    pub caller: Caller,
    /// What it calls, one after the other. `None` is the scenario for [`super::everything`], in `client.mjs`: a listing,
    /// an echo, a tool that streams progress, one that fails, one that does not exist, an image, a resource, a prompt.
    pub calls: Option<Vec<Call>>,
    /// Whether to hash the bodies of all answers.
    pub bodies: bool,
}

impl Visit {
    /// The scenario for [`super::everything`].
    pub fn scenario(url: &str, caller: Caller) -> Self {
        Self {
            url: url.to_owned(),
            caller,
            calls: None,
            bodies: false,
        }
    }

    /// Some calls.
    pub fn calls(url: &str, caller: Caller, calls: Vec<Call>) -> Self {
        Self {
            url: url.to_owned(),
            caller,
            calls: Some(calls),
            bodies: false,
        }
    }

    /// Runs the client to its end: session opened, calls made, session deleted. What it was refused is in the transcript.
    ///
    /// # Errors
    /// When the client itself breaks, or does not come to its end in time.
    pub async fn run(&self, node: &Node) -> Result<Transcript, NodeError> {
        let mut request = json!({ "url": self.url, "bodies": self.bodies });
        match &self.caller {
            Caller::Anonymous => {}
            Caller::Bearer(token) => request["token"] = json!(token.as_str()),
            Caller::SignIn(user) => request["user"] = json!(user),
        }
        if let Some(calls) = &self.calls {
            request["calls"] = json!(calls);
        }
        let printed = node.ask(SCRIPT, &request, VISIT).await?;
        let parse = |line| serde_json::from_str(line).map_err(|source| NodeError::Answer { script: SCRIPT, source });
        Ok(Transcript {
            lines: printed.lines().map(parse).collect::<Result<_, _>>()?,
        })
    }
}

/// One line of what the client printed.
// Tried in this order: the session, which may be null, fits what nothing else did.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// A JSON-RPC message that it sent.
    Sent {
        /// The message.
        sent: Value,
    },
    /// A JSON-RPC message that it received.
    Received {
        /// The message.
        received: Value,
    },
    /// An HTTP answer of the MCP endpoint.
    Http {
        /// The request's method.
        http: String,
        /// The answer's status.
        status: u16,
        /// Its content type.
        #[serde(rename = "type")]
        media_type: Option<String>,
        /// Whether it has an `Mcp-Session-Id`.
        session: bool,
    },
    /// The body of an HTTP answer, when it ended.
    Body {
        /// The request's method.
        body: String,
        /// Its length.
        bytes: u64,
        /// Its hash, in hexadecimal.
        sha256: String,
    },
    /// What the SDK threw at the application.
    Error {
        /// The error.
        error: Value,
    },
    /// A sign-in that succeeded.
    SignedIn {
        /// The login.
        signed_in: String,
    },
    /// The end.
    Done {
        /// Always true.
        done: bool,
    },
    /// The session that the server opened, if it opens any.
    Session {
        /// Its id, as the client has it.
        session: Option<String>,
    },
}

/// What a client sent and saw on one visit.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// All lines, as printed.
    pub lines: Vec<Line>,
}

impl Transcript {
    /// JSON-RPC messages in both directions and errors, in order, without the handshakes that a sign-in made in vain: what
    /// must be the same through a proxy as without it.
    pub fn conversation(&self) -> Vec<&Line> {
        let signed_in = self.lines.iter().position(|line| matches!(line, Line::SignedIn { .. }));
        let from = signed_in.map_or(0, |at| at + 1);
        let said = |line: &&Line| matches!(line, Line::Sent { .. } | Line::Received { .. } | Line::Error { .. });
        self.lines[from..].iter().filter(said).collect()
    }

    /// The messages that the client sent, in order, of all handshakes.
    pub fn sent(&self) -> Vec<&Value> {
        self.lines
            .iter()
            .filter_map(|line| {
                if let Line::Sent { sent } = line {
                    Some(sent)
                } else {
                    None
                }
            })
            .collect()
    }

    /// The messages that the client received, in order.
    pub fn received(&self) -> Vec<&Value> {
        self.lines
            .iter()
            .filter_map(|line| {
                if let Line::Received { received } = line {
                    Some(received)
                } else {
                    None
                }
            })
            .collect()
    }

    /// What the SDK threw at the application.
    pub fn errors(&self) -> Vec<&Value> {
        self.lines
            .iter()
            .filter_map(|line| {
                if let Line::Error { error } = line {
                    Some(error)
                } else {
                    None
                }
            })
            .collect()
    }

    /// The HTTP answers as (method, status), sorted: the client has several requests under way at once.
    pub fn answers(&self) -> Vec<(&str, u16)> {
        let mut answers: Vec<_> = self
            .lines
            .iter()
            .filter_map(|line| {
                if let Line::Http { http, status, .. } = line {
                    Some((http.as_str(), *status))
                } else {
                    None
                }
            })
            .collect();
        answers.sort_unstable();
        answers
    }

    /// The lengths and hashes of all bodies, sorted. Empty if the visit did not ask for them.
    pub fn bodies<'a>(&'a self) -> Vec<(&'a str, u64, &'a str)> {
        let body = |line: &'a Line| match line {
            Line::Body { body, bytes, sha256 } => Some((body.as_str(), *bytes, sha256.as_str())),
            _ => None,
        };
        let mut bodies: Vec<_> = self.lines.iter().filter_map(body).collect();
        bodies.sort_unstable();
        bodies
    }

    /// The session id that the client was given.
    pub fn session(&self) -> Option<&str> {
        self.lines.iter().find_map(|line| {
            if let Line::Session { session } = line {
                session.as_deref()
            } else {
                None
            }
        })
    }

    /// Whether the client came to its end having held a session (as opposed to having been refused one).
    pub fn completed(&self) -> bool {
        let held = self.lines.iter().any(|line| matches!(line, Line::Session { .. }));
        held && matches!(self.lines.last(), Some(Line::Done { done: true }))
    }
}
