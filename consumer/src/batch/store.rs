//! From rows to the table: encoded once, inserted once, then published.

use tapedeck_schemas::DeadLetter;
use tracing::warn;

use super::once::Landed;
use super::{Loader, token_prefix};
use crate::rows::Row;
use crate::sink::Block;
use crate::stop::{Stop, persist};

impl Loader {
    /// Inserts and publishes, and returns the offset to commit.
    pub(super) async fn store(
        &mut self,
        mut rows: Vec<Row>,
        letters: &[DeadLetter],
        start: i64,
        end: i64,
    ) -> Result<i64, Stop> {
        let (there, mut missing): (Vec<&mut Row>, Vec<&mut Row>) =
            rows.iter_mut().partition(|row| self.state.loaded.contains(row.offset));
        let offsets = || there.iter().map(|row| row.offset);
        let there = offsets().min().zip(offsets().max());
        if !missing.is_empty() {
            self.phase("inserting", start, end);
            // Without rows that were there, and without frames that waited for the end of their message, the set follows
            // from the offsets.
            let is_plain = there.is_none() && missing.iter().all(|row| row.offset >= start);
            self.insert_all(&mut missing, start, end, is_plain).await?;
        }
        if let Some((first, last)) = there {
            persist("aggregating again", || {
                self.sink.aggregate_again(&self.origin, first..=last)
            })
            .await?;
        }
        self.phase("inserted", start, end);
        self.phase("publishing", start, end);
        self.erase_named(rows.iter_mut());
        self.publish(&rows, letters).await?;
        self.phase("published", start, end);
        self.forget(end);
        Ok(self.state.parts.first_offset().unwrap_or(end).min(end))
    }

    /// Inserts rows in one block; in smaller ones where ClickHouse does not come to so many within a lease.
    async fn insert_all(
        &mut self,
        rows: &mut [&mut Row],
        start: i64,
        end: i64,
        mut is_plain: bool,
    ) -> Result<(), Stop> {
        let mut rest = vec![rows];
        while let Some(part) = rest.pop() {
            let token = self.token(part, start, end, is_plain);
            match self.insert(&token, part).await? {
                Landed::Once => {
                    self.metrics.rows.inc_by(part.len() as u64);
                }
                Landed::TooLate => {
                    warn!(
                        partition = self.origin.partition,
                        rows = part.len(),
                        "ClickHouse does not take so many rows within a lease; trying with half of them. Fewer `[batch] \
                         rows` or a longer `lease` in every consumer of the group would spare that"
                    );
                    let (first, second) = part.split_at_mut(part.len() / 2);
                    rest.extend([second, first]);
                    is_plain = false;
                }
            }
        }
        Ok(())
    }

    /// The batch's token, or one of these rows' own. A token must never name two sets of rows.
    fn token(&self, rows: &[&mut Row], start: i64, end: i64, is_plain: bool) -> String {
        let token = format!("{}{start}-{end}", token_prefix(&self.origin));
        if is_plain {
            return token;
        }
        let first = rows.iter().map(|row| row.offset).min().unwrap_or(start);
        format!("{token}/{}-from-{first}", rows.len())
    }

    /// Encodes rows as one block.
    pub(super) fn encode(&self, rows: &[&mut Row]) -> Result<Block, Stop> {
        let size = rows
            .iter()
            .map(|row| 1024 + row.frame.body().map_or(0, <[u8]>::len))
            .sum();
        let mut bytes = Vec::with_capacity(size);
        rows.iter().for_each(|row| row.encode(&self.origin, &mut bytes));
        Block::new(&bytes, rows.len()).map_err(|error| Stop::Sink("compressing rows", error))
    }

    /// Reads back which offsets of a batch that ends at `end` are in the table already, as far as that is not known.
    pub(super) async fn look_up_loaded(&mut self, end: i64) -> Result<(), Stop> {
        while let Some(from) = self.state.loaded.unknown_below(end) {
            let page = persist("reading back", || self.sink.loaded(&self.origin, from)).await?;
            self.state.loaded.extend(page);
        }
        Ok(())
    }
}
