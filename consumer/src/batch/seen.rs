use foldhash::HashMap;
use tapedeck_schemas::Digest;
use uuid::Uuid;

use crate::record::Record;
use crate::rows::Verdict;

/// The hashes of the frames that have been seen at places of segments. Nearly always nobody asks.
pub(super) struct Seen {
    /// Those of earlier batches, and those of this one as far as they were looked for.
    hashes: HashMap<(Uuid, i64), Vec<Digest>>,
    /// How many of this batch are among them.
    noted: usize,
}

impl Seen {
    /// With the hashes of earlier batches.
    pub(super) fn of(hashes: HashMap<(Uuid, i64), Vec<Digest>>) -> Self {
        Self { hashes, noted: 0 }
    }

    /// Notes a frame of an earlier batch.
    pub(super) fn note(&mut self, place: (Uuid, i64), hash: Digest) {
        self.hashes.entry(place).or_default().push(hash);
    }

    /// Whether this frame was seen at this place, in an earlier batch or among what is `fresh` in this one. What is tampered
    /// with takes no place.
    pub(super) fn knows(&mut self, place: (Uuid, i64), hash: Digest, fresh: &[(Record, Verdict)]) -> bool {
        for (record, verdict) in &fresh[self.noted..] {
            if let Ok(frame) = &record.content
                && *verdict != Verdict::Tampered
            {
                self.hashes
                    .entry((frame.segment_id, frame.seq))
                    .or_default()
                    .push(frame.frame_hash);
            }
        }
        self.noted = fresh.len();
        self.hashes.get(&place).is_some_and(|hashes| hashes.contains(&hash))
    }
}
