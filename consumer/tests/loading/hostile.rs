//! What stands in frames must not stop a partition.

use tapedeck_consumer::batch::Batch;
use tapedeck_consumer::sessions::Missing;
use tapedeck_consumer::sink::Loaded;
use tapedeck_schemas::{Chain, Digest, Direction, Frame, Kind, SessionKey};
use uuid::Uuid;

use crate::frames::{Proxy, record};
use crate::stack::Case;
use crate::{ROWS, loader, read};

const WEEK: u64 = 7 * 24 * 3600 * 1000;

/// A UUIDv7 of this time, milliseconds since 1970.
fn id(millis: u64) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid()
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_from_any_time_are_loaded() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    // More weeks, and so partitions of the table, than ClickHouse takes in one insert unless told to; none expires.
    let weeks = (0..150).map(|week| id(3_000_000_000_000 + week * WEEK));
    let extremes = [id(0), id((1 << 48) - 1), Uuid::max(), Uuid::from_u128(5)];
    for (exchange, time) in weeks
        .chain(extremes)
        .zip([0, -1, i64::MIN, i64::MAX, 1 << 60].into_iter().cycle())
    {
        let frame = Frame {
            kind: Kind::Message,
            direction: Direction::ToTarget,
            time,
            session_id: Some(exchange),
            payload_size: -1,
            target: "nul\0 ünd ' \\ ?".to_owned(),
            ..proxy.frame(exchange)
        };
        proxy.seal(frame, None);
    }
    case.publish(&proxy.records()).await;
    let service = case.start();
    let count = proxy.sealed.len() as i64;
    case.wait_for_commit(count).await;
    service.stop().await;
    assert_eq!(case.number("SELECT uniqExact(kafka_offset) FROM frames WHERE session_start > '2000-01-01' AND session_start < '2099-01-01'").await, 151);
    assert!(case.number("SELECT max(toYear(session_start)) FROM frames").await <= 2100);

    // And again from the table, by an owner that has to restore all of it.
    proxy.call("after all that");
    case.publish(&proxy.records()[count as usize..]).await;
    let service = case.start();
    case.wait_for_commit(count + 2).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_clients_in_one_batch_are_restored() {
    const CLIENTS: usize = 6000;
    let case = Case::new().await;
    let mut chain = Chain::open(Uuid::now_v7(), Uuid::now_v7());
    let proxy = Proxy::new();
    let exchanges: Vec<Uuid> = (0..CLIENTS).map(|_| Uuid::now_v7()).collect();
    let mut records = Vec::new();
    for direction in [Direction::ToTarget, Direction::ToClient] {
        for (client, exchange) in exchanges.iter().enumerate() {
            let frame = Frame {
                kind: Kind::Message,
                direction,
                session_key: SessionKey::of_principal("acme", "https://idp", &client.to_string(), None, "tools"),
                ..proxy.frame(*exchange)
            };
            records.push(record(&chain.seal(frame, records.len() as i64 + 1, None)));
        }
    }
    let half = CLIENTS as i64;
    for (start, end) in [(0, half), (half, 2 * half)] {
        // An owner of its own for each half: the second restores every client and every exchange.
        let mut loader = loader(&case, Loaded::nothing()).await;
        let batch = Batch {
            start,
            end,
            records: read(&records[start as usize..end as usize], start),
            reserved: case.budget.nothing(),
        };
        assert_eq!(loader.load(batch).await.expect("loaded"), end);
    }
    assert_eq!(case.number(ROWS).await, 2 * half);
    assert_eq!(case.number("SELECT uniqExact(session_id) FROM frames").await, half);
    assert_eq!(case.number("SELECT min(frames) FROM sessions_v").await, 2);

    // All of it a second time: as many suspects.
    let mut again = loader(&case, Loaded::nothing()).await;
    let batch = Batch {
        start: 2 * half,
        end: 4 * half,
        records: read(&records, 2 * half),
        reserved: case.budget.nothing(),
    };
    assert_eq!(again.load(batch).await.expect("loaded"), 4 * half);
    assert_eq!(case.number(ROWS).await, 2 * half, "duplicates leave no row");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_much_as_a_batch_can_ask_for_is_answered() {
    let case = Case::new().await;
    let many = || (0..50_000).map(|_| Uuid::now_v7());
    let key = |n: Uuid| {
        SessionKey(Digest(
            [n.as_bytes().as_slice(), n.as_bytes()].concat().try_into().expect("32"),
        ))
    };
    let missing = Missing {
        keys: many().map(|n| (key(n), i64::MAX)).collect(),
        exchanges: many().map(|n| (key(n), n)).collect(),
        sessions: many().map(|n| (key(n), n)).collect(),
    };
    let segments = many().collect();
    let past = case.sink.past(&case.origin(), 1, &segments, &missing, 0).await;
    assert_eq!(past.expect("answered").segments.len(), segments.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undecodable_record_makes_no_second_session() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    proxy.call("before");
    let mut records = proxy.records();
    let key = records[0].0.clone();
    records.push((key, b"no frame".to_vec()));
    case.publish(&records).await;
    let service = case.start();
    case.wait_for_commit(records.len() as i64).await;
    service.stop().await;
    assert_eq!(case.number("SELECT count() FROM sessions_v").await, 1);
    assert_eq!(case.texts("SELECT toString(target) FROM sessions_v").await, ["tools"]);
}
