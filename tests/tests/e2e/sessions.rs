//! Whose session it is, with the target's session ids and without.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::json;
use tapedeck_dev::mcp::ProbeOptions;
use tapedeck_tests::{Deck, parts, run, target};
use uuid::Uuid;

#[test]
fn a_session_id_is_tagged_and_nobody_elses_use_of_it_gets_through() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let probe = parts.probe(ProbeOptions::default()).await?;
        let deck = Deck::start(parts, vec![target("probe", probe.url())]).await?;
        let mut alice = deck.client("probe", "alice").await?;
        alice.initialize().await?;
        let tagged = alice.session().context("a session id")?.to_owned();
        alice.call("echo", json!({ "text": "mine" })).await?;
        let targets_own = probe
            .accounts()
            .await?
            .calls
            .iter()
            .find_map(|call| Some(call.header("mcp-session-id").first()?.to_string()));
        let targets_own = targets_own.context("the target was sent its session id")?;
        assert!(
            tagged.starts_with(&targets_own) && tagged.len() > targets_own.len(),
            "{tagged} of {targets_own}"
        );

        probe.forget().await?;
        let mut bob = deck.client("probe", "bob").await?.with("mcp-session-id", &tagged)?;
        let stolen = bob.call("echo", json!({ "text": "yours" })).await?;
        assert_eq!(stolen.status, 404, "{}", stolen.text());
        let mut untagged = deck
            .client("probe", "alice")
            .await?
            .with("mcp-session-id", &targets_own)?;
        assert_eq!(untagged.call("echo", json!({ "text": "bare" })).await?.status, 404);
        let mut broken = deck
            .client("probe", "alice")
            .await?
            .with("mcp-session-id", &format!("x{tagged}"))?;
        assert_eq!(broken.call("echo", json!({ "text": "broken" })).await?.status, 404);
        assert_eq!(probe.accounts().await?.total, 0, "the target has seen none of these");

        let mine = alice.call("echo", json!({ "text": "still mine" })).await?;
        assert_eq!(mine.tool_text()?, "still mine");

        let tape = deck.finish().await?;
        let refused: Vec<(&str, &str)> = tape
            .refusals()
            .iter()
            .map(|row| (row.subject.as_str(), row.decision_rule.as_str()))
            .collect();
        let expected = [
            ("bob", "foreign_session"),
            ("alice", "unknown_session"),
            ("alice", "foreign_session"),
        ];
        assert_eq!(refused, expected);
        // What was asked for is evidence.
        assert!(tape.refusals()[0].text().contains("yours"));
        Ok(())
    })
}

#[test]
fn a_session_that_the_target_has_ended_is_its_404_unchanged() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let probe = parts.probe(ProbeOptions::default()).await?;
        let deck = Deck::start(parts, vec![target("probe", probe.url())]).await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        probe.server().restart().await?;
        let gone = client.call("echo", json!({ "text": "anyone there" })).await?;
        assert_eq!(gone.status, 404);
        assert_eq!(gone.message()?["error"]["message"], "Session not found");
        let tape = deck.finish().await?;
        assert!(tape.refusals().is_empty());
        assert!(
            tape.rows
                .iter()
                .any(|row| row.http_status == 404 && row.direction == "to_client")
        );
        Ok(())
    })
}

#[test]
fn without_session_ids_each_initialize_begins_a_session_that_its_calls_belong_to() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let probe = parts
            .probe(ProbeOptions {
                stateless: true,
                ..ProbeOptions::default()
            })
            .await?;
        let deck = Deck::start(parts, vec![target("probe", probe.url())]).await?;
        for sitting in ["first", "second"] {
            let mut client = deck.client("probe", "alice").await?;
            let opened = client.initialize().await?;
            assert_eq!(opened.header("mcp-session-id"), None);
            client.call("echo", json!({ "text": sitting })).await?;
            client.call("echo", json!({ "text": sitting })).await?;
        }

        let tape = deck.finish().await?;
        let initializes: BTreeSet<Uuid> = tape
            .rows
            .iter()
            .filter(|row| row.rpc_method == "initialize" && row.direction == "to_target")
            .map(|row| row.exchange_id)
            .collect();
        assert_eq!(initializes.len(), 2);
        assert_eq!(
            tape.sessions(),
            initializes,
            "a session's id is the exchange of its initialize"
        );
        let said = tape.sessions().into_iter().map(|session| {
            let rows = tape.session(session);
            assert!(rows.iter().all(|row| !row.session_shared));
            let texts: String = rows.iter().map(|row| row.text()).collect();
            (texts.contains("first"), texts.contains("second"))
        });
        assert_eq!(said.collect::<Vec<_>>(), [(true, false), (false, true)]);
        Ok(())
    })
}
