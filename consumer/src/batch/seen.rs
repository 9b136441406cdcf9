use std::collections::hash_map::Entry;

use foldhash::HashMap;
use tapedeck_schemas::Digest;
use uuid::Uuid;

/// The hashes of the frames that have been seen at places of segments.
pub(super) struct Seen {
    /// Nearly every place has one.
    pub(super) first: HashMap<(Uuid, i64), Digest>,
    /// Those of earlier batches, and forks.
    pub(super) more: HashMap<(Uuid, i64), Vec<Digest>>,
}

impl Seen {
    /// Notes a frame's hash; false if it was there.
    pub(super) fn is_new(&mut self, place: (Uuid, i64), hash: Digest) -> bool {
        if !self.more.is_empty() && self.more.get(&place).is_some_and(|hashes| hashes.contains(&hash)) {
            return false;
        }
        match self.first.entry(place) {
            Entry::Vacant(vacant) => {
                vacant.insert(hash);
                true
            }
            Entry::Occupied(first) if *first.get() == hash => false,
            Entry::Occupied(_) => {
                self.more.entry(place).or_default().push(hash);
                true
            }
        }
    }
}
