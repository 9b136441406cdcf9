//! An MCP server of other hands, behind TLS, with a credential of its own.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tapedeck_dev::mcp::{Call, Caller, ProbeOptions, Visit};
use tapedeck_dev::services::{Issuer, Proxy, ProxyOptions};
use tapedeck_tests::{AUDIENCE, Client, Deck, DeckOptions, parts, run, target, until};
use url::Url;

use crate::authority::{Authority, file};
use crate::servers::memory;
use crate::tls_ends::Terminator;

fn calls() -> Vec<Call> {
    vec![
        Call::list("tools"),
        Call::tool("read_graph", json!({})),
        Call::tool("search_nodes", json!({ "query": "nothing has this name" })),
        Call::tool("delete_entities", json!({ "entityNames": "no list" })),
    ]
}

#[test]
fn a_server_behind_tls_gets_the_credential_that_it_asks_for_and_is_recorded_to_the_last_byte() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let server = memory(parts).await?;
        let behind = Url::parse(server.url())?.port().context("where it listens")?;
        let authority = Authority::new("the server's root")?;
        let front = Terminator::start(authority.issue("server")?.server()?, behind).await?;
        let folder = tempfile::tempdir()?;
        let ca = file(folder.path(), "ca.pem", authority.certificate())?;
        let stranger = Authority::new("another root")?;
        let wrong_ca = file(folder.path(), "wrong-ca.pem", stranger.certificate())?;
        let secret = file(folder.path(), "secret", "kept-in-a-file-0123456789\n")?;
        let foreign = |name: &str, more: Value| {
            let mut described = json!({
                "name": name, "url": format!("{}/mcp", front.url()), "ca": ca, "allow_groups": ["engineers"],
                "record": "required", "allow_single_copy": true,
            });
            for (key, value) in more.as_object().into_iter().flatten() {
                described[key] = value.clone();
            }
            described
        };
        let from_environment = json!({ "header": "authorization", "prefix": "Token ", "env": "FOREIGN_TARGET" });
        let from_file = json!({ "header": "x-api-key", "file": secret });
        let targets = [
            foreign("environment", json!({ "credential": from_environment })),
            foreign("file", json!({ "credential": from_file })),
            foreign("visitors", json!({ "allow_groups": ["visitors"] })),
            foreign("untrusted", json!({ "ca": wrong_ca })),
        ];
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy: json!({ "target": targets }),
                proxy_environment: vec![("FOREIGN_TARGET".to_owned(), "held-in-a-variable-0123456789".to_owned())],
                ..DeckOptions::of(vec![target("environment", &front.url())])
            },
        )
        .await?;

        let token = parts.token("alice").await?;
        let directly = Visit::calls(server.url(), Caller::Anonymous, calls())
            .run(&parts.node)
            .await?;
        for (name, credential) in [
            (
                "environment",
                "\r\nauthorization: Token held-in-a-variable-0123456789\r\n",
            ),
            ("file", "\r\nx-api-key: kept-in-a-file-0123456789\r\n"),
        ] {
            let before = front.seen().len();
            let endpoint = deck.proxy.endpoint(name);
            let through = Visit::calls(&endpoint, Caller::Bearer(token.clone()), calls())
                .run(&parts.node)
                .await?;
            assert!(through.completed(), "{:?}", through.lines);
            assert_eq!(through.conversation(), directly.conversation(), "{name}");
            let saw = &front.seen()[before..];
            let requests = saw.matches(" /mcp HTTP/1.1\r\n").count();
            assert!(requests >= calls().len(), "{saw}");
            assert_eq!(saw.matches(credential).count(), requests, "each request has it, once");
        }
        assert!(!front.seen().contains(token.as_str()), "the client's token went on");

        let seen = front.seen().len();
        let status = async |name: &str| {
            let client = Client::bearer(&deck.proxy.endpoint(name), token.as_str())?;
            let answer = client.post(&Client::initialization(1)).await?;
            Ok::<_, anyhow::Error>((answer.status, answer.message()?["error"]["data"]["reason"].clone()))
        };
        assert_eq!(status("visitors").await?.0, 403);
        assert_eq!(status("untrusted").await?, (502, json!("target_unreachable")));
        assert_eq!(front.seen().len(), seen, "neither came through");

        let logs = deck.logs()?;
        let tape = deck.finish().await?;
        let tools = tape
            .rows
            .iter()
            .filter(|row| row.rpc_method == "tools/call" && row.direction == "to_client");
        assert_eq!(tools.count(), 2 * 3);
        for secret in ["held-in-a-variable", "kept-in-a-file", token.as_str()] {
            assert!(!logs.contains(secret), "a secret is in the logs");
            assert!(
                !format!("{:?}", tape.recorded).contains(secret),
                "a secret is on record"
            );
        }
        Ok(())
    })
}

#[test]
fn a_topic_of_a_single_copy_is_refused_to_a_target_that_does_not_allow_it() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let probe = parts.probe(ProbeOptions::default()).await?;
        // Its topics have one copy, as there is one broker.
        let deck = Deck::start(parts, vec![target("probe", parts.probe.url())]).await?;
        let careful = json!({ "name": "careful", "url": probe.url(), "allow_groups": ["engineers"] });
        let easy = json!({
            "name": "easy", "url": probe.url(), "allow_groups": ["engineers"], "allow_single_copy": true,
        });
        let options = ProxyOptions {
            more: json!({ "target": [careful, easy] }),
            ..ProxyOptions::new(deck.kafka.clone(), Issuer::new(parts.identity.issuer(), [AUDIENCE]))
        };
        let proxy = Proxy::start_unready(&options, parts.site()).await?;
        let ready = format!("{}/readyz", proxy.service().admin());
        until(async || {
            let said = Client::get(&ready).await?;
            let is_it = said.status == 503 && said.text().contains("min.insync.replicas");
            Ok(if is_it {
                Ok(())
            } else {
                Err(format!("{} {}", said.status, said.text()))
            })
        })
        .await?;

        let token = parts.token("alice").await?;
        let call = async |name: &str| {
            let client = Client::bearer(&proxy.endpoint(name), token.as_str())?;
            client.post(&Client::initialization(1)).await
        };
        let refused = call("careful").await?;
        assert_eq!(
            (refused.status, refused.message()?["error"]["data"]["reason"].as_str()),
            (503, Some("single_copy"))
        );
        assert_eq!(probe.accounts().await?.total, 0, "the target has seen nothing");
        assert_eq!(call("easy").await?.status, 200);
        proxy.service().stop().await;
        deck.finish().await?;
        Ok(())
    })
}
