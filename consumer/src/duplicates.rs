//! Which frames have been seen: ranges of `seq` per segment.
//!
//! A frame at a (segment, seq) that has been seen is a duplicate if its hash is that of the first (a spool replay, a
//! redelivery), and a fork if not. Hashes are not kept here: for the few frames that are suspect they are looked up.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use foldhash::HashMap;
use uuid::Uuid;

/// A set of numbers as ranges: dense numbering makes it one range, however many numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// First number to last number. Invariant: ranges neither overlap nor touch.
    ranges: BTreeMap<i64, i64>,
}

impl Ranges {
    /// Adds `number`; false if it was there.
    pub fn insert(&mut self, number: i64) -> bool {
        // Nearly always it is the next.
        if let Some(mut last) = self.ranges.last_entry()
            && last.get().checked_add(1) == Some(number)
        {
            *last.get_mut() = number;
            return true;
        }
        if self.contains(number) {
            return false;
        }
        self.add(number..=number);
        true
    }

    /// Adds all numbers of a range.
    pub fn add(&mut self, range: RangeInclusive<i64>) {
        let (mut first, mut last) = range.into_inner();
        if last < first {
            return;
        }
        // Every range that overlaps or touches the new one is swallowed.
        while let Some((&start, &end)) = self.ranges.range(..=last.saturating_add(1)).next_back()
            && end >= first.saturating_sub(1)
        {
            first = first.min(start);
            last = last.max(end);
            self.ranges.remove(&start);
        }
        self.ranges.insert(first, last);
    }

    /// Whether `number` is there.
    #[must_use]
    pub fn contains(&self, number: i64) -> bool {
        self.ranges
            .range(..=number)
            .next_back()
            .is_some_and(|(_, &last)| number <= last)
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<i64>> {
        self.ranges.iter().map(|(&first, &last)| first..=last)
    }
}

/// The segments in memory.
#[derive(Debug, Default)]
pub struct Segments(HashMap<Uuid, Ranges>);

impl Segments {
    /// Whether the segment's past is in memory; if not, it has to be restored before [`insert`](Self::insert).
    #[must_use]
    pub fn knows(&self, segment: Uuid) -> bool {
        self.0.contains_key(&segment)
    }

    /// Takes in what rows say of a segment, which may be nothing.
    pub fn restore(&mut self, segment: Uuid, ranges: impl IntoIterator<Item = RangeInclusive<i64>>) {
        let known = self.0.entry(segment).or_default();
        ranges.into_iter().for_each(|range| known.add(range));
    }

    /// Notes a frame; false if one was seen at this place.
    pub fn insert(&mut self, segment: Uuid, seq: i64) -> bool {
        self.0.entry(segment).or_default().insert(seq)
    }

    /// Whether a frame was seen at this place.
    #[must_use]
    pub fn contains(&self, segment: Uuid, seq: i64) -> bool {
        self.0.get(&segment).is_some_and(|ranges| ranges.contains(seq))
    }

    /// How many are in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// With more than `limit` segments in memory, forgets them; what is needed again is read back. Those that `waits` names,
    /// some of whose rows are not in the table yet, stay.
    pub fn forget(&mut self, limit: usize, waits: impl Fn(&Uuid) -> bool) {
        if self.0.len() > limit {
            self.0.retain(|segment, _| waits(segment));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_what_a_set_holds(numbers in prop::collection::vec((0_i64..60, 0_i64..4), 0..80)) {
            let mut set = BTreeSet::new();
            let mut ranges = Ranges::default();
            for (number, more) in numbers {
                if more == 0 {
                    prop_assert_eq!(ranges.insert(number), set.insert(number));
                } else {
                    ranges.add(number..=number + more);
                    set.extend(number..=number + more);
                }
                let listed: Vec<i64> = ranges.iter().flatten().collect();
                prop_assert_eq!(listed, set.iter().copied().collect::<Vec<_>>());
            }
            let ranges: Vec<_> = ranges.iter().collect();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end() + 1 < *pair[1].start()), "ranges do not touch");
        }
    }

    #[test]
    fn the_ends_of_the_number_line_do_not_overflow() {
        let mut ranges = Ranges::default();
        assert!(ranges.insert(i64::MAX));
        assert!(ranges.insert(i64::MIN));
        assert!(!ranges.insert(i64::MAX));
        assert!(ranges.contains(i64::MIN) && !ranges.contains(0));
    }
}
