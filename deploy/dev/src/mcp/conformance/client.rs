//! The suite's client legs: it plays the server, and the Python SDK's own conformance client visits it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Conformance, Outcomes, PYTHON_CLIENT, read};
use crate::node::NodeError;
use crate::ports;

/// How long one scenario may take, on a machine that is busy building.
const SCENARIO: Duration = Duration::from_secs(120);

/// A scenario of the client legs at a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientScenario {
    /// As the suite names it.
    pub name: &'static str,
    /// The revision that is spoken.
    pub revision: &'static str,
}

/// Those that are about MCP, at every revision to which the suite says that they apply. The others, `auth/…`, have the
/// server challenge the client and lead it to an authorization server: a server behind a proxy that authenticates
/// does neither.
pub const CLIENT_SCENARIOS: [ClientScenario; 15] = [
    of("2025-06-18", "initialize"),
    of("2025-06-18", "tools_call"),
    of("2025-11-25", "initialize"),
    of("2025-11-25", "tools_call"),
    of("2025-11-25", "elicitation-sep1034-client-defaults"),
    of("2025-11-25", "sse-retry"),
    of("2025-11-25", "json-schema-2020-12-preservation"),
    of("2026-07-28", "tools_call"),
    of("2026-07-28", "request-metadata"),
    of("2026-07-28", "sep-2322-client-request-state"),
    of("2026-07-28", "http-standard-headers"),
    of("2026-07-28", "http-custom-headers"),
    of("2026-07-28", "http-invalid-tool-headers"),
    of("2026-07-28", "json-schema-ref-no-deref"),
    of("2026-07-28", "json-schema-2020-12-preservation"),
];

const fn of(revision: &'static str, name: &'static str) -> ClientScenario {
    ClientScenario { name, revision }
}

/// Paths at which the suite's servers are.
const PATHS: [&str; 2] = ["/", "/mcp"];

/// A way from the client to the suite's server through something that must know beforehand where that is: it ends at a
/// port from which everything goes on to the server, byte for byte.
#[derive(Debug, Clone)]
pub struct Detour {
    end: u16,
    /// By the server's path: where the client is led.
    entrances: BTreeMap<&'static str, String>,
    token: String,
}

impl Detour {
    /// A way that ends at a free port; it has no entrance yet.
    ///
    /// # Errors
    /// When no port is free.
    pub fn new(token: &str) -> Result<Self, NodeError> {
        Ok(Self {
            end: ports::free().map_err(NodeError::Port)?,
            entrances: BTreeMap::new(),
            token: token.to_owned(),
        })
    }

    /// What lies at its end: a URL for each path at which the suite's server may be.
    pub fn ends(&self) -> [(&'static str, String); 2] {
        PATHS.map(|path| (path, format!("http://127.0.0.1:{}{path}", self.end)))
    }

    /// Leads the client to `url` where the suite's server is at `path`.
    pub fn enter(&mut self, path: &'static str, url: String) {
        self.entrances.insert(path, url);
    }
}

impl Conformance {
    /// Plays a scenario with the SDK's client, directly or by a detour. A scenario that fails is an outcome, no error.
    ///
    /// # Errors
    /// When the suite does not run to its end.
    pub async fn client_outcomes(
        &self,
        scenario: ClientScenario,
        detour: Option<&Detour>,
    ) -> Result<Outcomes, NodeError> {
        let room = self.run.room("conformance-client")?;
        let results = room.join("results");
        let library = self.python.join("lib");
        let mut launch = self
            .suite(&room, &[])
            .args(["client", "--command", "python3 client.py", "--scenario", scenario.name])
            .args([
                "--spec-version",
                scenario.revision,
                "--timeout",
                "60000",
                "--output-dir",
            ])
            .arg(&results)
            .env("CONFORMANCE_CLIENT", self.python.join(PYTHON_CLIENT).join("client.py"))
            .env("PYTHONPATH", &library)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(detour) = detour {
            let entrances = serde_json::json!(detour.entrances).to_string();
            launch = launch
                .env("CONFORMANCE_DETOURS", entrances)
                .env("CONFORMANCE_END", detour.end.to_string())
                .env("CONFORMANCE_TOKEN", &detour.token);
        }
        let child = launch.start()?;
        // 1: the scenario failed.
        match child.exited(SCENARIO).await {
            Some(status) if matches!(status.code(), Some(0 | 1)) => read(&results),
            Some(status) => Err(child.ended(status).into()),
            None => Err(child.not_ready(SCENARIO, "it still runs".to_owned()).into()),
        }
    }
}
