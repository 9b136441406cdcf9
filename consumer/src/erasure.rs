//! `tapedeck-consumer erase`, `hold` and `release`.
//!
//! # The life of an erasure
//!
//! 1. A tombstone is written. The loader reads tombstones every [`RENEWAL`] and erases what they name as it loads it.
//! 2. A batch that was under way and did not know of it has ended: a lease later.
//! 3. What is loaded is erased, but for what a hold keeps: `frames` keeps places, sizes and hashes, so that chains still
//!    hold; rows of `calls` and `sessions` are removed and made again from what is left.
//! 4. It is done again until nothing is left.
//! 5. The receipt says what was erased, what is held and by whom, and where in Kafka copies are, until when.
//!
//! A crash in between leaves the tombstone, and the command is run again. Releasing a hold does what erasures had to leave.

mod copies;

use std::time::Duration;

use serde::Serialize;
use tapedeck_clickhouse::ConnectError;
use tokio::time::sleep;
use tracing::info;
use uuid::Uuid;

use crate::config::Config;
use crate::orders::{Erasure, Hold, RENEWAL, Scope};
use crate::sink::{Erased, ServerClock, Sink, SinkError};
pub use copies::{Copies, CopiesError};

/// Looks at what is left to erase before giving up: a loader that cannot be reached goes on loading what it does not know.
const ROUNDS: usize = 5;

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// ClickHouse.
    #[error("ClickHouse: {0}")]
    Sink(#[from] SinkError),
    /// ClickHouse cannot be reached by what is configured.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Kafka did not say what it holds.
    #[error(transparent)]
    Copies(#[from] CopiesError),
    /// No such hold.
    #[error("there is no hold {0}, or it was released before")]
    NoHold(Uuid),
    /// Rows went on appearing.
    #[error(
        "{0} rows of the subject are still there: a consumer loads them and does not know of the erasure. The tombstone \
         stands; see that all consumers of the group are of this version and reach ClickHouse, then run it again"
    )]
    StillComing(u64),
    /// The receipt could not be written as JSON.
    #[error("writing the receipt: {0}")]
    Receipt(#[from] serde_json::Error),
}

/// Who is to be erased, and why.
#[derive(Clone, Debug)]
pub struct Request {
    /// In this tenant only; empty: in all.
    pub tenant: String,
    /// The caller's `iss`.
    pub issuer: String,
    /// The caller's `sub`.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Who asks.
    pub by: String,
}

/// What an erasure has done, and what it could not do.
#[derive(Debug, Serialize)]
pub struct Receipt {
    /// Names the erasure, in `erasures`.
    pub erasure: Uuid,
    /// Frames up to this time were erased, microseconds since 1970.
    pub erased_before: i64,
    /// Rows.
    pub erased: Erased,
    /// Holds that keep rows of the subject: they beat the erasure until they are released.
    pub held: Vec<Held>,
    /// Copies that are left in Kafka.
    pub copies: Vec<Copies>,
    /// Until then loading a copy erases it, microseconds since 1970.
    pub honoured_until: i64,
}

/// A hold and what it keeps.
#[derive(Debug, Serialize)]
pub struct Held {
    /// The hold.
    pub hold: Uuid,
    /// Why it was placed.
    pub reason: String,
    /// Rows of `frames`.
    pub frames: u64,
}

/// What `hold` and `release` tell.
#[derive(Debug, Serialize)]
pub struct HoldReceipt {
    /// The hold.
    pub hold: Uuid,
    /// Frames that `frames_held` holds: of this hold when it is placed, of all others when it is released.
    pub frames: u64,
    /// Erasures that could be completed since it was released.
    pub erasures: Vec<Receipt>,
}

/// Erases a subject's past.
///
/// # Errors
/// See [`OrderError`]. The tombstone may have been written: run it again.
pub async fn erase(config: &Config, request: &Request) -> Result<Receipt, OrderError> {
    let sink = Sink::new(&config.clickhouse)?;
    sink.reach().await?;
    let erasure = Erasure {
        id: Uuid::now_v7(),
        tenant: request.tenant.clone(),
        issuer: request.issuer.clone(),
        subject: request.subject.clone(),
        before: ServerClock::ask(&sink).await?.now(),
    };
    carry_out(config, &sink, &erasure, (&request.reason, &request.by)).await
}

async fn carry_out(config: &Config, sink: &Sink, erasure: &Erasure, why: (&str, &str)) -> Result<Receipt, OrderError> {
    let (loaded, ends) = (sink.loaded_places(erasure).await?, sink.loaded_ends().await?);
    let copies = copies::of(config, &loaded, &ends, erasure.before).await?;
    let raw = copies.iter().filter(|copy| copy.topic == config.kafka.topics.frames());
    let honoured_until = raw.map(|copy| copy.until).max().unwrap_or(erasure.before);
    sink.note_erasure(erasure, honoured_until, why, "").await?;
    // Consumers may read at another replica.
    sink.spread("erasures").await?;
    info!(erasure = %erasure.id, "the tombstone is written");
    let mut erased = Erased::default();
    for round in 0.. {
        sleep(RENEWAL + config.lease + Duration::from_secs(1)).await;
        // What was loaded meanwhile may have been loaded at another replica.
        sink.reach().await?;
        let holds = sink.holds().await?;
        let left = sink.left_to_erase(erasure, &holds).await?;
        if left == 0 && round > 0 {
            break;
        }
        if round == ROUNDS {
            return Err(OrderError::StillComing(left));
        }
        let now = sink.erase(erasure, &holds).await?;
        erased.frames += now.frames;
        erased.sessions += now.sessions;
        erased.calls += now.calls;
        if left == 0 {
            break;
        }
    }
    // An insert that was under way when rows were removed may have shown its calls before its frames: by now it has ended.
    sink.aggregate_subject(erasure).await?;
    let mut held = Vec::new();
    for hold in sink.holds().await? {
        let frames = sink.held_rows(erasure, &hold).await?;
        if frames > 0 {
            held.push(Held {
                hold: hold.id,
                reason: hold.reason,
                frames,
            });
        }
    }
    let receipt = Receipt {
        erasure: erasure.id,
        erased_before: erasure.before,
        erased,
        held,
        copies,
        honoured_until,
    };
    let text = serde_json::to_string(&receipt)?;
    sink.note_erasure(erasure, honoured_until, why, &text).await?;
    let (reason, by) = why;
    sink.note_order("erase", erasure.id, by, reason, erased.frames).await?;
    Ok(receipt)
}

/// Places a hold and copies what it keeps.
///
/// # Errors
/// See [`OrderError`]. The hold may have been placed: the view `active_holds` has it.
pub async fn hold(config: &Config, scope: Scope, reason: String, by: &str) -> Result<HoldReceipt, OrderError> {
    let sink = Sink::new(&config.clickhouse)?;
    sink.reach().await?;
    let hold = Hold {
        id: Uuid::now_v7(),
        scope,
        reason,
    };
    sink.place_hold(&hold, by).await?;
    sink.spread("holds").await?;
    // An insert that had begun before does not copy what it loads. A lease later it has ended.
    sleep(RENEWAL + config.lease).await;
    sink.reach().await?;
    let frames = sink.copy_held(&hold).await?;
    sink.note_order("hold", hold.id, by, &hold.reason, frames).await?;
    Ok(HoldReceipt {
        hold: hold.id,
        frames,
        erasures: Vec::new(),
    })
}

/// Releases a hold, drops what only it has kept, and completes the erasures that it beat.
///
/// # Errors
/// See [`OrderError`].
pub async fn release(config: &Config, id: Uuid, by: &str) -> Result<HoldReceipt, OrderError> {
    let sink = Sink::new(&config.clickhouse)?;
    sink.reach().await?;
    let holds = sink.holds().await?;
    let Some(hold) = holds.iter().find(|hold| hold.id == id) else {
        return Err(OrderError::NoHold(id));
    };
    if !sink.release_hold(id, by).await? {
        return Err(OrderError::NoHold(id));
    }
    sink.spread("holds").await?;
    // Loaders know of it by then, and an insert that copied what it loaded has ended.
    sleep(RENEWAL + config.lease).await;
    sink.reach().await?;
    let others: Vec<Hold> = holds.iter().filter(|hold| hold.id != id).cloned().collect();
    let frames = sink.drop_held(&hold.scope, &others).await?;
    sink.note_order("release", id, by, "", frames).await?;
    let mut erasures = Vec::new();
    for erasure in sink.all_erasures().await? {
        if sink.left_to_erase(&erasure, &others).await? > 0 {
            let why = format!("hold {id} was released");
            erasures.push(carry_out(config, &sink, &erasure, (&why, by)).await?);
        }
    }
    Ok(HoldReceipt {
        hold: id,
        frames,
        erasures,
    })
}
