//! A client cannot tell the proxy from its target, and all that passed is on record.

use anyhow::Result;
use serde_json::{Value, json};
use tapedeck_dev::mcp::{Call, Caller, Transcript, Visit};
use tapedeck_tests::oracle::table::values;
use tapedeck_tests::{Deck, parts, run, target};

/// A bit of everything that the probe has, none of it secret.
fn calls() -> Vec<Call> {
    vec![
        Call::list("tools"),
        Call::tool(
            "echo",
            json!({ "text": "exactly \u{1f4fc} \"this\"\n\u{0}\\ and \u{e9}" }),
        ),
        Call::streaming("progress", json!({ "steps": 12 })),
        Call::tool("fail", json!({ "text": "out of tape" })),
        Call::tool(
            "refuse",
            json!({ "code": -32050, "message": "not today", "data": { "why": [1, null] } }),
        ),
        Call::tool("no-such-tool", json!({})),
        Call::Resource {
            resource: "probe://text".to_owned(),
        },
        Call::Prompt {
            prompt: "greeting".to_owned(),
            arguments: serde_json::Map::new(),
        },
        Call::tool("echo", json!({ "text": "" })),
    ]
}

async fn visit(url: &str, caller: Caller, calls: Option<Vec<Call>>) -> Result<Transcript> {
    let visit = Visit {
        url: url.to_owned(),
        caller,
        calls,
        bodies: true,
    };
    let transcript = visit.run(&parts().await?.node).await?;
    assert!(transcript.completed(), "{:?}", transcript.lines);
    Ok(transcript)
}

fn parsed(messages: &[Vec<u8>]) -> Vec<Value> {
    messages
        .iter()
        .map(|message| serde_json::from_slice(message).expect("what was sent was JSON"))
        .collect()
}

#[test]
fn the_reference_server_says_the_same_through_the_proxy_as_directly() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let deck = Deck::start(parts, vec![target("everything", parts.everything.url())]).await?;
        let direct = visit(parts.everything.url(), Caller::Anonymous, None).await?;
        let caller = Caller::Bearer(parts.token("alice").await?);
        let through = visit(&deck.proxy.endpoint("everything"), caller, None).await?;

        assert_eq!(through.conversation(), direct.conversation());
        assert_eq!(through.answers(), direct.answers());
        let progress = |line: &&&Value| line["method"] == "notifications/progress";
        assert_eq!(through.received().iter().filter(progress).count(), 4);

        let tape = deck.finish().await?;
        let [session] = tape.sessions().into_iter().collect::<Vec<_>>()[..] else {
            panic!("one client, one session: {:?}", tape.sessions());
        };
        assert_eq!(tape.messages(session, "to_target").len(), through.sent().len());
        assert_eq!(tape.messages(session, "to_client").len(), through.received().len());
        Ok(())
    })
}

#[test]
fn every_byte_of_a_conversation_without_secrets_is_in_clickhouse_in_order() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let deck = Deck::start(parts, vec![target("probe", parts.probe.url())]).await?;
        let direct = visit(parts.probe.url(), Caller::Anonymous, Some(calls())).await?;
        let caller = Caller::Bearer(parts.token("alice").await?);
        let through = visit(&deck.proxy.endpoint("probe"), caller, Some(calls())).await?;

        assert_eq!(through.conversation(), direct.conversation());
        assert_eq!(through.answers(), direct.answers());
        assert_eq!(through.bodies(), direct.bodies());

        let database = deck.database.clone();
        let tape = deck.finish().await?;
        let [session] = tape.sessions().into_iter().collect::<Vec<_>>()[..] else {
            panic!("one client, one session: {:?}", tape.sessions());
        };
        for row in tape.session(session) {
            assert!(["none", "unchanged"].contains(&row.redaction.as_str()), "{row:?}");
        }
        let sent: Vec<Value> = through.sent().into_iter().cloned().collect();
        assert_eq!(parsed(&tape.messages(session, "to_target")), sent);
        let received: Vec<Value> = through.received().into_iter().cloned().collect();
        assert_eq!(parsed(&tape.messages(session, "to_client")), received);

        let rows = tape.session(session);
        let bytes: i64 = rows.iter().map(|row| row.payload_size).sum();
        let requests = sent.iter().filter(|message| !message["id"].is_null()).count();
        let sessions = values(&database, "SELECT * EXCEPT (session_start, last_time) FROM sessions_v").await?;
        assert_eq!(sessions.len(), 1);
        let [only] = &sessions[..] else {
            panic!("one session: {sessions:?}")
        };
        assert_eq!(only["session_id"], session.to_string());
        assert_eq!((&only["target"], &only["subject"]), (&json!("probe"), &json!("alice")));
        assert_eq!(only["frames"], rows.len());
        assert_eq!(only["calls"], requests);
        // The tool that failed, the JSON-RPC error, and the tool that there is not.
        assert_eq!(only["errors"], 3);
        assert_eq!(only["bytes"], bytes);
        assert_eq!(only["shared"], 0);
        let mut names: Vec<String> = serde_json::from_value(only["names"].clone())?;
        names.sort();
        assert_eq!(
            names,
            [
                "echo",
                "fail",
                "greeting",
                "no-such-tool",
                "probe://text",
                "progress",
                "refuse"
            ]
        );
        Ok(())
    })
}
