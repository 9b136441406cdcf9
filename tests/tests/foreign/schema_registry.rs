//! Records that name their schemas by the ids of a schema registry, on both sides.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tapedeck_config::SchemaRegistry;
use tapedeck_dev::registry::Registry;
use tapedeck_schemas::schema;
use tapedeck_schemas::wire::{SchemaIds, decode_frame_by, registry_id};
use tapedeck_tests::oracle::topic;
use tapedeck_tests::{Deck, DeckOptions, Parts, parts, run, target, until};
use url::Url;

use crate::authority::{Authority, file};
use crate::tls_ends::Terminator;

/// What the registry has under an id.
async fn text(registry: &Registry, id: u32) -> Result<String> {
    let url = format!("{}/schemas/ids/{id}", registry.url());
    let answer: Value = serde_json::from_slice(&reqwest::get(&url).await?.bytes().await?)?;
    Ok(answer["schema"].as_str().context("no schema")?.to_owned())
}

/// Records a call under that configuration of a registry, and holds all that is written against what the registry has.
async fn records_by_number(parts: &'static Parts, registry: &Registry, configured: Value) -> Result<()> {
    let named = json!({ "schema_registry": configured });
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
        known.insert(id, &text(registry, id).await?)?;
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
        let written: Value = serde_json::from_str(&text(registry, id).await?)?;
        let today: Value = serde_json::from_str(schema::AUDIT)?;
        ensure!(written["name"] == today["name"], "the id is of {}", written["name"]);
        Ok(Ok(()))
    })
    .await
}

#[test]
fn a_session_is_recorded_loaded_and_told_of_under_a_registrys_ids() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let registry = Registry::start(parts.site()).await?;
        records_by_number(parts, &registry, json!({ "url": registry.url() })).await
    })
}

#[test]
fn a_registry_behind_tls_is_trusted_by_its_own_authority_and_shown_the_login_each_time() -> Result<()> {
    const PASSWORD: &str = "registry-password-0123456789";
    run(async {
        let parts = parts().await?;
        let registry = Registry::start(parts.site()).await?;
        let authority = Authority::new("registries")?;
        let behind = Url::parse(registry.url())?;
        let port = behind.port().context("a port")?;
        let front = Terminator::start(authority.issue("registry")?.server()?, port).await?;
        let folder = tempfile::tempdir()?;
        let configured = json!({
            "url": format!("{}{}", front.url(), behind.path()),
            "user": "recorder",
            "password_file": file(folder.path(), "password", PASSWORD)?,
            "ca": file(folder.path(), "ca.pem", authority.certificate())?,
        });
        records_by_number(parts, &registry, configured).await?;
        let seen = front.seen().to_ascii_lowercase();
        let login = format!(
            "authorization: basic {}",
            BASE64_STANDARD.encode(format!("recorder:{PASSWORD}"))
        );
        let (asked, shown) = (
            seen.matches(" http/1.1\r\n").count(),
            seen.matches(&login.to_ascii_lowercase()).count(),
        );
        ensure!(
            asked > 2 && asked == shown,
            "{shown} of {asked} requests show the login"
        );

        // Who has another authority speaks to nobody, and shows nothing.
        let other = Authority::new("others")?;
        let distrusting = SchemaRegistry {
            url: Url::parse(&format!("{}{}", front.url(), behind.path()))?,
            login: Some(("recorder".to_owned(), PASSWORD.to_owned().into())),
            ca: Some(file(folder.path(), "other.pem", other.certificate())?),
        };
        let refused = tapedeck_registry::Registry::new(&distrusting)?.schema(1).await;
        ensure!(refused.is_err(), "a stranger was trusted");
        ensure!(
            front.seen().to_ascii_lowercase() == seen,
            "a stranger was told something"
        );
        Ok(())
    })
}
