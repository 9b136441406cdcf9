//! If it cannot be recorded, it does not happen.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tapedeck_dev::mcp::ProbeOptions;
use tapedeck_tests::{Client, Deck, DeckOptions, parts, run, target, until};

#[test]
fn with_the_broker_away_nothing_reaches_the_target_and_with_it_back_all_is_well() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let broker = parts.broker().await?;
        let probe = parts.probe(ProbeOptions::default()).await?;
        let deck = Deck::with(
            parts,
            DeckOptions {
                brokers: Some(broker.bootstrap()),
                ..DeckOptions::of(vec![target("probe", probe.url())])
            },
        )
        .await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        assert_eq!(
            client.call("echo", json!({ "text": "before" })).await?.tool_text()?,
            "before"
        );
        let ready = format!("{}/readyz", deck.proxy.service().admin());
        assert_eq!(Client::get(&ready).await?.status, 200);

        broker.kill();
        probe.forget().await?;
        for attempt in ["while the broker is away", "and again"] {
            let refused = client.call("echo", json!({ "text": attempt })).await?;
            assert_eq!(refused.status, 503, "{}", refused.text());
            let wait: u64 = refused.header("retry-after").unwrap_or_default().parse()?;
            assert!(wait >= 1);
            let message = refused.message()?;
            assert!(
                message["error"]["code"].is_i64() && message["error"]["data"]["reason"].is_string(),
                "{message}"
            );
        }
        assert_eq!(probe.accounts().await?.total, 0, "the target has seen nothing");
        until(async || {
            let said = Client::get(&ready).await?;
            Ok(if said.status == 503 {
                Ok(())
            } else {
                Err(format!("{ready} still answers {}", said.status))
            })
        })
        .await?;

        broker.restart().await?;
        deck.proxy.service().ready().await?;
        let after = client.call("echo", json!({ "text": "after" })).await?;
        assert_eq!(after.tool_text()?, "after");
        assert_eq!(probe.echoes().await?, ["after"]);

        // What the client was told did not happen is on record as not forwarded, if at all.
        let tape = deck.finish().await?;
        let forwarded = tape
            .rows
            .iter()
            .filter(|row| row.direction == "to_client" && row.text().contains("broker is away"));
        assert_eq!(forwarded.count(), 0);
        Ok(())
    })
}

#[test]
fn an_answer_that_cannot_be_recorded_is_withheld_and_says_so() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let broker = parts.broker().await?;
        let probe = parts
            .probe(ProbeOptions {
                json: true,
                ..ProbeOptions::default()
            })
            .await?;
        let deck = Deck::with(
            parts,
            DeckOptions {
                brokers: Some(broker.bootstrap()),
                ..DeckOptions::of(vec![target("probe", probe.url())])
            },
        )
        .await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        probe.forget().await?;
        let held = tokio::spawn(async move { client.call("hold", json!({ "text": "top of the tape" })).await });
        until(async || {
            let arrived = probe.accounts().await?.messages;
            Ok(if arrived == 1 {
                Ok(())
            } else {
                Err("the call has not arrived".to_owned())
            })
        })
        .await?;
        broker.kill();
        probe.release().await?;
        let answer = tokio::time::timeout(Duration::from_secs(60), held).await???;
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert!(!answer.text().contains("top of the tape"));
        assert_eq!(answer.message()?["error"]["data"]["reason"], "answer_withheld");

        broker.restart().await?;
        deck.proxy.service().ready().await?;
        let tape = deck.finish().await?;
        // How it ended is said while the broker is away: either that has arrived, or it is named as lost.
        let is_said = tape
            .rows
            .iter()
            .any(|row| row.ended == "aborted" && row.rpc_name == "hold");
        let is_named = tape
            .rows
            .iter()
            .any(|row| row.kind == "segment_opened" && !row.lost_seq.is_empty());
        assert!(
            is_said || is_named,
            "nothing on record says that the answer was withheld"
        );
        Ok(())
    })
}
