//! Tokens of Keycloak, beside those of another issuer.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tapedeck_dev::mcp::{Call, Caller, Visit};
use tapedeck_tests::{AUDIENCE, Client, Deck, DeckOptions, parts, run, target, within};

use crate::servers::{ELSEWHERE, REALM, keycloak};

/// The least time between two askings for an issuer's keys, and some more.
const ASKING: Duration = Duration::from_secs(30);

fn keycloak_issuer(url: &str) -> Value {
    json!({ "url": url, "audience": AUDIENCE, "groups_claim": "groups", "tenant_claim": "org.id" })
}

async fn answer(deck: &Deck, token: &str) -> Result<u16> {
    let client = Client::bearer(&deck.proxy.endpoint("probe"), token)?;
    Ok(client.post(&Client::initialization(1)).await?.status)
}

#[test]
fn tokens_of_keycloak_and_of_another_issuer_are_taken_each_by_its_own_rules() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let keycloak = keycloak(parts).await?;
        let house = json!({ "url": parts.identity.issuer(), "audience": AUDIENCE, "tenant": "house" });
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy: json!({ "issuer": [keycloak_issuer(&keycloak.issuer(REALM)), house] }),
                ..DeckOptions::of(vec![target("probe", parts.probe.url())])
            },
        )
        .await?;

        let theirs = keycloak.user_token(REALM, "agent", "alice").await?;
        let calls = vec![Call::tool("echo", json!({ "text": "through Keycloak" }))];
        let visit = Visit::calls(&deck.proxy.endpoint("probe"), Caller::Bearer(theirs), calls);
        let visit = visit.run(&parts.node).await?;
        assert!(visit.completed(), "{:?}", visit.lines);
        assert_eq!(answer(&deck, parts.token("alice").await?.as_str()).await?, 200);

        for (realm, client, login, status, why) in [
            (REALM, "agent", "mallory", 403, "is in no group that may"),
            (ELSEWHERE, "agent", "alice", 401, "is of a realm that is not trusted"),
            (REALM, "wiki", "alice", 401, "has a token for something else"),
            (REALM, "agent-of-nobody", "alice", 401, "is of no tenant"),
        ] {
            let token = keycloak.user_token(realm, client, login).await?;
            assert_eq!(
                answer(&deck, token.as_str()).await?,
                status,
                "{login} of {client} {why}"
            );
        }

        let tape = deck.finish().await?;
        let opened = |tenant: &str| {
            let asked = tape
                .rows
                .iter()
                .filter(|row| row.rpc_method == "initialize" && row.kind == "message");
            asked
                .filter(|row| row.direction == "to_target" && row.tenant == tenant)
                .count()
        };
        assert_eq!((opened("acme"), opened("house")), (1, 1));
        let said = tape.rows.iter().find(|row| row.text().contains("through Keycloak"));
        assert_eq!(said.map(|row| row.principal_name.as_str()), Some("Alice Keycloak"));
        let mut rules: Vec<&str> = tape.refusals().iter().map(|row| row.decision_rule.as_str()).collect();
        rules.sort_unstable();
        assert_eq!(
            rules,
            ["forbidden", "missing_claim", "unknown_issuer", "wrong_audience"]
        );
        Ok(())
    })
}

#[test]
fn a_new_key_of_keycloak_is_found_and_the_withdrawn_one_is_not_trusted() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let keycloak = keycloak(parts).await?;
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy: json!({ "issuer": [keycloak_issuer(&keycloak.issuer(ELSEWHERE))] }),
                ..DeckOptions::of(vec![target("probe", parts.probe.url())])
            },
        )
        .await?;
        let before = keycloak.user_token(ELSEWHERE, "agent", "alice").await?;
        assert_eq!(answer(&deck, before.as_str()).await?, 200);

        keycloak.rotate_keys(ELSEWHERE).await?;
        let after = keycloak.user_token(ELSEWHERE, "agent", "alice").await?;
        within(ASKING, async || match answer(&deck, after.as_str()).await? {
            200 => Ok(Ok(())),
            status => Ok(Err(format!("a token with the new key is answered {status}"))),
        })
        .await?;
        assert_eq!(answer(&deck, before.as_str()).await?, 401);
        deck.finish().await?;
        Ok(())
    })
}
