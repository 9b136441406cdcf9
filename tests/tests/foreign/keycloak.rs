//! Tokens of Keycloak, beside those of another issuer.

use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};
use tapedeck_dev::keycloak::Keycloak;
use tapedeck_dev::mcp::{Call, Caller, ProbeOptions, Visit};
use tapedeck_tests::{AUDIENCE, Client, Deck, DeckOptions, Parts, metric_is, parts, run, target, within};

use crate::authority::file;
use crate::credentials::CLIENT_SECRET;
use crate::device::Device;
use crate::servers::{ELSEWHERE, REALM, keycloak};

/// The least time between two askings for an issuer's keys, and some more.
const ASKING: Duration = Duration::from_secs(30);

fn keycloak_issuer(url: &str) -> Value {
    json!({ "url": url, "audience": AUDIENCE, "groups_claim": "groups", "tenant_claim": "org.id" })
}

/// Parts whose proxy takes tokens of that realm.
async fn deck_of(parts: &'static Parts, keycloak: &Keycloak, realm: &str) -> Result<Deck> {
    Deck::with(
        parts,
        DeckOptions {
            proxy: json!({ "issuer": [keycloak_issuer(&keycloak.issuer(realm))] }),
            ..DeckOptions::of(vec![target("probe", parts.probe.url())])
        },
    )
    .await
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
fn a_new_key_of_keycloak_is_found_beside_the_old_one_and_a_withdrawn_one_is_not_trusted() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let keycloak = keycloak(parts).await?;
        let deck = deck_of(parts, keycloak, ELSEWHERE).await?;
        let before = keycloak.user_token(ELSEWHERE, "agent", "alice").await?;
        let mut client = Client::bearer(&deck.proxy.endpoint("probe"), before.as_str())?;
        client.initialize().await?;

        let old = keycloak.add_key(ELSEWHERE).await?;
        let after = keycloak.user_token(ELSEWHERE, "agent", "alice").await?;
        within(ASKING, async || match answer(&deck, after.as_str()).await? {
            200 => Ok(Ok(())),
            status => Ok(Err(format!("a token with the new key is answered {status}"))),
        })
        .await?;
        // The session that was opened with the old one goes on with either.
        for token in [&before, &after] {
            client = client.with("authorization", &format!("Bearer {}", token.as_str()))?;
            assert_eq!(client.call("echo", json!({ "text": "still here" })).await?.status, 200);
        }

        keycloak.withdraw_key(ELSEWHERE, &old).await?;
        // A token that names a key which nobody knows has the issuer be asked again.
        let (_, rest) = before.as_str().split_once('.').context("a token has parts")?;
        let header = URL_SAFE_NO_PAD.encode(json!({ "typ": "JWT", "alg": "RS256", "kid": "unknown" }).to_string());
        let stranger = format!("{header}.{rest}");
        within(ASKING, async || {
            assert_eq!(answer(&deck, &stranger).await?, 401);
            Ok(match answer(&deck, before.as_str()).await? {
                401 => Ok(()),
                status => Err(format!("a token of the withdrawn key is answered {status}")),
            })
        })
        .await?;
        assert_eq!(answer(&deck, after.as_str()).await?, 200);
        deck.finish().await?;
        Ok(())
    })
}

#[test]
fn a_token_of_keycloak_that_is_revoked_ends_its_stream_and_groups_may_come_from_userinfo() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let keycloak = keycloak(parts).await?;
        let folder = tempfile::tempdir()?;
        let mut issuer = keycloak_issuer(&keycloak.issuer(REALM));
        issuer["groups_from"] = json!("userinfo");
        issuer["introspection"] = json!({
            "client_id": "recorder", "client_secret": { "file": file(folder.path(), "secret", CLIENT_SECRET)? },
            "tokens": "jwt", "keep": "1s",
        });
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy: json!({ "issuer": [issuer] }),
                ..DeckOptions::of(vec![target("everything", parts.everything.url())])
            },
        )
        .await?;
        let endpoint = deck.proxy.endpoint("everything");

        // The token names no groups, and the user is an engineer all the same; another is not.
        let token = keycloak.user_token(REALM, "agent-of-few-words", "alice").await?;
        let mut client = Client::bearer(&endpoint, token.as_str())?;
        client.initialize().await?;
        let visitor = keycloak.user_token(REALM, "agent-of-few-words", "mallory").await?;
        let visitor = Client::bearer(&endpoint, visitor.as_str())?;
        assert_eq!(visitor.post(&Client::initialization(1)).await?.status, 403);

        let listener = client.clone();
        let listening = tokio::spawn(async move { listener.send(Method::GET, None).await });
        metric_is(deck.proxy.service(), "tapedeck_proxy_streams", "1").await?;
        keycloak.revoke(REALM, "agent-of-few-words", &token).await?;
        assert!(listening.await?.is_err(), "it is cut");
        within(Duration::from_secs(20), async || {
            let answer = client
                .post(&json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" }))
                .await?;
            Ok(match answer.status {
                401 => Ok(()),
                status => Err(format!("the revoked token is answered {status}")),
            })
        })
        .await?;

        let tape = deck.finish().await?;
        let ended = tape.rows.iter().filter(|row| row.decision_rule == "token_revoked");
        assert_eq!(ended.count(), 1);
        Ok(())
    })
}

#[test]
fn a_token_that_keycloak_has_bound_to_a_key_is_good_with_a_proof_of_it_and_with_nothing_else() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let keycloak = keycloak(parts).await?;
        let deck = deck_of(parts, keycloak, REALM).await?;
        let endpoint = deck.proxy.endpoint("probe");
        let device = Device::new()?;
        let asking = device.proof(&keycloak.token_endpoint(REALM), None, None)?;
        let token = keycloak.bound_token(REALM, "agent", "alice", &asking).await?;
        let borne = Client::bearer(&endpoint, token.as_str())?;
        let proving = |device: &Device, nonce: Option<&str>| {
            let proof = device.proof(&endpoint, Some(token.as_str()), nonce)?;
            let client = Client::anonymous(&endpoint).with("authorization", &format!("DPoP {}", token.as_str()))?;
            client.with("dpop", &proof)
        };
        let initialize = Client::initialization(1);
        let reason = async |client: Client| {
            let answer = client.post(&initialize).await?;
            let reason = answer.message()?["error"]["data"]["reason"].as_str().map(str::to_owned);
            Ok::<_, anyhow::Error>((answer.status, reason.unwrap_or_default()))
        };

        assert_eq!(reason(borne).await?, (401, "dpop_bound".to_owned()));
        let first = proving(&device, None)?.post(&initialize).await?;
        assert_eq!(first.status, 401);
        let nonce = first.header("dpop-nonce").context("a nonce is given")?.to_owned();
        let proven = proving(&device, Some(&nonce))?;
        assert_eq!(proven.post(&initialize).await?.status, 200);
        assert_eq!(reason(proven).await?, (401, "dpop_replayed".to_owned()));
        let thief = proving(&Device::new()?, Some(&nonce))?;
        assert_eq!(reason(thief).await?, (401, "dpop_other_key".to_owned()));

        let tape = deck.finish().await?;
        let shown = format!("jkt:{}", device.thumbprint());
        let asked = tape.rows.iter().filter(|row| row.key_thumbprint == shown);
        assert!(
            asked.count() >= 2,
            "the key is on record, with the request and its answer"
        );
        Ok(())
    })
}

/// What is exchanged is the token alone, once its holder has proved the key to the proxy: what the target sees is a bearer token
/// for it, and no proof goes to anybody.
#[test]
fn a_token_that_is_bound_to_a_key_is_exchanged_for_who_proves_the_key_and_for_nobody_else() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let keycloak = keycloak(parts).await?;
        let folder = tempfile::tempdir()?;
        let probe = parts.probe(ProbeOptions::default()).await?;
        let exchanging = json!({
            "name": "exchanged", "url": probe.url(), "allow_groups": ["*"], "allow_single_copy": true,
            "credential": { "oauth": {
                "grant": "token_exchange", "token_url": keycloak.token_endpoint(REALM), "client_id": "recorder",
                "client_secret": { "file": file(folder.path(), "secret", CLIENT_SECRET)? }, "audience": "mcp-server",
            } },
        });
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy: json!({ "issuer": [keycloak_issuer(&keycloak.issuer(REALM))], "target": [exchanging] }),
                ..DeckOptions::of(vec![target("exchanged", probe.url())])
            },
        )
        .await?;
        let endpoint = deck.proxy.endpoint("exchanged");
        let device = Device::new()?;
        let asking = device.proof(&keycloak.token_endpoint(REALM), None, None)?;
        let token = keycloak.bound_token(REALM, "agent", "alice", &asking).await?;
        let initialize = Client::initialization(1);
        let borne = Client::bearer(&endpoint, token.as_str())?.post(&initialize).await?;
        assert_eq!(borne.status, 401);
        let proving = |nonce: Option<&str>| {
            let proof = device.proof(&endpoint, Some(token.as_str()), nonce)?;
            let client = Client::anonymous(&endpoint).with("authorization", &format!("DPoP {}", token.as_str()))?;
            client.with("dpop", &proof)
        };
        let first = proving(None)?.post(&initialize).await?;
        let nonce = first.header("dpop-nonce").context("a nonce is given")?.to_owned();
        assert_eq!(
            probe.accounts().await?.total,
            0,
            "nothing was exchanged for who has proved nothing"
        );
        let proven = proving(Some(&nonce))?.post(&initialize).await?;
        let accounts = probe.accounts().await?;
        match (proven.status, accounts.calls.last()) {
            (200, Some(call)) => {
                let shown = call.header("authorization");
                assert!(shown.len() == 1 && shown[0].starts_with("Bearer ") && !shown[0].contains(token.as_str()));
                assert!(call.header("dpop").is_empty());
            }
            // Whether a proof of its own is wanted is the authorization server's to say; then nothing is sent.
            (502, None) => assert_eq!(
                proven.message()?["error"]["data"]["reason"].as_str(),
                Some("credential_refused")
            ),
            (status, _) => panic!("{status}: {}", proven.text()),
        }
        deck.finish().await?;
        Ok(())
    })
}
