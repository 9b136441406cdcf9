//! What the table says of a batch's frames and of what they go on with. The batch before may not be in the table yet: what it
//! has touched is in memory, and where that does not suffice it is waited for.

use foldhash::HashSet;
use tapedeck_schemas::{Frame, SessionKey};
use tracing::warn;
use uuid::Uuid;

use super::seen::Seen;
use super::{Batch, Loader};
use crate::calls::Calls;
use crate::record::Record;
use crate::redaction;
use crate::rows::{Row, Verdict};
use crate::stop::{Stop, persist};

/// Session keys with their sessions and exchanges, and segments, that one partition keeps in memory, and that all of them do.
const MEMORY: usize = 50_000;
const MEMORY_OF_ALL: usize = 200_000;

impl Loader {
    /// Reads back which offsets of a batch that ends at `end` are in the table already, as far as that is not known.
    pub(super) async fn look_up_loaded(&mut self, end: i64) -> Result<(), Stop> {
        while let Some(from) = self.state.loaded.unknown_below(end) {
            let page = persist("reading back", || self.sink.loaded(&self.origin, from)).await?;
            self.state.loaded.extend(page);
        }
        Ok(())
    }

    /// A record that an earlier version could not decode is taken for undecodable again: its stub is in the table, and what
    /// follows was counted without it.
    pub(super) fn keep_stubs(&self, records: &mut [Record]) {
        for record in records {
            let stored = self.state.loaded.hash(record.offset);
            if stored.is_some_and(|hash| hash == record.stub_hash(&self.origin)) {
                record.forget_content();
            }
        }
    }

    /// Offsets are no identity: a topic that was recreated begins at 0 again.
    pub(super) fn compare_with_loaded(&self, records: &[Record]) -> Result<(), Stop> {
        let differs = |record: &&Record| {
            let stored = self.state.loaded.hash(record.offset);
            stored.is_some_and(|hash| hash != record.hash(&self.origin))
        };
        match records.iter().find(differs) {
            Some(record) => Err(Stop::recreated(&self.origin, record.offset)),
            None => Ok(()),
        }
    }

    /// Reads back what memory lacks of the segments, sessions and exchanges that the batch goes on with.
    pub(super) async fn restore(&mut self, batch: &Batch) -> Result<(), Stop> {
        let frames = || batch.records.iter().filter_map(|record| record.content.as_deref().ok());
        self.under_way = frames().map(|frame| frame.segment_id).collect();
        let is_unknown = |segment: &Uuid| !self.state.segments.knows(*segment);
        let segments: HashSet<Uuid> = self.under_way.iter().copied().filter(is_unknown).collect();
        let missing = self.state.sessions.missing(frames());
        if segments.is_empty() && missing.is_empty() {
            return Ok(());
        }
        let past = persist("reading back", || {
            self.sink
                .past(&self.origin, batch.start, &segments, &missing, self.idle)
        })
        .await?;
        for (segment, ranges) in past.segments {
            self.state.segments.restore(segment, ranges);
        }
        self.state.sessions.restore(&missing, past.sessions, past.exchanges);
        Ok(())
    }

    /// Leaves out frames that were seen before, and tells forks from them by their hash.
    pub(super) async fn drop_duplicates(&mut self, batch: Batch) -> Result<Vec<(Record, Verdict)>, Stop> {
        let suspects: HashSet<(Uuid, i64)> = batch
            .records
            .iter()
            .filter_map(|record| record.content.as_deref().ok())
            .map(|frame| (frame.segment_id, frame.seq))
            .filter(|(segment, seq)| self.state.segments.contains(*segment, *seq))
            .collect();
        if !suspects.is_empty() {
            // Whom they repeat may be in the batch before.
            self.settled().await?;
        }
        let hashes = || self.sink.hashes(&self.origin, batch.start, &suspects);
        let mut seen = Seen::of(persist("looking up duplicates", hashes).await?);
        for waiting in self.state.parts.frames() {
            let frame = waiting.frame.frame();
            seen.note((frame.segment_id, frame.seq), frame.frame_hash);
        }
        let mut fresh = Vec::with_capacity(batch.records.len());
        for record in batch.records {
            let Ok(frame) = &record.content else {
                fresh.push((record, Verdict::Undecodable));
                continue;
            };
            if !record.is_sound {
                // Its sequence number may be a lie as well: it takes no other frame's place.
                self.metrics.tampered.inc();
                fresh.push((record, Verdict::Tampered));
                continue;
            }
            let (place, hash) = ((frame.segment_id, frame.seq), frame.frame_hash);
            let is_first = self.state.segments.insert(frame.segment_id, frame.seq);
            if !is_first && seen.knows(place, hash, &fresh) {
                self.metrics.duplicates.inc();
                continue;
            }
            let verdict = if is_first { Verdict::Intact } else { Verdict::Fork };
            if verdict == Verdict::Fork {
                self.metrics.forks.inc();
                warn!(
                    partition = self.origin.partition,
                    offset = record.offset,
                    "a fork: two frames with one number"
                );
            }
            fresh.push((record, verdict));
        }
        Ok(fresh)
    }

    /// Reads back the requests that answers of this batch may belong to, though they came back elsewhere.
    pub(super) async fn look_up_calls(&mut self, fresh: &[(Record, Verdict)], start: i64) -> Result<Calls, Stop> {
        let frames = || fresh.iter().filter_map(|(record, _)| record.content.as_deref().ok());
        let (redactor, known) = (&self.live.redactor, &mut self.state.clean);
        let mut calls = Calls::of(frames(), |id, frame| redaction::mask_id(id, frame, redactor, known));
        if calls.sought().is_empty() {
            return Ok(calls);
        }
        // Who asked may be in the batch before.
        self.settled().await?;
        let earliest = frames().map(|frame| frame.time).min().unwrap_or_default();
        let ask = || self.sink.asked(&self.origin, start, calls.sought(), earliest);
        let found = persist("reading back", ask).await?;
        calls.restore(found);
        Ok(calls)
    }

    /// Forgets what batches up to `stored` have touched, but for what waits for its message, and for what waited for it until
    /// the batch after them, which is `late`: its rows are not in the table yet.
    pub(super) fn forget<'a>(&mut self, stored: u64, late: impl IntoIterator<Item = &'a Row>) {
        let late: Vec<&Frame> = late.into_iter().map(|row| row.frame.frame()).collect();
        let waiting = || {
            let waiting = self.state.parts.frames().map(|waiting| waiting.frame.frame());
            waiting.chain(late.iter().copied())
        };
        let keys: HashSet<SessionKey> = waiting().map(|frame| frame.session_key).collect();
        let segments: HashSet<Uuid> = waiting().map(|frame| frame.segment_id).collect();
        let under_way = |segment: &Uuid| stored < self.batch && self.under_way.contains(segment);
        let memory = self.memory();
        self.state.sessions.forget(memory, stored, |key| keys.contains(key));
        self.state
            .segments
            .forget(memory, |segment| segments.contains(segment) || under_way(segment));
        self.metrics
            .session_keys
            .set(self.state.sessions.keys_in_memory() as i64);
    }

    /// Far more is in memory than should be, since one batch after the other touches it.
    pub(super) fn remembers_too_much(&self) -> bool {
        self.state.sessions.size().max(self.state.segments.len()) > 2 * self.memory()
    }

    fn memory(&self) -> usize {
        MEMORY.min(MEMORY_OF_ALL / self.budget.partitions().max(1))
    }
}
