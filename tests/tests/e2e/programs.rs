//! A server that is a program, and one of the revision 2024-11-05: clients do not notice.

use anyhow::Result;
use serde_json::{Value, json};
use tapedeck_dev::mcp::{Caller, Transcript, Visit};
use tapedeck_tests::{Deck, DeckOptions, parts, run};

/// The reference server by its standard input and output.
fn program(server: &str, per: &str) -> Value {
    json!({
        "name": format!("everything-{per}"),
        "command": "node",
        "args": [server, "stdio"],
        "per": per,
        "allow_groups": ["engineers"],
        "allow_single_copy": true,
    })
}

/// What the server answered, in order.
fn results(transcript: &Transcript) -> Vec<&Value> {
    let received = transcript.received().into_iter();
    received
        .filter(|message| message["result"].is_object() || message["error"].is_object())
        .collect()
}

#[test]
fn the_reference_server_as_a_program_answers_as_it_does_over_http() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let server = parts
            .node
            .package("@modelcontextprotocol/server-everything")
            .join("dist/index.js");
        let server = server.display().to_string();
        let mut options = DeckOptions::of(Vec::new());
        let targets = ["session", "user"].map(|per| program(&server, per));
        options.proxy = json!({ "target": targets });
        let deck = Deck::with(parts, options).await?;
        let direct = Visit::scenario(parts.everything.url(), Caller::Anonymous)
            .run(&parts.node)
            .await?;
        for per in ["session", "user"] {
            let caller = Caller::Bearer(parts.token("alice").await?);
            let url = deck.proxy.endpoint(&format!("everything-{per}"));
            let through = Visit::scenario(&url, caller).run(&parts.node).await?;
            assert!(through.completed(), "{per}: {:?}", through.lines);
            assert_eq!(results(&through), results(&direct), "{per}");
        }
        let tape = deck.finish().await?;
        let words = tape
            .rows
            .iter()
            .filter(|row| row.kind == "message" && row.direction == "none");
        assert!(
            words.count() > 0,
            "what the programs wrote to their standard error is on record"
        );
        Ok(())
    })
}
