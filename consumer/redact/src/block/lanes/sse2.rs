//! SSE2, which is a part of x86-64: Rust has no target of that architecture without it, so its instructions are there
//! wherever this module is compiled. Written out lane by lane: closures over arrays are not inlined reliably.

use super::{Lanes, Sieve, WIDTH};
use std::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    _mm_sub_epi8,
};

#[derive(Clone, Copy)]
pub(crate) struct Sse2([__m128i; 4]);

impl Lanes for Sse2 {
    #[inline(always)]
    fn load(bytes: &[u8; WIDTH]) -> Self {
        let (quarters, _) = bytes.as_chunks::<16>();
        Self([
            quarter(&quarters[0]),
            quarter(&quarters[1]),
            quarter(&quarters[2]),
            quarter(&quarters[3]),
        ])
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> u64 {
        let Self([a, b, c, d]) = self;
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
    fn within(self, first: u8, last: u8) -> u64 {
        let Self([a, b, c, d]) = self;
        bits(
            lane_within(a, first, last),
            lane_within(b, first, last),
            lane_within(c, first, last),
            lane_within(d, first, last),
        )
    }

    #[inline(always)]
    fn fold(self) -> Self {
        let Self([a, b, c, d]) = self;
        // SAFETY: the module says why the instructions exist; no pointer is involved.
        unsafe {
            let bit = _mm_set1_epi8(0x20);
            Self([
                _mm_or_si128(a, bit),
                _mm_or_si128(b, bit),
                _mm_or_si128(c, bit),
                _mm_or_si128(d, bit),
            ])
        }
    }

    #[inline(always)]
    fn high(self) -> u64 {
        let Self([a, b, c, d]) = self;
        bits(a, b, c, d)
    }

    /// Shuffles by byte came later.
    #[inline(always)]
    fn sift(_: &[u8; WIDTH + 8], _: &Sieve) -> Option<u64> {
        None
    }
}

#[inline(always)]
fn quarter(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the module says why the instruction exists; as many bytes are read as the array has, from any address.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
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
