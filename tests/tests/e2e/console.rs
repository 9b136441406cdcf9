//! What is on record can be found and replayed from the command line.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tapedeck_tests::{Deck, parts, run, target};

fn lines(printed: &str) -> Result<Vec<Value>> {
    printed
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

#[test]
fn the_console_finds_a_session_and_replays_every_frame_of_it() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let deck = Deck::start(parts, vec![target("probe", parts.probe.url())]).await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        client.call("echo", json!({ "text": "rewind and play" })).await?;
        client.call("fail", json!({ "text": "the tape is torn" })).await?;
        client.delete().await?;
        deck.settled().await?;

        let listed = lines(&deck.console(&["sessions", "--json"]).await?)?;
        let [session] = &listed[..] else {
            panic!("one session: {listed:?}")
        };
        assert_eq!(
            (&session["subject"], &session["target"]),
            (&json!("alice"), &json!("probe"))
        );
        assert_eq!((&session["calls"], &session["errors"]), (&json!(3), &json!(1)));
        let id = session["session_id"].as_str().context("an id")?;

        let filters: [&[&str]; 6] = [
            &["--user", "alice"],
            &["--target", "probe"],
            &["--tool", "echo"],
            &["--since", "1h"],
            &["--user", "nobody"],
            &["--until", "1h"],
        ];
        let mut found = Vec::new();
        for filter in filters {
            let listed = deck.console(&[&["sessions", "--json"], filter].concat()).await?;
            found.push(lines(&listed)?.len());
        }
        assert_eq!(found, [1, 1, 1, 1, 0, 0]);

        let frames = lines(&deck.console(&["replay", id, "--json"]).await?)?;
        assert_eq!(frames.len(), session["frames"].as_u64().context("a number")? as usize);
        let payloads: Vec<&str> = frames.iter().filter_map(|frame| frame["payload"].as_str()).collect();
        assert!(
            payloads.iter().any(|payload| payload.contains("rewind and play")),
            "{payloads:?}"
        );
        assert!(frames.iter().all(|frame| frame["verdict"] == "intact"));

        let shown = deck.console(&["replay", id]).await?;
        for expected in ["tools/call echo", "rewind and play", "isError", "each fits its hash"] {
            assert!(shown.contains(expected), "{expected} is not in:\n{shown}");
        }
        let table = deck.console(&["sessions"]).await?;
        assert!(table.contains(id) && table.contains("probe"), "{table}");
        deck.finish().await?;
        Ok(())
    })
}
