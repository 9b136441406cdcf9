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
        rows: &[Row],
        letters: &[DeadLetter],
        start: i64,
        end: i64,
    ) -> Result<i64, Stop> {
        let (there, missing): (Vec<&Row>, Vec<&Row>) =
            rows.iter().partition(|row| self.state.loaded.contains(row.offset));
        if !missing.is_empty() {
            self.phase("inserting", start, end);
            // Without rows that were there, and without frames that waited for the end of their message, the set follows
            // from the offsets.
            let is_plain = there.is_empty() && missing.iter().all(|row| row.offset >= start);
            self.insert_all(&missing, start, end, is_plain).await?;
        }
        let offsets = || there.iter().map(|row| row.offset);
        if let (Some(first), Some(last)) = (offsets().min(), offsets().max()) {
            persist("aggregating again", || {
                self.sink.aggregate_again(&self.origin, first..=last)
            })
            .await?;
        }
        self.phase("inserted", start, end);
        self.phase("publishing", start, end);
        self.publish(rows, letters).await?;
        self.phase("published", start, end);
        self.forget(end);
        Ok(self.state.parts.first_offset().unwrap_or(end).min(end))
    }

    /// Inserts rows in one block; in smaller ones where ClickHouse does not come to so many within a lease.
    async fn insert_all(&mut self, rows: &[&Row], start: i64, end: i64, mut is_plain: bool) -> Result<(), Stop> {
        let mut rest = vec![rows];
        while let Some(part) = rest.pop() {
            let (token, block) = self.encode(part, start, end, is_plain)?;
            match self.insert(&token, &block, part).await? {
                Landed::Once => {
                    self.metrics.rows.inc_by(part.len() as u64);
                }
                Landed::TooLate => {
                    let half = part.len() / 2;
                    warn!(
                        partition = self.origin.partition,
                        rows = part.len(),
                        "ClickHouse does not take so many rows within a lease; trying with half of them. Fewer `[batch] \
                         rows` or a longer `lease` in every consumer of the group would spare that"
                    );
                    rest.extend([&part[half..], &part[..half]]);
                    is_plain = false;
                }
            }
        }
        Ok(())
    }

    /// Encodes rows under the batch's token, or one of their own. A token must never name two sets of rows.
    fn encode(&self, rows: &[&Row], start: i64, end: i64, is_plain: bool) -> Result<(String, Block), Stop> {
        let size = rows
            .iter()
            .map(|row| 1024 + row.frame.body().map_or(0, <[u8]>::len))
            .sum();
        let mut bytes = Vec::with_capacity(size);
        rows.iter().for_each(|row| row.encode(&self.origin, &mut bytes));
        let mut token = format!("{}{start}-{end}", token_prefix(&self.origin));
        if !is_plain {
            let first = rows.iter().map(|row| row.offset).min().unwrap_or(start);
            token = format!("{token}/{}-from-{first}", rows.len());
        }
        let block = Block::new(&bytes, rows.len()).map_err(|error| Stop::Sink("compressing rows", error))?;
        Ok((token, block))
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
