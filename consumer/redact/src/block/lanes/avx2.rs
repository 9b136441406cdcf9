//! AVX2. Only `run_avx2` names this type, and it is called where the processor has been asked for these instructions:
//! that is the proof of every `unsafe` here that none of them is missing.

use super::{Lanes, Sieve, WIDTH};
use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_sub_epi8,
};

#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256i, __m256i);

impl Lanes for Avx2 {
    #[inline(always)]
    fn load(bytes: &[u8; WIDTH]) -> Self {
        let (halves, _) = bytes.as_chunks::<32>();
        Self(half(&halves[0]), half(&halves[1]))
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> u64 {
        // SAFETY: see above; no pointer is involved.
        unsafe {
            let wanted = _mm256_set1_epi8(byte.cast_signed());
            bits(_mm256_cmpeq_epi8(self.0, wanted), _mm256_cmpeq_epi8(self.1, wanted))
        }
    }

    #[inline(always)]
    fn within(self, first: u8, last: u8) -> u64 {
        // SAFETY: see above; no pointer is involved.
        unsafe {
            let least = _mm256_set1_epi8(first.cast_signed());
            let most = _mm256_set1_epi8((last - first).cast_signed());
            let (a, b) = (_mm256_sub_epi8(self.0, least), _mm256_sub_epi8(self.1, least));
            bits(
                _mm256_cmpeq_epi8(_mm256_min_epu8(a, most), a),
                _mm256_cmpeq_epi8(_mm256_min_epu8(b, most), b),
            )
        }
    }

    #[inline(always)]
    fn fold(self) -> Self {
        // SAFETY: see above; no pointer is involved.
        unsafe {
            let bit = _mm256_set1_epi8(0x20);
            Self(_mm256_or_si256(self.0, bit), _mm256_or_si256(self.1, bit))
        }
    }

    #[inline(always)]
    fn high(self) -> u64 {
        bits(self.0, self.1)
    }

    #[inline(always)]
    fn sift(window: &[u8; WIDTH + 8], sieve: &Sieve) -> Option<u64> {
        let (lower, upper) = (passes(window, 0, sieve), passes(window, 32, sieve));
        Some(u64::from(lower) | u64::from(upper) << 32)
    }
}

#[inline(always)]
fn half(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: see above; as many bytes are read as the array has, from any address.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline(always)]
fn bits(a: __m256i, b: __m256i) -> u64 {
    // SAFETY: see above; no pointer is involved.
    let (a, b) = unsafe { (_mm256_movemask_epi8(a), _mm256_movemask_epi8(b)) };
    u64::from(a.cast_unsigned()) | u64::from(b.cast_unsigned()) << 32
}

/// Where bytes pass that start in the 32 at `at`.
#[inline(always)]
fn passes(window: &[u8; WIDTH + 8], at: usize, sieve: &Sieve) -> u32 {
    let [first, second, third, fourth] = &sieve.tables;
    let (a, b) = groups(window, at, first);
    let (c, d) = groups(window, at + 1, second);
    let (e, f) = groups(window, at + 2, third);
    let (g, h) = groups(window, at + 3, fourth);
    let (any_low, any_high) = (half(&sieve.any[0]), half(&sieve.any[1]));
    // SAFETY: see above; no pointer is involved.
    let none = unsafe {
        let (g, h) = (_mm256_or_si256(g, any_low), _mm256_or_si256(h, any_high));
        let low = _mm256_and_si256(_mm256_and_si256(a, c), _mm256_and_si256(e, g));
        let high = _mm256_and_si256(_mm256_and_si256(b, d), _mm256_and_si256(f, h));
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_or_si256(low, high), _mm256_setzero_si256()))
    };
    !none.cast_unsigned()
}

/// The groups that let each byte through at a place, eight and eight.
#[inline(always)]
fn groups(window: &[u8; WIDTH + 8], at: usize, tables: &[[[u8; 32]; 2]; 2]) -> (__m256i, __m256i) {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&window[at..at + 32]);
    let bytes = half(&bytes);
    let [[lower_low, lower_high], [upper_low, upper_high]] = tables;
    // SAFETY: see above; no pointer is involved. As an index, a byte beyond ASCII gives zero.
    unsafe {
        let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(0x0F));
        (
            _mm256_and_si256(
                _mm256_shuffle_epi8(half(lower_low), bytes),
                _mm256_shuffle_epi8(half(upper_low), upper),
            ),
            _mm256_and_si256(
                _mm256_shuffle_epi8(half(lower_high), bytes),
                _mm256_shuffle_epi8(half(upper_high), upper),
            ),
        )
    }
}
