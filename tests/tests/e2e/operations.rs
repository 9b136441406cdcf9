//! What an operator relies on: health, figures, and a client that goes away.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tapedeck_dev::mcp::ProbeOptions;
use tapedeck_tests::{Client, Deck, parts, run, target, until};

#[test]
fn an_answer_is_on_record_although_its_client_has_gone() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let probe = parts.probe(ProbeOptions::default()).await?;
        let deck = Deck::start(parts, vec![target("probe", probe.url())]).await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        let call = tokio::spawn(async move { client.call("hold", json!({ "text": "nobody listens" })).await });
        until(async || {
            let calls = probe.accounts().await?.calls;
            let is_held = calls
                .iter()
                .any(|call| call.rpc.as_ref().is_some_and(|rpc| rpc["name"] == "hold"));
            Ok(if is_held {
                Ok(())
            } else {
                Err("the call has not arrived".to_owned())
            })
        })
        .await?;
        // The client's connection goes with its task. Before 2026-07-28 that cancels nothing.
        call.abort();
        assert!(call.await.is_err_and(|error| error.is_cancelled()));
        probe.release().await?;
        deck.settled().await?;

        let tape = deck.finish().await?;
        let answer = tape
            .rows
            .iter()
            .find(|row| row.text().contains("nobody listens") && row.direction == "to_client");
        assert!(answer.is_some(), "the answer is not on record");
        let ends: Vec<&str> = tape
            .rows
            .iter()
            .filter(|row| row.rpc_name == "hold" && !row.ended.is_empty())
            .map(|row| row.ended.as_str())
            .collect();
        assert_eq!(ends, ["answered"]);
        Ok(())
    })
}

#[test]
fn both_services_say_that_they_are_healthy_and_what_they_have_done() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let deck = Deck::start(parts, vec![target("probe", parts.probe.url())]).await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        Client::anonymous(&deck.proxy.endpoint("probe"))
            .post(&Client::initialization(1))
            .await?;
        deck.settled().await?;

        for service in [deck.proxy.service(), deck.consumer.service()] {
            for path in ["healthz", "readyz"] {
                assert_eq!(
                    Client::get(&format!("{}/{path}", service.admin())).await?.status,
                    200,
                    "{path}"
                );
            }
        }
        // They are for operators: clients find none of them.
        for path in ["healthz", "readyz", "metrics", "", "probe", "probe/mcp/x"] {
            assert_eq!(
                Client::get(&format!("{}/{path}", deck.proxy.url())).await?.status,
                404,
                "{path}"
            );
        }
        let missing = deck
            .proxy
            .service()
            .metric(r#"tapedeck_proxy_refusals_total{reason="missing"}"#)
            .await?;
        assert_eq!(missing.as_deref(), Some("1"));
        let rows = deck.consumer.service().metric("tapedeck_consumer_rows_total").await?;
        assert!(
            rows.as_deref()
                .is_some_and(|rows| rows.parse::<u64>().is_ok_and(|rows| rows > 0)),
            "{rows:?}"
        );
        deck.finish().await?;
        Ok(())
    })
}

#[test]
fn a_target_that_is_away_is_a_502_and_the_call_is_on_record_as_not_made() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let probe = parts.probe(ProbeOptions::default()).await?;
        let deck = Deck::start(parts, vec![target("probe", probe.url())]).await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        probe.server().kill();
        let failed = client.call("echo", json!({ "text": "hello?" })).await?;
        assert_eq!(failed.status, 502, "{}", failed.text());
        assert_eq!(failed.message()?["id"], 2, "the client's own request is answered");

        let tape = tokio::time::timeout(Duration::from_secs(120), deck.finish()).await??;
        let ends: Vec<&str> = tape
            .rows
            .iter()
            .filter(|row| row.rpc_name == "echo" && !row.ended.is_empty())
            .map(|row| row.ended.as_str())
            .collect();
        assert!(ends == ["not_forwarded"] || ends == ["upstream_lost"], "{ends:?}");
        let said = failed.message()?["error"]["data"]["reason"].clone();
        assert_eq!(
            said == "target_unreachable",
            ends == ["not_forwarded"],
            "{said} and {ends:?}"
        );
        Ok(())
    })
}
