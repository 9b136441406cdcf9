//! What the pages are served by: a deck that records, and `tapedeck serve` over TLS before its database.

use std::fs;

use serde_json::json;
use tapedeck_dev::services::{Console, ConsoleOptions};
use tapedeck_dev::{chromium, progress};
use tapedeck_tests::{Deck, Parts, parts, target};
use tokio::sync::OnceCell;

static STAGE: OnceCell<Stage> = OnceCell::const_new();

/// Shared by all tests of the binary; ends with the process.
pub(crate) struct Stage {
    pub(crate) parts: &'static Parts,
    pub(crate) deck: Deck,
    /// `https://127.0.0.1:PORT`.
    pub(crate) url: String,
    pub(crate) browser: chromium::Browser,
    _console: Console,
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
        let tokens = parts.site().run.room("tokens")?.join("secret");
        fs::write(&tokens, "a secret of thirty-two bytes, and more")?;
        let options = ConsoleOptions {
            port: None,
            database: deck.database.clone(),
            issuer: parts.identity.issuer().to_owned(),
            // Auditors see the only tenant that there is.
            roles: json!({
                "administrator": "engineers",
                "viewer": "visitors",
                "auditor": [{ "groups": "auditors", "tenants": "default" }],
            }),
            // Several tests are one user at once.
            more: json!({
                "limits": { "queries_per_user": 24, "streams_per_user": 24 },
                "tokens": { "key": [{ "id": "web", "secret": { "file": tokens } }] },
            }),
        };
        let console = Console::start(&options, parts.site()).await?;
        Ok(Self {
            parts,
            deck,
            url: console.url(),
            browser,
            _console: console,
        })
    }
}
