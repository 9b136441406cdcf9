//! No answer is too large, and no stream too long.

use anyhow::Result;
use serde_json::{Value, json};
use tapedeck_dev::mcp::ProbeOptions;
use tapedeck_schemas::MAX_PART;
use tapedeck_tests::{Client, Deck, parts, run, target};

/// Bytes of the largest answer: more than ten parts.
const LARGE: usize = 6 * 1024 * 1024;

#[test]
fn an_answer_of_megabytes_passes_unchanged_and_is_on_record_whole() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let json_probe = parts
            .probe(ProbeOptions {
                json: true,
                ..ProbeOptions::default()
            })
            .await?;
        let targets = vec![target("events", parts.probe.url()), target("json", json_probe.url())];
        let deck = Deck::start(parts, targets).await?;
        let asked = [
            ("big", json!({ "bytes": LARGE })),
            ("image", json!({ "bytes": 3_000_000 })),
        ];
        let mut expected = Vec::new();
        for (name, url) in [("events", parts.probe.url()), ("json", json_probe.url())] {
            let mut direct = Client::anonymous(url);
            let mut through = deck.client(name, "alice").await?;
            direct.initialize().await?;
            through.initialize().await?;
            for (tool, arguments) in &asked {
                let (there, here) = (
                    direct.call(tool, arguments.clone()).await?,
                    through.call(tool, arguments.clone()).await?,
                );
                assert_eq!(
                    (here.status, here.header("content-type")),
                    (there.status, there.header("content-type"))
                );
                assert!(here.body == there.body, "{name}: the answer of {tool} is another one");
                expected.push(here.message()?);
            }
        }

        let tape = deck.finish().await?;
        assert!(tape.recorded.iter().all(|entry| {
            entry
                .frame
                .payload
                .as_ref()
                .is_none_or(|payload| payload.0.len() <= MAX_PART)
        }));
        let mut on_record = Vec::new();
        for session in tape.sessions() {
            for message in tape.messages(session, "to_client") {
                let message: Value = serde_json::from_slice(&message)?;
                if message["result"]["content"].is_array() {
                    on_record.push(message);
                }
            }
        }
        assert_eq!(on_record.len(), expected.len());
        for answer in expected {
            assert!(on_record.contains(&answer), "an answer is not on record as it was");
        }
        let split = tape.rows.iter().filter(|row| row.part_index > 0).count();
        assert!(split >= 2 * (LARGE / MAX_PART), "{split} parts");
        Ok(())
    })
}

#[test]
fn a_stream_of_many_events_stays_in_order_on_the_way_and_on_record() -> Result<()> {
    const STEPS: usize = 400;
    run(async {
        let parts = parts().await?;
        let deck = Deck::start(parts, vec![target("probe", parts.probe.url())]).await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        let message = json!({
            "jsonrpc": "2.0", "id": "stream", "method": "tools/call",
            "params": { "name": "progress", "arguments": { "steps": STEPS }, "_meta": { "progressToken": "p" } },
        });
        let answer = client.post(&message).await?;
        let steps = |messages: &[Value]| -> Vec<u64> {
            messages
                .iter()
                .filter_map(|message| message["params"]["progress"].as_u64())
                .collect()
        };
        let all: Vec<u64> = (1..=STEPS as u64).collect();
        assert_eq!(steps(&answer.messages()?), all);
        assert_eq!(answer.message()?["id"], "stream");

        let tape = deck.finish().await?;
        let [session] = tape.sessions().into_iter().collect::<Vec<_>>()[..] else {
            panic!("one client, one session: {:?}", tape.sessions());
        };
        let recorded: Vec<Value> = tape
            .messages(session, "to_client")
            .iter()
            .map(|message| serde_json::from_slice(message))
            .collect::<Result<_, _>>()?;
        assert_eq!(steps(&recorded), all);
        let named = tape
            .rows
            .iter()
            .filter(|row| row.rpc_method == "notifications/progress")
            .count();
        assert_eq!(named, STEPS);
        Ok(())
    })
}
