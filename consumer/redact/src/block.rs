//! Sixty-four bytes at a time: which of them are what, as bits.

/// Bytes in a block; bit `i` of a mask is byte `i`.
pub(crate) const WIDTH: usize = 64;

/// A block of a text.
#[derive(Clone, Copy)]
pub(crate) struct Block(lanes::Lanes);

impl Block {
    /// The block of `src` at `at`; behind the end stand spaces, which mean nothing to any scanner here.
    #[inline(always)]
    pub(crate) fn at(src: &[u8], at: usize) -> Self {
        match src[at..].first_chunk::<WIDTH>() {
            Some(bytes) => Self(lanes::load(bytes)),
            None => {
                let mut bytes = [b' '; WIDTH];
                bytes[..src.len() - at].copy_from_slice(&src[at..]);
                Self(lanes::load(&bytes))
            }
        }
    }

    /// Where the byte is `byte`.
    #[inline(always)]
    pub(crate) fn is(&self, byte: u8) -> u64 {
        lanes::equal(self.0, byte)
    }

    /// Where the byte is from `first` to `last`.
    #[inline(always)]
    pub(crate) fn within(&self, first: u8, last: u8) -> u64 {
        lanes::within(self.0, first, last)
    }

    /// Where the byte with its 0x20 bit set is from `first` to `last`: letters of either case.
    #[inline(always)]
    pub(crate) fn folded_within(&self, first: u8, last: u8) -> u64 {
        lanes::within(lanes::fold(self.0), first, last)
    }
}

#[cfg(target_arch = "x86_64")]
mod lanes {
    //! SSE2, which is a part of x86-64: Rust has no target of that architecture without it, so its instructions are
    //! there wherever this module is compiled. Written out lane by lane: closures over arrays are not inlined reliably.

    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
        _mm_sub_epi8,
    };

    pub(super) type Lanes = [__m128i; 4];

    #[inline(always)]
    pub(super) fn load(bytes: &[u8; 64]) -> Lanes {
        let (w, _) = bytes.as_chunks::<8>();
        [lane(w[0], w[1]), lane(w[2], w[3]), lane(w[4], w[5]), lane(w[6], w[7])]
    }

    #[inline(always)]
    fn lane(low: [u8; 8], high: [u8; 8]) -> __m128i {
        // SAFETY: the module says why the instruction exists; no pointer is involved.
        unsafe { _mm_set_epi64x(i64::from_le_bytes(high), i64::from_le_bytes(low)) }
    }

    #[inline(always)]
    pub(super) fn equal([a, b, c, d]: Lanes, byte: u8) -> u64 {
        // SAFETY: the module says why the instructions exist; no pointer is involved.
        unsafe {
            let wanted = _mm_set1_epi8(byte.cast_signed());
            bits(
                _mm_cmpeq_epi8(a, wanted),
                _mm_cmpeq_epi8(b, wanted),
                _mm_cmpeq_epi8(c, wanted),
                _mm_cmpeq_epi8(d, wanted),
            )
        }
    }

    #[inline(always)]
    pub(super) fn within([a, b, c, d]: Lanes, first: u8, last: u8) -> u64 {
        bits(
            lane_within(a, first, last),
            lane_within(b, first, last),
            lane_within(c, first, last),
            lane_within(d, first, last),
        )
    }

    #[inline(always)]
    fn lane_within(lane: __m128i, first: u8, last: u8) -> __m128i {
        // SAFETY: the module says why the instructions exist; no pointer is involved.
        unsafe {
            let above = _mm_sub_epi8(lane, _mm_set1_epi8(first.cast_signed()));
            let most = _mm_set1_epi8((last - first).cast_signed());
            _mm_cmpeq_epi8(_mm_min_epu8(above, most), above)
        }
    }

    #[inline(always)]
    pub(super) fn fold([a, b, c, d]: Lanes) -> Lanes {
        // SAFETY: the module says why the instructions exist; no pointer is involved.
        unsafe {
            let bit = _mm_set1_epi8(0x20);
            [
                _mm_or_si128(a, bit),
                _mm_or_si128(b, bit),
                _mm_or_si128(c, bit),
                _mm_or_si128(d, bit),
            ]
        }
    }

    #[inline(always)]
    fn bits(a: __m128i, b: __m128i, c: __m128i, d: __m128i) -> u64 {
        // SAFETY: the module says why the instructions exist; no pointer is involved.
        let [a, b, c, d] = unsafe {
            [
                _mm_movemask_epi8(a),
                _mm_movemask_epi8(b),
                _mm_movemask_epi8(c),
                _mm_movemask_epi8(d),
            ]
        };
        // The upper half of each is zero.
        let [a, b, c, d] = [a as u64, b as u64, c as u64, d as u64];
        a | b << 16 | c << 32 | d << 48
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod lanes {
    pub(super) type Lanes = [u8; 64];

    pub(super) fn load(bytes: &[u8; 64]) -> Lanes {
        *bytes
    }

    pub(super) fn equal(lanes: Lanes, byte: u8) -> u64 {
        bits(lanes, |lane| lane == byte)
    }

    pub(super) fn within(lanes: Lanes, first: u8, last: u8) -> u64 {
        bits(lanes, |lane| lane.wrapping_sub(first) <= last - first)
    }

    pub(super) fn fold(lanes: Lanes) -> Lanes {
        lanes.map(|lane| lane | 0x20)
    }

    fn bits(lanes: Lanes, test: impl Fn(u8) -> bool) -> u64 {
        lanes
            .iter()
            .enumerate()
            .fold(0, |bits, (at, lane)| bits | u64::from(test(*lane)) << at)
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, WIDTH};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn masks_say_where_the_bytes_are(bytes in prop::collection::vec(any::<u8>(), 1..100), first in any::<u8>(), more in any::<u8>()) {
            let last = first.saturating_add(more);
            for at in (0..bytes.len()).step_by(WIDTH) {
                let block = Block::at(&bytes, at);
                for bit in 0..WIDTH {
                    let byte = bytes.get(at + bit).copied().unwrap_or(b' ');
                    prop_assert_eq!(block.is(first) >> bit & 1 == 1, byte == first);
                    prop_assert_eq!(block.within(first, last) >> bit & 1 == 1, (first..=last).contains(&byte));
                    prop_assert_eq!(block.folded_within(first, last) >> bit & 1 == 1, (first..=last).contains(&(byte | 0x20)));
                }
            }
        }
    }
}
