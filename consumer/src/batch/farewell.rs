//! Settling writers that are gone: what they left unfinished will not be finished.

use std::time::Instant;

use foldhash::HashSet;
use tracing::{info, warn};
use uuid::Uuid;

use super::store::Prepared;
use super::{Loader, phase};
use crate::publish::unknown_event;
use crate::silence::Gone;
use crate::stop::{Stop, persist};

impl Loader {
    /// Settles writers of which nothing more comes, and returns the offset to commit. Everything that they have written to
    /// this partition must be loaded, but for messages that still wait for parts: those are let go, truncated.
    ///
    /// The calls that a silent one left open are published as `unknown`, then noted, then the writer is noted as settled:
    /// a crash in between repeats what may not have been done, under the same event ids.
    ///
    /// # Errors
    /// Only what no retry mends.
    pub async fn settle(&mut self, gone: &[Gone], end: i64) -> Result<i64, Stop> {
        let writers: HashSet<Uuid> = gone.iter().map(|gone| gone.writer).collect();
        let mut rows = Vec::new();
        for message in self.state.parts.give_up(|frame| writers.contains(&frame.writer_id)) {
            self.finish(message, &mut rows);
        }
        // What they held of the budget is nobody's any more.
        let mut reserved = self.budget.nothing();
        self.state.parts.keep_of(&mut reserved);
        let (there, commit) = self.places(&rows, end);
        let prepared = Prepared {
            start: end,
            end,
            rows,
            block: None,
            there,
            letters: Vec::new(),
            commit,
            newest: None,
            reserved,
            began: Instant::now(),
            trace: None,
        };
        let offset = self.store_now(prepared).await?;
        // Whoever is no owner any more leaves this to the one who is.
        self.storing().await?.prove().await?;
        for Gone { writer, stopped } in gone {
            if !stopped {
                self.publish_unknown(*writer).await?;
                // Also what an owner before has noted, who may have died before it could do this.
                let aggregate = || self.sink.aggregate_unknown(&self.origin, *writer);
                persist("aggregating unknown calls", aggregate).await?;
            }
            persist("noting a writer", || {
                self.sink.note_settled(&self.origin, *writer, *stopped)
            })
            .await?;
        }
        Ok(offset)
    }

    async fn publish_unknown(&mut self, writer: Uuid) -> Result<(), Stop> {
        let find = || self.sink.open_calls(&self.origin, writer);
        let calls = persist("looking for open calls", find).await?;
        let partition = self.origin.partition;
        if calls.is_empty() {
            info!(partition, %writer, "a writer is gone without a goodbye; it left no call open");
            return Ok(());
        }
        warn!(
            partition,
            %writer,
            calls = calls.len(),
            "a writer is gone without a goodbye: the ends of its open calls are unknown"
        );
        let events: Vec<_> = calls
            .iter()
            .map(|call| unknown_event(&call.frame, call.session))
            .collect();
        let told = || events.iter().cloned();
        self.storing().await?.deliver(told, &[]).await?;
        phase(&self.origin, "unknown_published", 0, 0);
        persist("noting open calls", || self.sink.note_unknown(&self.origin, &calls)).await?;
        self.metrics.unknown_calls.inc_by(calls.len() as u64);
        Ok(())
    }
}
