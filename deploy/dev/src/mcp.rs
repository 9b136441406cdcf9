//! MCP servers and an MCP client that nobody here wrote.
//!
//! [`everything`] is the protocol project's reference server. [`Probe`] is a small server on the official SDK for tests:
//! its answers can be foretold, and it says what reached it. [`Visit`] drives the official SDK's client. [`Conformance`] is the
//! protocol project's conformance suite, with a server that passes it.

mod conformance;
mod probe;
mod visit;

pub use conformance::{CLIENT_SCENARIOS, ClientScenario, Conformance, ConformanceServer, Detour, Outcomes};
pub use probe::{Accounts, Probe, ProbeOptions, Received};
pub use visit::{Call, Caller, Line, Transcript, Visit};

use std::sync::Arc;

use crate::fetch;
use crate::folder::Site;
use crate::node::{Listener, Node, NodeError};
use crate::process::Child;

/// A running MCP server. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    url: String,
}

impl Server {
    fn new(listener: Listener) -> Self {
        let url = format!("{}/mcp", listener.url());
        Self { listener, url }
    }

    /// Its MCP endpoint: `http://127.0.0.1:PORT/mcp`. The same after a restart.
    pub fn url(&self) -> &str {
        &self.url
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

    /// Starts it again, on the same port; kills it first if it still runs. Its sessions are gone.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&self) -> Result<(), NodeError> {
        self.listener.restart().await
    }
}

/// The folder in `deploy/dev` that pins what [`memory`] runs.
const GATEWAY: &str = "gateway";

/// For people, in a folder's name; the lock file decides.
const GATEWAY_VERSION: &str = "1";

/// Starts npm's `server-memory`, a stdio server with tools that keep a graph, behind npm's `supergateway`, which speaks
/// HTTP for it: another implementation than [`everything`]'s.
///
/// # Errors
/// When it cannot be installed, or does not start.
pub async fn memory(node: &Node, site: Site<'_>) -> Result<Server, NodeError> {
    let packages = fetch::npm(site.folder, GATEWAY, GATEWAY_VERSION, site.progress).await?;
    let packages = packages.join("node_modules");
    let place = node.place("mcp-memory", None)?;
    let server = packages.join("@modelcontextprotocol/server-memory/dist/index.js");
    let launch = node
        .launch(&place)
        .args(["--import", "./loopback.mjs"])
        .arg(packages.join("supergateway/dist/index.js"))
        .args(["--stdio".to_owned(), format!("node '{}'", server.display())])
        .args(["--outputTransport", "streamableHttp", "--stateful"])
        .args(["--port".to_owned(), place.port.to_string()])
        .env("MEMORY_FILE_PATH", place.room.join("memory.json"));
    Ok(Server::new(Listener::start(&place, launch, site).await?))
}

/// Starts npm's `server-everything` on `port` of 127.0.0.1 if that is free, else on another.
///
/// # Errors
/// When it does not start.
pub async fn everything(node: &Node, port: Option<u16>, site: Site<'_>) -> Result<Server, NodeError> {
    let place = node.place("mcp-server", port)?;
    // It listens on all addresses and has no option for that: see loopback.mjs.
    let launch = node
        .launch(&place)
        .args(["--import", "./loopback.mjs"])
        .arg("node_modules/@modelcontextprotocol/server-everything/dist/index.js")
        .arg("streamableHttp")
        .env("PORT", place.port.to_string());
    Ok(Server::new(Listener::start(&place, launch, site).await?))
}
