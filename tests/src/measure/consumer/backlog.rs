//! A backlog: how long until a consumer that starts behind a full topic is close to the present, while more comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tapedeck_dev::services::Database;

use super::topic::Topic;
use crate::measure::parts::Parts;
use crate::measure::usage::peak_memory;
use crate::sample::{Recording, publish};

/// Between two calls that are recorded meanwhile: some 500 frames a second.
const BETWEEN: Duration = Duration::from_millis(4);

/// Longer than catching up takes anywhere.
const PATIENCE: Duration = Duration::from_secs(600);

/// How catching up went.
pub(super) struct CaughtUp {
    /// From the start of the process, the wait for a lease included, until what was loaded last was younger than 2 s.
    pub(super) after: Duration,
    /// The most memory that the consumer held, MiB.
    pub(super) peak: f64,
}

/// Starts a consumer behind a full topic.
pub(super) async fn catch_up(parts: &Parts, topic: &Topic, database: &Database) -> anyhow::Result<CaughtUp> {
    let is_over = Arc::new(AtomicBool::new(false));
    let recording = {
        let (is_over, brokers, topic) = (Arc::clone(&is_over), topic.kafka.brokers.clone(), topic.kafka.frames());
        tokio::task::spawn_blocking(move || record(&brokers, &topic, &is_over))
    };
    let result = until_close(parts, topic, database).await;
    is_over.store(true, Ordering::Relaxed);
    let recorded = recording.await??;
    ensure!(recorded > 0, "nothing was recorded while the consumer caught up");
    result
}

async fn until_close(parts: &Parts, topic: &Topic, database: &Database) -> anyhow::Result<CaughtUp> {
    parts.migrate(&topic.kafka, database, 1).await?;
    let began = Instant::now();
    let consumer = parts.consumer(&topic.kafka, database, 1).await?;
    let process = consumer.service().child();
    let client = database.client();
    let lag = "SELECT count(), dateDiff('millisecond', max(kafka_time), now64(3)) FROM frames";
    loop {
        let (rows, lag): (u64, i64) = client.query(lag).fetch_one().await?;
        if rows >= topic.frames && lag < 2_000 {
            break;
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "{rows} frames are loaded after {PATIENCE:?}, the last of them {lag} ms old"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (after, peak) = (began.elapsed(), peak_memory(process.id())?);
    consumer.service().stop().await;
    Ok(CaughtUp { after, peak })
}

/// Goes on recording until it is told that it is over; gives back how many frames. Blocks.
fn record(brokers: &str, topic: &str, is_over: &AtomicBool) -> anyhow::Result<u64> {
    let mut caller = Recording::of("caller-late");
    let opened = caller.opened();
    let calls = std::iter::from_fn(|| {
        (!is_over.load(Ordering::Relaxed)).then(|| {
            std::thread::sleep(BETWEEN);
            caller.call(1_650)
        })
    });
    Ok(publish(brokers, topic, std::iter::once(opened).chain(calls.flatten()))?)
}
