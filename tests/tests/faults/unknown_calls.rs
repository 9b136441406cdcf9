//! What becomes of the calls that a killed proxy leaves open.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::json;
use tapedeck_dev::services::Database;
use tapedeck_schemas::wire::decode_audit;
use tapedeck_tests::Tape;
use tapedeck_tests::oracle::{calls, table};
use tapedeck_tests::until;
use uuid::Uuid;

use tapedeck_tests::faults::judge::judge;
use tapedeck_tests::faults::stage::{Front, Scene, on_stage};

/// The shortest that the consumer takes.
const SILENCE: &str = "[writers]\nsilence = \"12s\"\n";

#[test]
fn calls_that_a_killed_proxy_left_open_are_unknown_once_though_the_consumer_is_killed_too() -> anyhow::Result<()> {
    on_stage(async |stage| {
        let broker = stage.broker().await?;
        let scene = Scene::with(stage, "unknown_calls", broker, stage.clickhouse().await?, SILENCE).await?;
        let front = Front::start(stage, &scene, 1).await?;
        let consumer = scene.loader.start(None)?;
        let mut client = front.client(0)?;
        let held = tokio::spawn(async move { client.call("hold", json!({})).await });
        until(async || {
            let accounts = front.probe.accounts().await?;
            let holds = accounts.calls.iter().filter_map(|call| call.rpc.as_ref());
            let is_there = holds.filter(|rpc| rpc["name"] == "hold").count() == 1;
            Ok(is_there
                .then_some(())
                .ok_or_else(|| "the call has not reached the target".to_owned()))
        })
        .await?;
        let load = front.load(4, Duration::from_millis(25))?;
        load.more_answers(100).await?;

        front.proxy.service().kill();
        drop(consumer);
        ensure!(held.await?.is_err(), "the call that was held was answered");
        let calls = load.finish().await;
        let consumer = scene.loader.start(None)?;
        scene.settled().await?;
        let tape = judge(&scene, &calls, &front.probe.echoes().await?).await?;
        let open = left_open(&tape);
        ensure!(!open.is_empty(), "no call was open when the proxy was killed");
        let expected: BTreeSet<Uuid> = open.keys().copied().collect();
        until(async || {
            let unknown = unknown(&scene.database).await?;
            Ok(match unknown == expected {
                true => Ok(()),
                false => Err(format!("{} of {} calls are unknown", unknown.len(), expected.len())),
            })
        })
        .await?;
        // The writer is settled after its calls: nothing more is published about them.
        until(async || {
            let unsettled = "SELECT writer_id FROM writers_v WHERE last_time > settled_time";
            let left = table::values(&scene.database, unsettled).await?.len();
            Ok(match left {
                0 => Ok(()),
                left => Err(format!("the writer is not settled in {left} partitions")),
            })
        })
        .await?;
        ensure!(consumer.stop().await?.success(), "the consumer did not end well");

        let tape = Tape::read(&scene.kafka, &scene.database).await?;
        tape.verify()?;
        calls::verify(&scene.database, &tape.rows).await?;
        let noted = table::values(&scene.database, "SELECT exchange_id FROM unknown_calls").await?;
        ensure!(
            noted.len() == open.len(),
            "{} rows for {} calls",
            noted.len(),
            open.len()
        );
        let published = published(&tape)?;
        let once: BTreeMap<String, usize> = open.into_values().map(|id| (id, 1)).collect();
        ensure!(published == once, "published were {published:?}, not {once:?}");
        Ok(())
    })
}

/// Exchanges with a request to the target and neither answer nor end, with the ids of the events that say so.
fn left_open(tape: &Tape) -> BTreeMap<Uuid, String> {
    let mut open: BTreeMap<Uuid, String> = BTreeMap::new();
    for row in tape
        .rows
        .iter()
        .filter(|row| row.rpc_kind == "request" && row.kind == "message")
    {
        open.insert(row.exchange_id, format!("{}.{}.unknown", row.segment_id, row.seq));
    }
    for row in tape
        .rows
        .iter()
        .filter(|row| row.direction == "to_client" || !row.ended.is_empty())
    {
        open.remove(&row.exchange_id);
    }
    open
}

async fn unknown(database: &Database) -> anyhow::Result<BTreeSet<Uuid>> {
    #[derive(Deserialize)]
    struct Call {
        exchange_id: Uuid,
    }
    let statement = "SELECT exchange_id FROM calls_v WHERE outcome = 'unknown'";
    let calls: Vec<Call> = table::query(database, statement).await?;
    Ok(calls.into_iter().map(|call| call.exchange_id).collect())
}

/// How often each event of an unknown end is on the topic.
fn published(tape: &Tape) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut published = BTreeMap::new();
    for record in &tape.audit_records {
        let event = decode_audit(&record.value).context("the audit topic")?;
        if event.status_code.as_deref() == Some("unknown") {
            *published.entry(event.metadata.uid).or_default() += 1;
        }
    }
    Ok(published)
}
