//! Dead letters that are read again.

use tapedeck_schemas::schema::FRAME;
use tapedeck_schemas::wire::{Framing, encode_frame};

use crate::frames::Proxy;
use crate::stack::Case;

const OUTCOMES: &str =
    "SELECT concat(toString(kafka_offset), ' ', outcome) FROM retries_v ORDER BY kafka_offset, requested";

/// Asks for an offset to be read again.
async fn ask(case: &Case, offset: i64) {
    let sql = "INSERT INTO deadletter_retries (kafka_source, kafka_topic, kafka_partition, kafka_offset, requested_by) \
        SELECT ?, ?, 0, ?, 'somebody'";
    let query = case
        .sink
        .client()
        .query(sql)
        .bind(&case.config.source)
        .bind(&case.topic);
    query.bind(offset).execute().await.expect("asked");
}

/// The records of a session of which one came in a framing that nobody knew: as a version before had it.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_can_be_read_now_lands_once_in_the_session_of_its_place() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    for text in ["one", "two", "three"] {
        proxy.call(text);
    }
    let mut records = proxy.records();
    let late = (1..records.len())
        .find(|at| proxy.sealed[*at].frame().rpc.is_some())
        .expect("a message")
        + 2;
    records[late].1 = encode_frame(&proxy.sealed[late], Framing::Registry(1));
    let count = records.len() as i64;
    case.publish(&records).await;
    let service = case.start();
    case.wait_for_commit(count).await;
    assert_eq!(
        case.number("SELECT count() FROM deadletters_v WHERE retried IS NULL")
            .await,
        1
    );

    // Still unknown: the letter stays, and says why.
    ask(&case, late as i64).await;
    case.wait_for("SELECT countIf(outcome != '') FROM retries_v", 1).await;
    assert_eq!(case.texts(OUTCOMES).await, [format!("{late} no_header")]);
    service.stop().await;

    // Now somebody knows what it is: as a version to come would.
    let registry = crate::registry::serve(FRAME).await;
    let mut upgraded = case.config.clone();
    upgraded.schema_registry = Some(registry);
    let service = case.start_with(upgraded);
    for _ in 0..2 {
        ask(&case, late as i64).await;
        case.wait_for("SELECT countIf(outcome = '') FROM retries_v", 0).await;
    }
    service.stop().await;
    assert_eq!(
        case.texts(OUTCOMES).await,
        [
            format!("{late} no_header"),
            format!("{late} loaded"),
            format!("{late} loaded")
        ]
    );
    let frames = "SELECT count() FROM frames WHERE kind != 'undecodable'";
    assert_eq!(case.number(frames).await, count, "once");
    let sessions = "SELECT uniqExact(session_id) FROM frames WHERE kind = 'message'";
    assert_eq!(case.number(sessions).await, 1);
    let counters = "SELECT count() FROM (SELECT session_seq, row_number() OVER (ORDER BY session_seq) AS n FROM frames \
         WHERE kind = 'message') WHERE session_seq != n";
    assert_eq!(case.number(counters).await, 0, "it counts as the latest of its session");
    let total = "SELECT toInt64(max(frames)) FROM sessions_v";
    assert_eq!(
        case.number(total).await,
        case.number("SELECT count() FROM frames WHERE kind = 'message'").await
    );
    assert_eq!(
        case.number("SELECT count() FROM calls_v WHERE outcome = 'answered'")
            .await,
        3
    );
    assert_eq!(
        case.number("SELECT count() FROM deadletters_v WHERE retried IS NULL")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_no_letter_is_left_alone() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    proxy.call("fine");
    let count = proxy.sealed.len() as i64;
    case.publish(&proxy.records()).await;
    let service = case.start();
    case.wait_for_commit(count).await;
    ask(&case, 1).await;
    case.wait_for("SELECT countIf(outcome != '') FROM retries_v", 1).await;
    service.stop().await;
    assert_eq!(case.texts(OUTCOMES).await, ["1 no_dead_letter"]);
    assert_eq!(case.number("SELECT count() FROM frames").await, count);
}
