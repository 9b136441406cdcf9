//! An insert that ClickHouse comes to after its lease inserts nothing.

use std::time::{Duration, Instant};

use tapedeck_consumer::batch::token_prefix;
use tapedeck_consumer::record::Record;
use tapedeck_consumer::redaction::{self, Body};
use tapedeck_consumer::rows::{Columns, Row, Verdict};
use tapedeck_consumer::sessions::Place;
use tapedeck_consumer::sink::{Block, Fault, Insert, ServerClock, statement};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::ROWS;
use crate::frames::{Proxy, record};
use crate::stack::Case;

/// So many rows that ClickHouse has begun to work on the first before the last are sent.
const COUNT: usize = 4000;

fn rows(case: &Case) -> Columns {
    let mut proxy = Proxy::new();
    let redactor = case.tools().rules.current().redactor;
    while proxy.sealed.len() < COUNT {
        proxy.call(&"lorem ipsum ".repeat(80));
    }
    let mut columns = Columns::with_capacity(COUNT);
    for (offset, sealed) in (0..).zip(proxy.sealed.iter().take(COUNT)) {
        let (key, value) = record(sealed);
        let read = Record::read(offset, 0, Some(&key), Some(&value))
            .content
            .expect("a frame");
        let frame = redaction::mask(read, &redactor, &mut redaction::Known::default());
        let clean = redaction::clean(vec![frame], Body::Whole(None), &redactor);
        let row = Row {
            offset,
            kafka_time: 0,
            frame: clean.into_iter().next().expect("as many as went in"),
            verdict: Verdict::Intact,
            truncated: false,
            place: Place::default(),
            answers: None,
            message_size: 0,
            retention: "standard".into(),
        };
        row.encode(&case.origin(), &mut columns);
    }
    columns
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_arrives_after_the_lease_inserts_nothing_and_the_same_token_still_lands_once() {
    let case = Case::new().await;
    let columns = rows(&case);
    let (used, mut bytes) = (columns.used(), Vec::new());
    columns.write(&mut bytes, &used).expect("a vector takes everything");
    let token = format!("{}0-{COUNT}", token_prefix(&case.origin()));
    let clock = ServerClock::ask(&case.sink).await.expect("a clock");
    let lease = clock.now() + 700_000;

    // The statement and nearly all rows in time, the last rows too late.
    let url = &case.config.clickhouse.url;
    let mut target = Url::parse(url.as_str()).expect("a URL");
    target
        .query_pairs_mut()
        .append_pair("database", case.sink.database())
        .append_pair("query", &statement(lease, &used))
        .append_pair("insert_deduplicate", "1")
        .append_pair("insert_deduplication_token", &token)
        .append_pair("async_insert", "0");
    let address = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let head = format!(
        "POST {}?{} HTTP/1.1\r\nHost: clickhouse\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        target.path(),
        target.query().expect("set above"),
        bytes.len()
    );
    let (early, late) = bytes.split_at(bytes.len() - 1000);
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(early).await.expect("sent");
    while clock.now() < lease + 200_000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stream.write_all(late).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.contains("the lease has run out"), "{answer}");
    assert_eq!(case.number(ROWS).await, 0);

    let block = Block::new(&columns, case.sink.packing()).expect("packed");
    let insert = Insert {
        token: &token,
        block: &block,
    };
    let over = clock.lease(Instant::now(), Duration::ZERO);
    let expired = case.sink.insert(&insert, over).await.expect_err("too late");
    assert_eq!(expired.fault(), Fault::LeaseExpired);
    assert_eq!(case.number(ROWS).await, 0);
    for _ in 0..2 {
        let lease = clock.lease(Instant::now(), Duration::from_secs(30));
        case.sink.insert(&insert, lease).await.expect("inserted");
        assert_eq!(case.number(ROWS).await, COUNT as i64);
    }
    assert_eq!(
        case.number(
            "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 'frames' AND active"
        )
        .await,
        1,
        "one block"
    );
}
