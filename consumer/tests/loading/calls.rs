//! `calls`: every call once, with its answer wherever that came, however often batches are cut and repeated.

use std::time::Duration;

use tapedeck_consumer::batch::Batch;
use tapedeck_consumer::sink::Loaded;
use uuid::Uuid;

use crate::frames::Proxy;
use crate::recording::{self, OUTCOMES};
use crate::stack::Case;
use crate::{loader, read};

/// All that users may see of calls, as one text a row; times as numbers, so that nothing is rounded.
const CALLS: &str = "SELECT toString(tuple(*)) FROM (SELECT * REPLACE(toUnixTimestamp64Micro(started) AS started, \
    toUnixTimestamp64Micro(finished) AS finished) FROM VIEW) ORDER BY 1";

/// What the materialized view over `frames` gives, and what is known of silent writers, folded by the text of `calls_v`.
async fn recomputed(case: &Case) -> Vec<String> {
    let client = case.sink.client();
    let drop = "DROP TABLE IF EXISTS calls_again";
    client.query(drop).execute().await.expect("no table");
    let create = "CREATE TABLE calls_again AS calls ENGINE = AggregatingMergeTree ORDER BY (called, exchange_id, direction, \
         rpc_id, session_id, session_start, tenant, retention)";
    client.query(create).execute().await.expect("a table");
    let text = async |sql: &str| case.texts(sql).await.remove(0);
    let view =
        text("SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = 'calls_from_frames'")
            .await;
    let columns = text(
        "SELECT arrayStringConcat(groupArray(name), ', ') FROM (SELECT name FROM system.columns \
         WHERE database = currentDatabase() AND table = 'calls_from_frames' ORDER BY position)",
    )
    .await;
    let fill = format!("INSERT INTO calls_again ({columns}) {view}");
    client.query_raw(&fill).execute().await.expect("filled");
    let unknown = "INSERT INTO calls_again (retention, tenant, session_start, session_id, called, exchange_id, direction, \
         rpc_id, unknown) SELECT retention, tenant, session_start, session_id, UUIDv7ToDateTime(exchange_id, 'UTC'), \
         exchange_id, direction, rpc_id, 1 FROM unknown_calls";
    client.query(unknown).execute().await.expect("filled");
    let folded =
        text("SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = 'calls_v'").await;
    let folded = folded.replace(".calls AS c", ".calls_again AS c");
    assert!(folded.contains("calls_again"), "{folded}");
    case.texts(&CALLS.replace("VIEW", &format!("({folded})"))).await
}

async fn told(case: &Case) -> Vec<String> {
    case.texts(&CALLS.replace("VIEW", "calls_v")).await
}

async fn outcomes(case: &Case) -> Vec<(String, i64)> {
    let sql = "SELECT toString(outcome), toInt64(count()) FROM calls_v GROUP BY outcome ORDER BY outcome";
    let rows = case.sink.client().query(sql).fetch_all::<(String, i64)>().await;
    rows.expect("outcomes")
}

fn expected() -> Vec<(String, i64)> {
    OUTCOMES
        .iter()
        .map(|(outcome, count)| ((*outcome).to_owned(), *count))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_has_its_answer_and_its_outcome_wherever_they_came() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    recording::record(&mut proxy);
    case.publish(&proxy.records()).await;
    let service = case.start();
    case.wait_for_commit(proxy.sealed.len() as i64).await;
    service.stop().await;
    assert_eq!(outcomes(&case).await, expected());
    assert_eq!(told(&case).await, recomputed(&case).await);
    let row = async |condition: &str| {
        let sql = format!(
            "SELECT concat(outcome, ' ', end, ' ', toString(http_status), ' ', toString(error_code), ' ', toString(is_error)) \
             FROM calls_v WHERE {condition} ORDER BY end"
        );
        case.texts(&sql).await
    };
    assert_eq!(
        row("method = 'elicitation/create'").await,
        ["answered answered 200 0 0"]
    );
    assert_eq!(
        row("name = 'slow'").await,
        ["answered upstream_lost 0 0 0"],
        "its stream was resumed"
    );
    assert_eq!(row("error_code = -32601").await, ["error answered 200 -32601 0"]);
    assert_eq!(
        row("error_code = -32700").await,
        ["error answered 200 -32700 0"],
        "an error without an id"
    );
    assert_eq!(
        row("http_status = 500").await,
        ["error answered 500 0 0"],
        "no JSON-RPC at all"
    );
    assert_eq!(row("outcome = 'refused'").await, ["refused refused 403 0 0"]);
    assert_eq!(
        row("name = 'add'").await,
        ["answered aborted 200 0 0", "answered answered 200 0 0"]
    );
    assert_eq!(
        row("rule = 'answer_withheld'").await,
        ["aborted aborted 200 0 0"],
        "on record, and given to nobody"
    );
    assert_eq!(
        case.number("SELECT max(answer_bytes) FROM calls_v").await,
        1_200_013,
        "all parts of it"
    );
    let latency = "SELECT count() FROM calls_v WHERE latency IS NULL";
    assert_eq!(case.number(latency).await, 1, "only the open one has none");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_the_same_however_batches_are_cut_and_repeated() {
    let whole = Case::new().await;
    let mut proxy = Proxy::new();
    recording::record(&mut proxy);
    let records = proxy.records();
    let count = records.len();
    let load = async |case: &Case, start: usize, end: usize, there: Loaded| {
        let batch = Batch {
            start: start as i64,
            end: end as i64,
            records: read(&records[start..end], start as i64),
            reserved: case.budget.nothing(),
        };
        loader(case, there).await.load(batch).await.expect("loaded") as usize
    };
    load(&whole, 0, count, Loaded::nothing()).await;
    let expected = told(&whole).await;
    assert!(!expected.is_empty());
    for (length, again) in [(2, 1), (9, 5)] {
        let case = Case::new().await;
        let (mut at, mut more) = (0, 0);
        while at < count {
            let end = count.min(at + length + again + more);
            // A new owner each time, which begins before what is there: these rows are aggregated again.
            let there = case.sink.loaded(&case.origin(), at as i64).await.expect("read back");
            let offset = load(&case, at, end, there).await;
            // Of a message in parts nothing is loaded before its last part has come.
            more = if offset == at { more + length } else { 0 };
            at = match end == count {
                true => count,
                false => offset.min(at + length),
            };
        }
        assert_eq!(
            told(&case).await,
            expected,
            "batches of {length}, {again} of them repeated"
        );
        assert_eq!(told(&case).await, recomputed(&case).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_calls_of_a_batch_become_unknown_and_the_table_says_so() {
    let mut case = Case::new().await;
    case.config.silence = Duration::from_secs(2);
    let mut proxy = Proxy::new();
    recording::record(&mut proxy);
    let exchange = Uuid::now_v7();
    for id in ["1", "2"] {
        let rpc = recording::rpc(
            tapedeck_schemas::RpcKind::Request,
            Some("tools/call"),
            Some(id),
            Some("echo"),
        );
        let frame = recording::message(&proxy, exchange, tapedeck_schemas::Direction::ToTarget, rpc);
        proxy.seal(frame, None);
    }
    case.publish(&proxy.records()).await;
    let service = case.start();
    case.wait_for("SELECT count() FROM calls_v WHERE outcome = 'unknown'", 3)
        .await;
    case.wait_for("SELECT count() FROM writers_v WHERE last_time > settled_time", 0)
        .await;
    service.stop().await;
    assert_eq!(
        case.number("SELECT count() FROM calls_v WHERE outcome = 'open'").await,
        0
    );
    assert_eq!(told(&case).await, recomputed(&case).await);
}
