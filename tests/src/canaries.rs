//! Canaries: the proof that what is secret in a conversation is stored nowhere but in the raw topic.
//!
//! # The life of a canary
//!
//! 1. The [planner](plan) makes it: a value that one rule is to find, valid to its check digit, unlike any other; a
//!    [form](forms) on the wire; a place in a message.
//! 2. It goes through a real proxy to a [target] of ours or back from there, whole or cut into pieces, and from the
//!    raw topic through a real consumer into ClickHouse, the audit topic and the dead letters.
//! 3. [One automaton](search) over all forms of all canaries looks at every byte that is left: the tables, as statements
//!    give them and as files; the topics; logs, figures, and all else in the run's folder. It must find none.
//! 4. The same traffic again, with every rule switched off: now it must find each of them, both in the tables and in the
//!    files, or the search is blind.
//!
//! So that files can be searched at all, tables are told to compress nothing before their first row.

mod blocks;
mod checks;
pub(crate) mod dice;
mod forms;
mod issuers;
mod kinds;
mod messages;
mod plan;
mod recording;
mod search;
mod secret;
mod target;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::BTreeMap;
use std::io::Write as _;

use tapedeck_dev::clickhouse::{ClickHouse, ClickHouseKind};

use crate::{Parts, parts};
use dice::Dice;
use plan::{Canary, Planner};
use recording::Recording;
use recording::Redaction::{Off, On};
use search::Search;
use target::Target;

/// Canaries that CI plants.
pub const SHORT: usize = 10_500;
/// Canaries that are planted unless one says otherwise.
pub const USUAL: usize = 60_000;
/// Canaries for a proof to quote.
pub const LONG: usize = 1_000_000;

/// Canaries in one round: as many as one automaton has room for.
const ROUND: usize = 20_000;
/// Canaries that are not recorded at all, in each round.
const UNRECORDED: usize = 64;
/// Canaries in records that are no frames, in each round.
const SCRIBBLED: usize = 16;

/// What became of canaries. Whoever has one knows that none of them came out, and that each would have been seen.
#[derive(Debug, Default)]
pub struct Account {
    /// Canaries that were recorded, and none of which was found.
    pub canaries: usize,
    /// Rules that had at least one.
    pub rules: usize,
    /// Canaries where nothing is recorded, and none of which was found.
    pub unrecorded: usize,
    /// Bytes that were searched, by place.
    pub searched: BTreeMap<&'static str, u64>,
    /// With redaction off, canaries that were cut by the parts of their message, and were found where it was put together.
    pub cut: usize,
    /// With redaction off, canaries that were found on the audit topic, too.
    pub audited: usize,
}

impl Account {
    /// Tells it on standard output, past the test harness, which hides what tests that pass print.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn tell(&self) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "\n{} canaries for {} rules, and {} where nothing is recorded: none came out",
            self.canaries, self.rules, self.unrecorded
        )?;
        for (place, bytes) in &self.searched {
            writeln!(out, "  {place:<34}{bytes:>14} bytes searched")?;
        }
        writeln!(
            out,
            "with redaction off: all {} found in the tables and in their files, {} of them cut by parts; {} on the audit topic",
            self.canaries, self.cut, self.audited
        )
    }

    fn add(&mut self, other: Self) {
        self.canaries += other.canaries;
        self.rules = self.rules.max(other.rules);
        self.unrecorded += other.unrecorded;
        self.cut += other.cut;
        self.audited += other.audited;
        for (place, bytes) in other.searched {
            *self.searched.entry(place).or_default() += bytes;
        }
    }
}

/// Plants so many canaries, in rounds.
///
/// # Errors
/// A canary came out, or would not have been seen; or a part failed.
pub async fn all(count: usize, seed: u64) -> anyhow::Result<Account> {
    let parts = parts().await?;
    let clickhouse = ClickHouse::start(ClickHouseKind::choose().0, None, None, parts.site()).await?;
    let mut planner = Planner::new(seed)?;
    let mut account = Account::default();
    while account.canaries < count {
        let canaries = planner.canaries(ROUND.min(count - account.canaries));
        let unrecorded = plan::in_headers(planner.canaries(20 * (UNRECORDED + SCRIBBLED)), UNRECORDED + SCRIBBLED);
        account.add(round(parts, &clickhouse, canaries, &unrecorded, seed).await?);
        account.rules = planner.rules().len();
        if count > ROUND {
            writeln!(std::io::stderr(), "{} of {count} canaries", account.canaries)?;
        }
    }
    Ok(account)
}

async fn round(
    parts: &'static Parts,
    clickhouse: &ClickHouse,
    canaries: Vec<Canary>,
    unrecorded: &[Canary],
    seed: u64,
) -> anyhow::Result<Account> {
    let exchanges = messages::exchanges(&canaries, &mut Dice::new(seed));
    let target = Target::start(&exchanges).await?;
    let recorded = canaries.len();
    let all = [&canaries[..], unrecorded].concat();
    let search = Search::new(&all)?;

    let record = Recording::make(parts, clickhouse, &target, &exchanges, unrecorded, On).await?;
    let mut account = Account {
        canaries: recorded,
        unrecorded: unrecorded.len(),
        ..Account::default()
    };
    record.hides(parts, &search, &all, &mut account).await?;
    record.forget().await?;

    let record = Recording::make(parts, clickhouse, &target, &exchanges, unrecorded, Off).await?;
    record.shows(parts, &search, &all, recorded, &mut account).await?;
    record.forget().await?;
    Ok(account)
}
