//! What all partitions of a consumer hold at once is bounded.

use std::sync::Arc;
use std::time::Duration;

use tapedeck_consumer::batch::Batch;
use tapedeck_consumer::budget::cost;
use tapedeck_consumer::metrics::Metrics;
use tapedeck_consumer::silence::Gone;
use tapedeck_consumer::sink::Loaded;
use uuid::Uuid;

use crate::frames::Proxy;
use crate::stack::Case;
use crate::{loader, read};

/// Of the topic.
const PARTITIONS: u32 = 16;

/// Bytes that all of them may hold.
const MEMORY: i64 = 64 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn many_partitions_of_large_frames_stay_within_the_budget_and_each_is_loaded() {
    let mut case = Case::with_partitions(PARTITIONS).await;
    case.config.limits.memory = MEMORY as u64;
    // Nothing but the budget ends a batch while there is more.
    (case.config.limits.bytes, case.config.limits.every) = (1 << 30, Duration::from_secs(5));
    let body = "lorem ipsum ".repeat(40_000);
    let mut frames = 0;
    for partition in 0..PARTITIONS {
        let mut proxy = Proxy::new();
        for _ in 0..8 {
            let exchange = Uuid::now_v7();
            proxy.request(exchange, "tools/call", "{}");
            proxy.answer(exchange, "tools/call", &format!(r#"{{"result":"{body}"}}"#));
        }
        // A message whose rest never comes keeps its part of the budget.
        proxy.answer_part(
            Uuid::now_v7(),
            "tools/call",
            format!(r#"{{"result":"{body}"#).as_bytes(),
            0,
            false,
        );
        frames += proxy.sealed.len() as i64;
        case.publish_to(partition as i32, &proxy.records()).await;
    }
    let metrics = Arc::new(Metrics::default());
    let service = case.start_measured(Arc::clone(&metrics));
    // The last frame of each partition waits for the rest of its message.
    case.wait_for("SELECT count() FROM frames", frames - i64::from(PARTITIONS))
        .await;
    let partitions = case.number("SELECT uniqExact(kafka_partition) FROM frames").await;
    assert_eq!(partitions, i64::from(PARTITIONS));
    let peak = metrics.memory_peak.get();
    assert!(peak > MEMORY / 2 && peak <= MEMORY, "{peak} of {MEMORY}");
    let text = metrics.text();
    assert!(
        text.contains("tapedeck_consumer_sessions_open{partition=\"0\"} 1"),
        "all its calls are in one:\n{text}"
    );
    service.stop().await;
    assert_eq!(metrics.memory.get(), 0, "all is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_let_go_with_its_writer_gives_back_what_it_held() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    let exchange = Uuid::now_v7();
    proxy.request(exchange, "tools/call", "{}");
    let part = format!(r#"{{"result":"{}"#, "lorem ipsum ".repeat(40_000));
    proxy.answer_part(exchange, "tools/call", part.as_bytes(), 0, false);
    let records = read(&proxy.records(), 0);
    let end = records.len() as i64;
    let bytes: usize = records.iter().map(|record| cost(record.size)).sum();
    let mut reserved = case.budget.nothing();
    reserved.wait(bytes).await;
    let batch = Batch {
        start: 0,
        end,
        records,
        reserved,
    };
    let mut loader = loader(&case, Loaded::nothing()).await;
    assert_eq!(loader.load(batch).await.expect("loaded"), end - 1, "its frame waits");
    assert!(case.budget.drawn() > 0, "what waits keeps its part of the budget");
    let gone = Gone {
        writer: proxy.writer(),
        stopped: true,
    };
    assert_eq!(loader.settle(&[gone], end).await.expect("settled"), end);
    assert_eq!(case.budget.drawn(), 0);
}
