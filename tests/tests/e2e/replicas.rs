//! Proxies share nothing but a key: any of them may see any request of a session.

use anyhow::{Context as _, Result};
use serde_json::json;
use tapedeck_dev::services::{Issuer, Proxy, ProxyOptions};
use tapedeck_tests::{AUDIENCE, Client, Deck, DeckOptions, parts, run, target};

#[test]
fn a_session_goes_on_at_another_replica_and_is_one_session_on_record() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let targets = vec![target("probe", parts.probe.url())];
        // As the services library names the variable that the configuration refers to.
        let shared_key = vec![("TAPEDECK_TAG_KEY".to_owned(), "0123456789abcdef".repeat(4))];
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy_environment: shared_key.clone(),
                ..DeckOptions::of(targets.clone())
            },
        )
        .await?;
        let issuer = Issuer::new(parts.identity.issuer(), [AUDIENCE]);
        let replica = Proxy::start(
            &ProxyOptions {
                targets,
                environment: shared_key,
                ..ProxyOptions::new(deck.kafka.clone(), issuer)
            },
            parts.site(),
        )
        .await?;

        let mut here = deck.client("probe", "alice").await?;
        here.initialize().await?;
        let session = here.session().context("a session id")?.to_owned();
        let token = parts.token("alice").await?;
        let mut there = Client::bearer(&replica.endpoint("probe"), token.as_str())?.with("mcp-session-id", &session)?;
        assert_eq!(here.call("echo", json!({ "text": "one" })).await?.tool_text()?, "one");
        assert_eq!(there.call("echo", json!({ "text": "two" })).await?.tool_text()?, "two");
        assert_eq!(
            here.call("echo", json!({ "text": "three" })).await?.tool_text()?,
            "three"
        );
        replica.service().stop().await;

        let tape = deck.finish().await?;
        assert_eq!(tape.sessions().len(), 1);
        let texts: Vec<String> = tape
            .rows
            .iter()
            .filter(|row| row.rpc_name == "echo")
            .map(|row| row.text())
            .collect();
        for said in ["one", "two", "three"] {
            assert_eq!(
                texts.iter().filter(|text| text.contains(said)).count(),
                2,
                "{said}: {texts:?}"
            );
        }
        let mut writers: Vec<_> = tape.rows.iter().map(|row| row.writer_id).collect();
        writers.sort();
        writers.dedup();
        assert_eq!(writers.len(), 2);
        Ok(())
    })
}
