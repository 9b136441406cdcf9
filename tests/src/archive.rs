//! A large archive: frames of as many sessions as are wanted, made by ClickHouse itself and put into the real tables, whose
//! materialized views make all else of them, as they do of what the consumer loads.
//!
//! It is skewed as recordings are: a few people, targets and tools have most of the sessions, most sessions have a few calls
//! and some have thousands, nights and weekends are quiet. The same [`Shape`] gives the same rows. A test proves that what
//! `sessions` and `calls` make of it is what its frames add up to.
//!
//! What it is not: hashes and commitments have the size and the entropy of real ones and are of nothing, so no chain can be
//! recomputed from it; its texts are pieces of a few thousand words, which compress better than what people write.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{bail, ensure};
use clickhouse::Client;
use serde::Deserialize;
use tapedeck_dev::services::Database;
use uuid::Uuid;

use crate::oracle::table;
use crate::sample::words;

const FRAMES: &str = include_str!("archive/frames.sql");

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// Calls of a long session: with their answers, a little more than 100,000 frames.
const LONG_CALLS: u64 = 50_000;
/// Milliseconds between a call's answer and the next call, at most: as people and agents are, and in long sessions.
const PAUSES: (u64, u64) = (8_000, 200);
/// Sessions that one statement makes: some hundred thousand frames.
const TOGETHER: u64 = 20_000;
/// Words of which texts are made, about 16 KiB of them.
const WORDS: usize = 2_600;

/// How large an archive is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Sessions of usual lengths, about 20 frames each.
    pub sessions: u64,
    /// Sessions of 100,000 frames and a few more, beside these.
    pub long_sessions: u64,
    /// People who may have sessions; a few of them have most.
    pub people: u32,
    /// Days on which sessions begin.
    pub days: u32,
    /// When the last of them is over, milliseconds since 1970: a midnight.
    pub until: i64,
    /// `iss` of all callers.
    pub issuer: String,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Sessions, long ones included.
    pub sessions: u64,
    /// Frames of sessions; the recorder's own are not counted.
    pub frames: u64,
    /// Sessions of more than 100,000 frames.
    pub long: Vec<Uuid>,
    /// When the first day begins, milliseconds since 1970.
    pub first_day: i64,
    /// How many days there are.
    pub days: u32,
}

#[derive(Debug, Deserialize)]
struct Counted {
    sessions: u64,
    frames: u64,
    long: Vec<Uuid>,
}

impl Archive {
    /// Fills the tables of a database that is migrated and empty. `tell` hears how far it is, in sessions.
    ///
    /// # Errors
    /// When ClickHouse refuses a statement, or has other rows than it was to make.
    pub async fn make(database: &Database, shape: &Shape, mut tell: impl FnMut(u64)) -> anyhow::Result<Self> {
        let client = database.client();
        let first_day = shape.until - i64::from(shape.days) * DAY;
        let mut made = 0;
        for (number, sessions) in sessions_of_days(shape, first_day).into_iter().enumerate() {
            let day = first_day + i64::try_from(number)? * DAY;
            let end = made + sessions;
            while made < end {
                let sessions = TOGETHER.min(end - made);
                insert(&client, shape, day, (made, sessions), (0, PAUSES.0)).await?;
                made += sessions;
            }
            tell(made);
        }
        // In the middle of the archive, and each on a day of its own, so that none goes on when it is over.
        for number in 0..shape.long_sessions {
            let day = first_day + DAY * i64::try_from(u64::from(shape.days) / 3 + number)?;
            insert(&client, shape, day, (made + number, 1), (LONG_CALLS, PAUSES.1)).await?;
        }
        let count = "SELECT count() AS sessions, sum(length) AS frames, groupArrayIf(session_id, length > 100000) AS long FROM \
            (SELECT session_id, max(sessions.frames) AS length FROM sessions GROUP BY session_start, session_id)";
        let counted: Vec<Counted> = table::query(database, count).await?;
        let Some(Counted { sessions, frames, long }) = counted.into_iter().next() else {
            bail!("ClickHouse counts nothing");
        };
        let all = shape.sessions + shape.long_sessions;
        ensure!(sessions == all, "{sessions} sessions were made, {all} were to be");
        ensure!(
            long.len() as u64 == shape.long_sessions,
            "{} sessions have more than 100,000 frames",
            long.len()
        );
        Ok(Self {
            sessions,
            frames,
            long,
            first_day,
            days: shape.days,
        })
    }

    /// Waits until no part is being merged any more: what follows is not to be measured beside it.
    ///
    /// # Errors
    /// When ClickHouse does not answer, or merges for longer than `patience`.
    pub async fn settled(database: &Database, patience: Duration) -> anyhow::Result<()> {
        crate::within(patience, async || {
            let running = "SELECT toString(count()) AS count FROM system.merges";
            let running = table::values(database, running).await?;
            let count = running.first().and_then(|row| row["count"].as_str().map(str::to_owned));
            Ok(match count.as_deref() {
                Some("0") => Ok(()),
                _ => Err(format!("{count:?} merges are running")),
            })
        })
        .await
    }
}

/// The subject of a person, by their rank: 0 has most sessions.
#[must_use]
pub fn subject(rank: u32) -> String {
    format!("user-{rank:05}")
}

/// The last midnight, milliseconds since 1970.
///
/// # Errors
/// Never on a machine whose clock is set.
pub fn today() -> anyhow::Result<i64> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    Ok(now - now % DAY)
}

/// How many sessions begin on each day: more from week to week, a quarter on Saturdays and Sundays.
fn sessions_of_days(shape: &Shape, first_day: i64) -> Vec<u64> {
    let days = i64::from(shape.days);
    let weight = |day: i64| {
        // The first of January 1970 was a Thursday.
        let weekday = (first_day / DAY + day + 3).rem_euclid(7);
        let growth = 0.6 + 0.8 * day as f64 / days as f64;
        growth * if weekday >= 5 { 0.25 } else { 1.0 }
    };
    let whole: f64 = (0..days).map(weight).sum();
    let (mut before, mut given) = (0.0, 0);
    let mut of_days = Vec::new();
    for day in 0..days {
        before += weight(day);
        let until = match day + 1 == days {
            true => shape.sessions,
            false => (shape.sessions as f64 * before / whole) as u64,
        };
        of_days.push(until - given);
        given = until;
    }
    of_days
}

/// Makes the sessions of these numbers (the first, how many) on a day, with so many calls each (0: as their number says) and
/// pauses of at most so many milliseconds.
async fn insert(
    client: &Client,
    shape: &Shape,
    day: i64,
    (first, sessions): (u64, u64),
    (calls, pause): (u64, u64),
) -> anyhow::Result<()> {
    let statement = client
        .query_raw(FRAMES)
        .param("first", first)
        .param("sessions", sessions)
        .param("day", day)
        .param("users", shape.people)
        .param("issuer", &shape.issuer)
        .param("calls", calls)
        .param("pause", pause)
        .param("words", words(WORDS))
        .with_setting("insert_deduplicate", "0")
        .with_setting("max_partitions_per_insert_block", "0")
        // A block of sessions becomes one of frames, twenty times as many.
        .with_setting("max_block_size", "1024")
        .with_setting("short_circuit_function_evaluation", "force_enable");
    statement.execute().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(sessions: u64, days: u32) -> Shape {
        Shape {
            sessions,
            long_sessions: 0,
            people: 10,
            days,
            until: 0,
            issuer: String::new(),
        }
    }

    #[test]
    fn every_session_has_its_day_and_weekends_are_quiet() {
        // The fifth of January 1970 was a Monday.
        let of_days = sessions_of_days(&shape(100_000, 14), 4 * DAY);
        assert_eq!(of_days.iter().sum::<u64>(), 100_000);
        assert!(of_days[5] * 2 < of_days[4], "{of_days:?}");
        assert!(of_days[13] * 2 < of_days[11], "{of_days:?}");
        assert!(of_days[7] > of_days[0], "{of_days:?}");
        assert_eq!(sessions_of_days(&shape(3, 1), 0), [3]);
    }
}
