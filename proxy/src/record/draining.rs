//! The way back: what the spool holds is brought to Kafka, in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::NotRecorded;
use super::backlog::is_final;
use super::durable::{Delivery, Pending};
use super::spooling::Spooling;
use super::writer::Writer;
use crate::spool::{Entry, entries};

/// With less than this in the spool the last lap begins: it takes some milliseconds.
const LAST_LAP: u64 = 1024 * 1024;
/// How long one turn may take: there are manifests to state, and idle segments to seal.
const TURN: Duration = Duration::from_secs(3);

/// What became of a file.
enum File {
    /// There is none.
    None,
    Drained,
    /// Kafka did not acknowledge all of it, or it cannot be read.
    Failed,
}

/// Until the spool is empty and frames go to Kafka again, or Kafka is away, or the turn is over.
pub(super) async fn drain(writer: &Arc<Writer>) {
    let Some(spooling) = &writer.in_flight.spooling else {
        return;
    };
    let began = Instant::now();
    while spooling.is_away() && writer.in_flight.readiness.is_ready() && began.elapsed() < TURN {
        match bring_over(writer, spooling, u64::MAX).await {
            File::Drained => continue,
            File::Failed => return spooling.kafka_is_away(),
            File::None => {}
        }
        // What is left is in the file that is written to, or on its way there.
        let is_last = spooling.spool.bytes() <= LAST_LAP;
        if is_last {
            spooling.begin_last_lap();
        }
        let newest = closed(writer, spooling.spool.close_file()).await;
        if is_last && !last_lap(writer, spooling, newest).await {
            return spooling.kafka_is_away();
        }
    }
}

/// Brings over what was there when the lap began, then what came during it.
async fn last_lap(writer: &Arc<Writer>, spooling: &Spooling, newest: Option<u64>) -> bool {
    if let Some(newest) = newest {
        loop {
            match bring_over(writer, spooling, newest).await {
                File::Drained => {}
                File::None => break,
                File::Failed => return false,
            }
        }
    }
    let Some((handed, until)) = writer.end_last_lap() else {
        return false;
    };
    // Where some of it fails, its file is drained again.
    let file = closed(writer, until).await;
    let all = all_acknowledged(handed).await;
    if all {
        remove_through(spooling, file);
    }
    all
}

/// The oldest file, if it is not newer than `newest`.
async fn bring_over(writer: &Arc<Writer>, spooling: &Spooling, newest: u64) -> File {
    let reader = Arc::clone(writer);
    let read = tokio::task::spawn_blocking(move || reader.in_flight.spooling.as_ref()?.spool.oldest(newest));
    let (number, bytes) = match read.await {
        Ok(Some((number, Ok(bytes)))) => (number, bytes),
        Ok(Some((number, Err(error)))) => {
            tracing::error!(%error, file = number, "a spool file cannot be read, and will be tried again");
            return File::Failed;
        }
        // The second is a panic in there, which says as little as an error.
        Ok(None) => return File::None,
        Err(_) => return File::Failed,
    };
    let (entries, rest) = entries(&bytes);
    let publish = |entry: &Entry<'_>| writer.publish_drained(entry.topic, entry.key, entry.value);
    let handed: Vec<Arc<Delivery>> = entries.iter().map(publish).collect();
    if !all_acknowledged(handed).await {
        return File::Failed;
    }
    tracing::info!(file = number, records = entries.len(), "a spool file was drained");
    if rest.is_empty() {
        remove_through(spooling, Some(number));
    } else {
        let bytes = rest.len();
        tracing::error!(
            file = number,
            bytes,
            "the disk lost records that the spool had synced; the file is set aside"
        );
        spooling.spool.set_aside(number);
    }
    File::Drained
}

fn remove_through(spooling: &Spooling, file: Option<u64>) {
    if let Some(file) = file {
        spooling.spool.remove_through(file);
        spooling.measure();
    }
}

/// The file that is closed when this much was written.
pub(super) async fn closed(writer: &Arc<Writer>, until: u64) -> Option<u64> {
    let waiting = Arc::clone(writer);
    let closed = tokio::task::spawn_blocking(move || waiting.in_flight.spooling.as_ref()?.spool.wait_closed(until));
    closed.await.ok().flatten()
}

/// False where one of them failed. One that Kafka refuses for itself would be refused for ever: it is lost, and said so.
async fn all_acknowledged(handed: Vec<Arc<Delivery>>) -> bool {
    let mut all = true;
    for delivery in handed {
        match Pending::new(delivery).durable().await {
            Ok(_) => {}
            Err(NotRecorded::Undelivered(code)) if is_final(code) => {
                tracing::error!(%code, "Kafka refuses a record of the spool for good");
            }
            Err(_) => all = false,
        }
    }
    all
}
