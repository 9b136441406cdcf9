//! The instructions behind a block: AVX2 where the processor has it, SSE2 on any other x86-64, plain Rust elsewhere.

use super::{WIDTH, Work};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(not(target_arch = "x86_64"))]
mod plain;
#[cfg(target_arch = "x86_64")]
mod sse2;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use plain::Plain as Usual;
#[cfg(target_arch = "x86_64")]
pub(crate) use sse2::Sse2 as Usual;

/// Sixty-four bytes, and what is asked of them. All methods are to be `#[inline(always)]`.
pub(crate) trait Lanes: Copy {
    /// These bytes.
    fn load(bytes: &[u8; WIDTH]) -> Self;

    /// Where the byte is `byte`.
    fn equal(self, byte: u8) -> u64;

    /// Where the byte is from `first` to `last`.
    fn within(self, first: u8, last: u8) -> u64;

    /// Every byte with its 0x20 bit set.
    fn fold(self) -> Self;

    /// Where the byte is 0x80 or more.
    fn high(self) -> u64;

    /// Where bytes start that a sieve lets through, in `window`'s first 64 bytes; `None` where there is no
    /// instruction for it.
    fn sift(window: &[u8; WIDTH + 8], sieve: &Sieve) -> Option<u64>;
}

/// Bytes that a sieve looks at.
pub(crate) const PLACES: usize = 4;

/// Sets of four bytes in sixteen groups. A byte may be at a place of a group if the tables of its lower and upper half
/// both have the group's bit there; four bytes pass if one group has all of them.
#[repr(align(32))]
pub(crate) struct Sieve {
    /// The groups that have any byte at the last place, beyond ASCII too; 32 times the same.
    pub(crate) any: [[u8; 32]; 2],
    /// For each place, lower half and upper half of the byte, for groups 0 to 7 and 8 to 15.
    ///
    /// Invariant: bytes 16 to 31 of a table are the first sixteen again, and bytes beyond ASCII have no bits.
    pub(crate) tables: [[[[u8; 32]; 2]; 2]; PLACES],
}

#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn run<W: Work>(work: W) -> W::Out {
    if has_avx2() {
        // SAFETY: the processor has what the function is compiled for: it was asked.
        unsafe { run_avx2(work) }
    } else {
        work.run::<Usual>()
    }
}

/// Whether the processor has AVX2 and what else `run_avx2` is compiled for, as all processors with AVX2 do. One answer for
/// all of it, remembered: it is asked for every few bytes.
#[cfg(target_arch = "x86_64")]
#[inline]
fn has_avx2() -> bool {
    use std::sync::OnceLock;

    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
    })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn run_avx2<W: Work>(work: W) -> W::Out {
    work.run::<avx2::Avx2>()
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(super) fn run<W: Work>(work: W) -> W::Out {
    work.run::<Usual>()
}
