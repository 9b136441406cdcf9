//! A client that knows nothing but the endpoint's URL finds its way in.

use anyhow::Result;
use serde_json::json;
use tapedeck_dev::mcp::{Caller, Visit};
use tapedeck_tests::{Client, Deck, DeckOptions, parts, run, target};

#[test]
fn the_sdk_signs_in_by_itself_and_then_sees_what_it_sees_directly() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let deck = Deck::with(
            parts,
            DeckOptions {
                audiences: Vec::new(),
                ..DeckOptions::of(vec![target("everything", parts.everything.url())])
            },
        )
        .await?;
        let direct = Visit::scenario(parts.everything.url(), Caller::Anonymous)
            .run(&parts.node)
            .await?;
        let endpoint = deck.proxy.endpoint("everything");
        let through = Visit::scenario(&endpoint, Caller::SignIn("alice".to_owned()))
            .run(&parts.node)
            .await?;
        assert!(through.completed(), "{:?}", through.lines);
        assert_eq!(through.conversation(), direct.conversation());
        assert!(through.answers().contains(&("POST", 401)));

        let tape = deck.finish().await?;
        let refusals: Vec<&str> = tape.refusals().iter().map(|row| row.decision_rule.as_str()).collect();
        assert_eq!(refusals, ["missing"]);
        assert!(
            tape.rows
                .iter()
                .any(|row| row.subject == "alice" && row.rpc_name == "echo")
        );
        Ok(())
    })
}

#[test]
fn resource_metadata_says_where_to_get_a_token_and_for_what() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let deck = Deck::start(parts, vec![target("probe", parts.probe.url())]).await?;
        let endpoint = deck.proxy.endpoint("probe");
        let refused = Client::anonymous(&endpoint).post(&Client::initialization(1)).await?;
        let metadata_url = format!("{}/.well-known/oauth-protected-resource/probe/mcp", deck.proxy.url());
        let challenge = refused.header("www-authenticate").unwrap_or_default();
        assert_eq!(refused.status, 401);
        assert!(challenge.starts_with("Bearer "), "{challenge}");
        assert!(
            challenge.contains(&format!("resource_metadata=\"{metadata_url}\"")),
            "{challenge}"
        );
        // RFC 6750, section 3.1: no error code where no credentials were sent.
        assert!(!challenge.contains("error="), "{challenge}");

        let metadata = Client::get(&metadata_url).await?;
        assert_eq!(
            (metadata.status, metadata.header("content-type")),
            (200, Some("application/json"))
        );
        let document = metadata.message()?;
        assert_eq!(document["resource"], endpoint);
        assert_eq!(document["authorization_servers"], json!([parts.identity.issuer()]));
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));

        let elsewhere = format!("{}/.well-known/oauth-protected-resource/nowhere/mcp", deck.proxy.url());
        assert_eq!(Client::get(&elsewhere).await?.status, 404);
        deck.finish().await?;
        Ok(())
    })
}
