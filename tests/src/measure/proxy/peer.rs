//! `mcp-proxy`, a reverse proxy of the same language that takes messages apart and makes them anew, and records nothing.

use std::fmt::Write as _;
use std::fs;

use anyhow::Context as _;
use serde_json::{Value, json};
use tapedeck_dev::fetch::{self, Optimized};
use tapedeck_dev::ports;
use tapedeck_dev::process::{Child, Launch};

use super::PEER;
use super::contenders::listens;
use crate::measure::answers::Answer;
use crate::measure::parts::{Parts, note};

const VERSION: &str = "0.6.0";

/// It, running; its tools are named by an answer's place and the target's tool, with a slash between.
pub(super) struct Peer {
    pub(super) child: Child,
    /// Its only endpoint.
    pub(super) url: String,
    /// In which all calls are: one without would cost it a session of its own.
    pub(super) session: String,
}

/// Installs and starts it before the target at that address. None where it cannot be installed, which is said.
pub(super) async fn start(parts: &Parts, target: &str) -> anyhow::Result<Option<Peer>> {
    let site = parts.site();
    let program = fetch::program(site.folder, PEER, VERSION, "", Optimized::Fully, site.progress).await;
    let program = match program {
        Ok(folder) => folder.join("bin").join(PEER),
        Err(error) => {
            note(&format!("{PEER} is left out: {error}"));
            return Ok(None);
        }
    };
    let (room, log) = parts.room(PEER)?;
    let config = room.join("proxy.toml");
    let port = ports::free()?;
    let mut text = format!(
        "[proxy]\nname = \"{PEER}\"\n[proxy.listen]\nhost = \"127.0.0.1\"\nport = {port}\n\
         [observability]\nlog_level = \"warn\"\n"
    );
    for place in Answer::ALL.map(Answer::place) {
        writeln!(
            text,
            "[[backends]]\nname = \"{place}\"\ntransport = \"http\"\nurl = \"http://{target}/{place}\""
        )?;
    }
    fs::write(&config, text)?;
    let child = Launch::new(PEER, program, log).arg("--config").arg(&config).start()?;
    let address = format!("127.0.0.1:{port}");
    listens(&child, &address).await?;
    let url = format!("http://{address}/");
    let session = initialize(&url).await?;
    Ok(Some(Peer { child, url, session }))
}

/// Begins a session.
async fn initialize(url: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::new();
    let post = |message: Value| {
        let post = client.post(url).header("content-type", "application/json");
        post.header("accept", "application/json, text/event-stream")
            .body(message.to_string())
    };
    let message = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": { "name": "load", "version": "1" },
    }});
    let answer = post(message).send().await?.error_for_status()?;
    let session = answer.headers().get("mcp-session-id");
    let session = session.context("initialize gave no session")?.to_str()?.to_owned();
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let said = post(initialized).header("mcp-session-id", &session);
    said.send().await?.error_for_status()?;
    Ok(session)
}
