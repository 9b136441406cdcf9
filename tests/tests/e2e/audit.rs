//! What a SIEM subscribes to: one event for each call, with its outcome, and the same events again after a replay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tapedeck_dev::services::{Consumer, ConsumerOptions, Database};
use tapedeck_schemas::AuditEvent;
use tapedeck_tests::{Client, Deck, Tape, loaded, parts, run, target, until};

/// Status, its code, and whether it was blocked, by operation; the operation's events are in the order of time.
fn outcomes(tape: &Tape) -> BTreeMap<&str, Vec<(i32, &str, i32)>> {
    let mut events: Vec<&AuditEvent> = tape.audit.iter().collect();
    events.sort_by_key(|event| event.time);
    let mut outcomes: BTreeMap<&str, Vec<(i32, &str, i32)>> = BTreeMap::new();
    for event in events {
        let code = event.status_code.as_deref().unwrap_or_default();
        outcomes
            .entry(&event.api.operation)
            .or_default()
            .push((event.status_id, code, event.disposition_id));
    }
    outcomes
}

#[test]
fn the_audit_topic_has_one_event_for_each_call_with_its_outcome() -> Result<()> {
    const SUCCESS: i32 = 1;
    const FAILURE: i32 = 2;
    const ALLOWED: i32 = 1;
    const BLOCKED: i32 = 2;
    run(async {
        let parts = parts().await?;
        let deck = Deck::start(parts, vec![target("probe", parts.probe.url())]).await?;
        Client::anonymous(&deck.proxy.endpoint("probe"))
            .post(&Client::initialization(1))
            .await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        client.call("echo", json!({ "text": "one" })).await?;
        client.call("echo", json!({ "text": "two" })).await?;
        client.call("fail", json!({})).await?;
        client.call("refuse", json!({ "code": -32050 })).await?;
        let mut mallory = deck.client("probe", "mallory").await?;
        mallory.call("big", json!({})).await?;
        client.delete().await?;

        let tape = deck.finish().await?;
        let expected = BTreeMap::from([
            ("POST", vec![(FAILURE, "missing", BLOCKED)]),
            ("initialize", vec![(SUCCESS, "200", ALLOWED)]),
            ("notifications/initialized", vec![(SUCCESS, "202", ALLOWED)]),
            ("tools/call echo", vec![(SUCCESS, "200", ALLOWED); 2]),
            ("tools/call fail", vec![(FAILURE, "isError", ALLOWED)]),
            ("tools/call refuse", vec![(FAILURE, "-32050", ALLOWED)]),
            ("tools/call big", vec![(FAILURE, "forbidden", BLOCKED)]),
            ("DELETE", vec![(SUCCESS, "200", ALLOWED)]),
            ("session opened", vec![(SUCCESS, "", ALLOWED)]),
            ("session closed", vec![(SUCCESS, "", ALLOWED)]),
        ]);
        assert_eq!(outcomes(&tape), expected);
        assert_eq!(tape.audit.len(), tape.audit_records.len(), "no event is there twice");

        let rows: BTreeSet<String> = tape
            .rows
            .iter()
            .map(|row| format!("{}.{}", row.segment_id, row.seq))
            .collect();
        for event in &tape.audit {
            let of = event
                .metadata
                .uid
                .trim_end_matches(".opened")
                .trim_end_matches(".closed");
            assert!(rows.contains(of), "{} names no frame", event.metadata.uid);
            assert_eq!((event.class_uid, event.metadata.version.as_str()), (6003, "1.8.0"));
            assert_eq!(event.dst_endpoint.name, "probe");
        }
        let by_alice = tape
            .audit
            .iter()
            .filter(|event| event.actor.user.as_ref().is_some_and(|user| user.uid == "alice"));
        assert_eq!(by_alice.count(), 9);
        Ok(())
    })
}

#[test]
fn loading_a_topic_again_gives_the_same_rows_sessions_and_events() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let deck = Deck::start(parts, vec![target("probe", parts.probe.url())]).await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        client
            .call("echo", json!({ "text": "canary@mail.example.org" }))
            .await?;
        client.call("fail", json!({})).await?;
        client.delete().await?;
        let (kafka, database) = (deck.kafka.clone(), deck.database.clone());
        let first = deck.finish().await?;

        let again = Database {
            name: format!("{}_again", database.name),
            ..database
        };
        let group = format!("{}-again", kafka.topic_prefix);
        let options = ConsumerOptions {
            admin_port: None,
            kafka: kafka.clone(),
            group: group.clone(),
            database: again.clone(),
            partitions: 3,
            every: Duration::from_millis(100),
            more: json!({}),
            environment: Vec::new(),
        };
        let consumer = Consumer::start(&options, parts.site()).await?;
        loaded(&kafka, &again).await?;
        let frames = kafka.frames();
        until(async || tapedeck_tests::oracle::topic::lag(&kafka.brokers, &frames, &group).await).await?;
        consumer.service().stop().await;
        let second = Tape::read(&kafka, &again).await?;
        second.verify()?;

        let places = |tape: &Tape| -> Vec<_> {
            tape.rows
                .iter()
                .map(|row| {
                    (
                        row.segment_id,
                        row.seq,
                        row.session_id,
                        row.session_seq,
                        row.session_calls,
                        row.text(),
                    )
                })
                .collect()
        };
        assert_eq!(places(&second), places(&first));
        assert_eq!(second.audit, first.audit);
        assert_eq!(second.audit_records.len(), 2 * first.audit_records.len());
        Ok(())
    })
}
