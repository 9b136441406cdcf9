//! Two proxies behind a load balancer, with TLS up to each of them.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tapedeck_dev::services::{Issuer, Proxy, ProxyOptions};
use tapedeck_tests::oracle::table::Row;
use tapedeck_tests::{AUDIENCE, Client, Deck, DeckOptions, parts, run, target};
use url::Url;

use crate::authority::{Authority, file};
use crate::tls_ends::Originator;

/// Where the client is, in the load balancer's word (RFC 5737: an address for examples).
const CLIENT: &str = "192.0.2.7";

fn port(proxy: &Proxy) -> Result<u16> {
    Url::parse(proxy.url())?.port().context("where it listens")
}

#[test]
fn a_session_goes_on_at_another_proxy_with_tls_and_the_balancers_word_on_the_client() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let authority = Authority::new("the house's root")?;
        let folder = tempfile::tempdir()?;
        let identity = authority.issue("proxy")?;
        let tag_key = file(folder.path(), "tag-key", &"0123456789abcdef".repeat(4))?;
        let settings: Value = json!({
            "public_url": "https://mcp.example.com",
            "trusted_proxies": ["127.0.0.0/8"],
            "tls": {
                "certificate": file(folder.path(), "certificate.pem", &identity.certificate)?,
                "key": file(folder.path(), "key.pem", &identity.key)?,
            },
            "sessions": { "tag_keys": [{ "file": tag_key }] },
        });
        let targets = vec![target("probe", parts.probe.url())];
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy: settings.clone(),
                ..DeckOptions::of(targets.clone())
            },
        )
        .await?;
        let other = ProxyOptions {
            targets,
            more: settings,
            ..ProxyOptions::new(deck.kafka.clone(), Issuer::new(parts.identity.issuer(), [AUDIENCE]))
        };
        let other = Proxy::start(&other, parts.site()).await?;
        let here = Originator::start(authority.client()?, port(&deck.proxy)?).await?;
        let there = Originator::start(authority.client()?, port(&other)?).await?;

        let token = parts.token("alice").await?;
        let client = |at: &Originator| {
            Client::bearer(&format!("{}/probe/mcp", at.url()), token.as_str())?.with("x-forwarded-for", CLIENT)
        };
        let mut first = client(&here)?;
        first.initialize().await?;
        let session = first.session().context("a session id")?.to_owned();
        let mut second = client(&there)?.with("mcp-session-id", &session)?;
        assert_eq!(first.call("echo", json!({ "text": "one" })).await?.tool_text()?, "one");
        assert_eq!(second.call("echo", json!({ "text": "two" })).await?.tool_text()?, "two");
        other.service().stop().await;

        let tape = deck.finish().await?;
        assert_eq!(tape.sessions().len(), 1);
        let is_call = |row: &&Row| row.kind == "message" && row.rpc_name == "echo";
        let calls: Vec<_> = tape.rows.iter().filter(is_call).collect();
        assert_eq!(calls.len(), 4, "two calls and their answers");
        assert!(calls.iter().all(|row| row.client_address == CLIENT));
        let writers: std::collections::BTreeSet<_> = calls.iter().map(|row| row.writer_id).collect();
        assert_eq!(writers.len(), 2);
        Ok(())
    })
}
