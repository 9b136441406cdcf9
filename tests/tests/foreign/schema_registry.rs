//! Records that name their schemas by the ids of a schema registry, on both sides.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tapedeck_dev::registry::Registry;
use tapedeck_schemas::schema;
use tapedeck_schemas::wire::{SchemaIds, decode_frame_by, registry_id};
use tapedeck_tests::oracle::topic;
use tapedeck_tests::{Deck, DeckOptions, parts, run, target, until};

/// What the registry has under an id.
async fn text(registry: &Registry, id: u32) -> Result<String> {
    let url = format!("{}/schemas/ids/{id}", registry.url());
    let answer: Value = serde_json::from_slice(&reqwest::get(&url).await?.bytes().await?)?;
    Ok(answer["schema"].as_str().context("no schema")?.to_owned())
}

#[test]
fn a_session_is_recorded_loaded_and_told_of_under_a_registrys_ids() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let registry = Registry::start(parts.site()).await?;
        let named = json!({ "schema_registry": { "url": registry.url() } });
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy: named.clone(),
                consumer: named,
                ..DeckOptions::of(vec![target("probe", parts.probe.url())])
            },
        )
        .await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        let answer = client.call("echo", json!({ "text": "by number" })).await?;
        assert_eq!(answer.tool_text()?, "by number");

        let (brokers, prefix) = (deck.kafka.brokers.clone(), deck.kafka.topic_prefix.clone());
        let frames = topic::read(&brokers, &format!("{prefix}.frames.v1")).await?;
        ensure!(!frames.is_empty(), "nothing is recorded");
        let ids: Option<BTreeSet<u32>> = frames.iter().map(|record| registry_id(&record.value)).collect();
        let ids = ids.context("a frame without an id")?;
        ensure!(ids.len() == 1, "one schema has the ids {ids:?}");
        let mut known = SchemaIds::default();
        for id in ids {
            known.insert(id, &text(&registry, id).await?)?;
        }
        for record in &frames {
            decode_frame_by(&record.value, &known)?.verify_hash()?;
        }
        // All of it is loaded, and what SIEMs get has an id of its own.
        let count = frames.len();
        until(async || {
            let events = topic::read(&brokers, &format!("{prefix}.audit.v1")).await?;
            let Some(event) = events.first() else {
                return Ok(Err(format!("no event of {count} frames")));
            };
            let id = registry_id(&event.value).context("an event without an id")?;
            let written: Value = serde_json::from_str(&text(&registry, id).await?)?;
            let today: Value = serde_json::from_str(schema::AUDIT)?;
            ensure!(written["name"] == today["name"], "the id is of {}", written["name"]);
            Ok(Ok(()))
        })
        .await
    })
}
