//! Loading, on a real broker and a real ClickHouse.

mod calls;
mod endpoints;
mod frames;
mod front;
mod hostile;
mod lease;
mod memory;
mod migrations;
mod native;
mod orders;
mod publishing;
mod recording;
mod registry;
mod retries;
mod row_bytes;
mod silence;
mod stack;
mod tables;

use std::collections::HashSet;

use frames::{Proxy, record};
use stack::Case;
use tapedeck_consumer::batch::{Batch, Loader};
use tapedeck_consumer::record::Record;
use tapedeck_consumer::rows::COLUMNS;
use tapedeck_consumer::sink::{Loaded, ServerClock};
use tapedeck_schemas::wire::{decode_audit, decode_dead_letter};
use uuid::Uuid;

/// Rows that came from the log, and how many places of it they came from.
const ROWS: &str = "SELECT count() FROM frames";
const OFFSETS: &str = "SELECT uniqExact(kafka_offset) FROM frames";

fn read(records: &[(Vec<u8>, Vec<u8>)], from: i64) -> Vec<Record> {
    let read = |(offset, (key, value)): (i64, &(Vec<u8>, Vec<u8>))| Record::read(offset, 0, Some(key), Some(value));
    (from..).zip(records).map(read).collect()
}

async fn loader(case: &Case, loaded: Loaded) -> Loader {
    let clock = ServerClock::ask(&case.sink).await.expect("ClickHouse has a clock");
    Loader::new(case.origin(), case.tools(), clock, loaded)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_loaded_whole_and_aggregated() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    let initialize = Uuid::now_v7();
    proxy.request(initialize, "initialize", r#"{"method":"initialize"}"#);
    proxy.answer(initialize, "initialize", r#"{"result":{}}"#);
    let calls: Vec<Uuid> = (0..5).map(|n| proxy.call(&format!("number {n}"))).collect();
    case.publish(&proxy.records()).await;
    let service = case.start();
    let count = proxy.sealed.len() as i64;
    case.wait_for(ROWS, count).await;
    case.wait_for_commit(count).await;
    service.stop().await;

    let sessions = case
        .texts("SELECT DISTINCT toString(session_id) FROM frames WHERE kind = 'message'")
        .await;
    assert_eq!(
        sessions,
        [initialize.to_string()],
        "all calls are in the session of the initialize"
    );
    let last = calls.last().expect("five");
    let payloads = format!("SELECT payload FROM frames WHERE exchange_id = '{last}' ORDER BY seq");
    assert_eq!(
        case.texts(&payloads).await,
        [
            r#"{"arguments":{"text":"number 4"}}"#,
            r#"{"result":{"text":"number 4"}}"#
        ]
    );
    assert_eq!(case.number("SELECT max(calls) FROM sessions").await, 6);
    assert_eq!(case.number("SELECT max(frames) FROM sessions").await, 12);
    assert_eq!(
        case.number("SELECT count() FROM frames WHERE verdict != 'intact'")
            .await,
        0
    );
    let hashes: Vec<String> = proxy
        .sealed
        .iter()
        .map(|sealed| sealed.frame().frame_hash.to_string())
        .collect();
    assert_eq!(
        case.texts("SELECT lower(hex(frame_hash)) FROM frames ORDER BY seq")
            .await,
        hashes
    );
    let audit = case.values(case.config.kafka.topics.audit()).await;
    let told: Vec<String> = audit
        .iter()
        .map(|value| decode_audit(value).expect("an event").metadata.event_code)
        .collect();
    let expected = [&["session_opened"][..], &["call"; 6]].concat();
    assert_eq!(told, expected, "one event for each answer, after that of the session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_any_window_loads_each_frame_once() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    proxy.calls(20);
    let records = proxy.records();
    let (count, half, most) = (records.len() as i64, records.len() as i64 / 2, records.len() as i64 - 7);
    case.publish(&records).await;

    // Inserted and published, not committed: a first owner that dies there, twice, with other boundaries.
    for end in [half, most] {
        let there = case.sink.loaded(&case.origin(), 0).await.expect("read back");
        let mut loader = loader(&case, there).await;
        let batch = Batch {
            start: 0,
            end,
            records: read(&records[..end as usize], 0),
            reserved: case.budget.nothing(),
        };
        assert_eq!(loader.load(batch).await.expect("loaded"), end);
        assert_eq!(case.number(ROWS).await, end);
    }
    assert_eq!(case.committed().await, Ok(None));
    // Committed in the middle of what is there.
    let service = case.start();
    case.wait_for(OFFSETS, count).await;
    case.wait_for_commit(count).await;
    service.stop().await;
    assert_eq!(case.number(ROWS).await, count);
    assert_eq!(
        case.number("SELECT uniqExact(session_id) FROM frames WHERE kind = 'message'")
            .await,
        1
    );
    assert_eq!(case.number("SELECT max(calls) FROM sessions_v").await, 20);
    let counters = "SELECT count() FROM (SELECT session_seq, row_number() OVER (ORDER BY kafka_offset) AS n FROM frames \
         WHERE kind = 'message') WHERE session_seq != n";
    assert_eq!(case.number(counters).await, 0, "counters go on over restarts");
    let audit = case.values(case.config.kafka.topics.audit()).await;
    let ids: HashSet<String> = audit
        .iter()
        .map(|value| decode_audit(value).expect("an event").metadata.uid)
        .collect();
    assert!(
        audit.len() > 21 && ids.len() == 21,
        "repeated events have their first ids"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_leave_no_row_and_forks_are_marked() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    proxy.call("first");
    let records = proxy.records();
    case.publish(&records).await;
    case.publish(&records).await;
    let service = case.start();
    case.wait_for_commit(2 * records.len() as i64).await;
    assert_eq!(case.number(ROWS).await, records.len() as i64);
    service.stop().await;

    // After a restart: the same again, and a frame with another's number.
    let mut fork = Proxy::new();
    fork.call("first");
    let forged = {
        let original = proxy.sealed[1].frame();
        let mut chain = tapedeck_schemas::Chain::open(original.writer_id, original.segment_id);
        chain.seal(original.clone(), 1, None);
        record(&chain.seal(original.clone(), 2, None))
    };
    case.publish(&records).await;
    case.publish(&[forged]).await;
    let service = case.start();
    case.wait_for_commit(3 * records.len() as i64 + 1).await;
    service.stop().await;
    assert_eq!(case.number(ROWS).await, records.len() as i64 + 1);
    assert_eq!(
        case.number("SELECT count() FROM frames WHERE verdict = 'fork'").await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undecodable_record_is_a_dead_letter_and_leaves_its_place() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    proxy.call("before");
    let mut records = proxy.records();
    let key = records[0].0.clone();
    records.push((key, b"sk-secret and no frame".to_vec()));
    case.publish(&records).await;
    let service = case.start();
    case.wait_for_commit(records.len() as i64).await;
    service.stop().await;
    let stub = "SELECT concat(redaction_reason, ' ', toString(payload_size), ' ', payload) FROM frames \
         WHERE kind = 'undecodable' AND session_id IN (SELECT session_id FROM frames WHERE kind = 'message')";
    assert_eq!(case.texts(stub).await, ["no_header 22 "], "the session shows the gap");
    let letters = case.values(case.config.kafka.topics.deadletter()).await;
    let letter = decode_dead_letter(&letters[0]).expect("a dead letter");
    assert_eq!((letters.len(), letter.offset, letter.size), (1, 3, 22));
    assert_eq!(
        (letter.topic.as_str(), letter.reason.as_str()),
        (case.topic.as_str(), "no_header")
    );
    assert!(
        !letters[0].windows(9).any(|bytes| bytes == b"sk-secret"),
        "nothing of the record is in it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_parts_waits_for_its_last_and_keeps_every_byte() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    let exchange = Uuid::now_v7();
    proxy.request(exchange, "tools/call", "{}");
    let body = format!(r#"{{"result":"{}"}}"#, "lorem ipsum ".repeat(100_000));
    let parts: Vec<&[u8]> = body.as_bytes().chunks(500_000).collect();
    proxy.answer_part(exchange, "tools/call", parts[0], 0, false);
    proxy.call("in between");
    proxy.answer_part(exchange, "tools/call", parts[1], 1, false);
    let early = proxy.records();
    case.publish(&early).await;
    let service = case.start();
    case.wait_for(ROWS, early.len() as i64 - 2).await;
    case.wait_for_commit(2).await;
    service.stop().await;

    proxy.answer_part(exchange, "tools/call", parts[2], 2, true);
    let all = proxy.records();
    case.publish(&all[early.len()..]).await;
    let service = case.start();
    case.wait_for_commit(all.len() as i64).await;
    service.stop().await;
    assert_eq!(case.number(ROWS).await, all.len() as i64);
    let joined = format!(
        "SELECT arrayStringConcat(groupArray(payload)) FROM (SELECT payload FROM frames \
         WHERE exchange_id = '{exchange}' AND direction = 'to_client' ORDER BY part_index)"
    );
    assert!(case.texts(&joined).await == [body], "every byte is there");
    assert_eq!(case.number("SELECT count() FROM frames WHERE truncated").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_masked_and_its_salt_is_gone() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    let exchange = proxy.call("write to alice.cooper@example.com please");
    case.publish(&proxy.records()).await;
    let service = case.start();
    case.wait_for_commit(proxy.sealed.len() as i64).await;
    service.stop().await;
    assert_eq!(
        case.number("SELECT count() FROM frames WHERE payload LIKE '%alice.cooper%'")
            .await,
        0
    );
    let masked = format!(
        "SELECT concat(redaction, ' ', lower(hex(payload_salt))) FROM frames WHERE exchange_id = '{exchange}' ORDER BY seq"
    );
    let expected = format!("masked {}", "0".repeat(64));
    assert_eq!(case.texts(&masked).await, [expected.clone(), expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_topic_stops_the_consumer_with_a_clear_word() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    proxy.calls(5);
    let count = proxy.sealed.len() as i64;
    case.publish(&proxy.records()).await;
    let service = case.start();
    case.wait_for_commit(count).await;
    service.stop().await;

    case.recreate_topic().await;
    let mut other = Proxy::new();
    other.call("another log");
    case.publish(&other.records()).await;
    let word = case.start().word().await;
    assert!(
        word.contains("was recreated or truncated") && word.contains("ends at offset 3"),
        "{word}"
    );

    other.calls(9);
    case.publish(&other.records()[3..]).await;
    let word = case.start().word().await;
    assert!(
        word.contains("was recreated") && word.contains("is not the one that was loaded"),
        "{word}"
    );
    assert_eq!(case.number(ROWS).await, count, "nothing was loaded from the other log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_recreated_under_the_running_consumer_stops_it() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    proxy.calls(5);
    case.publish(&proxy.records()).await;
    let service = case.start();
    case.wait_for_commit(proxy.sealed.len() as i64).await;
    case.recreate_topic().await;
    let word = service.word().await;
    assert!(word.contains("was recreated"), "{word}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loader_writes_the_columns_that_the_table_has() {
    let case = Case::new().await;
    let sql = "SELECT name, type, comment, default_kind FROM system.columns WHERE database = ? AND table = 'frames' ORDER BY position";
    let query = case.sink.client().query(sql).bind(case.sink.database());
    let columns: Vec<(String, String, String, String)> = query.fetch_all().await.expect("columns");
    let written: Vec<(&str, &str)> = columns
        .iter()
        .map(|(name, kind, ..)| (name.as_str(), kind.as_str()))
        .collect();
    assert_eq!(written[..COLUMNS.len()], *COLUMNS);
    for (name, _, comment, default) in &columns {
        assert!(!comment.is_empty(), "{name} has a comment");
        // What has its type's default in all rows of a block is not sent.
        assert!(
            default.is_empty() || name == "retention",
            "{name} has a default of its own"
        );
    }
}
