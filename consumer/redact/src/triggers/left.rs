//! Masks that reach back into the blocks before.

/// A mask of the current block with the one before it, so that shifting left brings in earlier bytes.
#[derive(Clone, Copy)]
pub(super) struct Wide(u128);

impl Wide {
    /// `past` is the mask of the block before, and becomes this one's.
    #[inline(always)]
    pub(super) fn new(mask: u64, past: &mut u64) -> Self {
        let wide = u128::from(mask) << 64 | u128::from(*past);
        *past = mask;
        Self(wide)
    }

    /// The bits `by` bytes earlier.
    #[inline(always)]
    pub(super) fn before(self, by: u32) -> Self {
        Self(self.0 << by)
    }

    #[inline(always)]
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[inline(always)]
    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline(always)]
    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// How many bits are set, of both blocks.
    #[inline(always)]
    pub(super) fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// The current block's bits.
    #[inline(always)]
    pub(super) fn now(self) -> u64 {
        (self.0 >> 64) as u64
    }
}

/// How many bits in a row end the block before, up to as many as are asked for.
#[derive(Default)]
pub(super) struct Row(u32);

impl Row {
    /// Where a row of bits becomes `LENGTH` long: 2 to 64.
    #[inline(always)]
    pub(super) fn reaches<const LENGTH: u32>(&mut self, mask: u64) -> u64 {
        let before = self.0;
        // The row that goes on here ends with the first bit that is not set; all others are in this block only.
        let on = mask.trailing_ones();
        let mut rows = mask & mask.wrapping_add(1);
        let mut have = 1;
        while have < LENGTH {
            let step = have.min(LENGTH - have);
            rows &= rows << step;
            have += step;
        }
        let mut found = rows & !(rows << 1);
        if before < LENGTH && before + on >= LENGTH {
            found |= 1 << (LENGTH - 1 - before);
        }
        self.0 = if mask == u64::MAX {
            LENGTH.min(before + 64)
        } else {
            mask.leading_ones()
        };
        found
    }
}

/// The positions of the bits of `mask`, of a block that starts at `start`.
pub(super) fn positions(start: usize, mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let at = start + mask.trailing_zeros() as usize;
            mask &= mask - 1;
            at
        })
    })
}

#[cfg(test)]
mod tests {
    use super::Row;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_row_is_reported_once_where_it_is_long_enough(lengths in prop::collection::vec((0_usize..150, 1_usize..3), 1..12)) {
            let mut bits: Vec<bool> = Vec::new();
            for (set, clear) in lengths {
                bits.extend(std::iter::repeat_n(true, set).chain(std::iter::repeat_n(false, clear)));
            }
            let (mut row, mut found) = (Row::default(), Vec::new());
            for (number, block) in bits.chunks(64).enumerate() {
                let mask = block.iter().enumerate().fold(0, |mask, (at, bit)| mask | u64::from(*bit) << at);
                found.extend(super::positions(64 * number, row.reaches::<24>(mask)));
            }
            let ends = |at: &usize| bits[at - 23..=*at].iter().all(|bit| *bit) && (*at == 23 || !bits[at - 24]);
            let expected: Vec<usize> = (23..bits.len()).filter(ends).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
