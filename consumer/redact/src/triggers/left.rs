//! Masks that reach back into the block before.

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

    /// Where the last `length` bytes all have their bit: 1 to 64.
    #[inline(always)]
    pub(super) fn runs(self, length: u32) -> Self {
        let (mut bits, mut have) = (self.0, 1);
        while have < length {
            let step = have.min(length - have);
            bits &= bits << step;
            have += step;
        }
        Self(bits)
    }

    /// Where a run becomes `length` long.
    #[inline(always)]
    pub(super) fn reaches(self, length: u32) -> Self {
        let runs = self.runs(length);
        runs.without(runs.before(1))
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
