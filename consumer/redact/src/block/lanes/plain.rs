//! Byte by byte, for compilers to make the best of.

use super::{Lanes, Sieve, WIDTH};

#[derive(Clone, Copy)]
pub(crate) struct Plain([u8; WIDTH]);

impl Lanes for Plain {
    #[inline(always)]
    fn load(bytes: &[u8; WIDTH]) -> Self {
        Self(*bytes)
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> u64 {
        self.bits(|lane| lane == byte)
    }

    #[inline(always)]
    fn within(self, first: u8, last: u8) -> u64 {
        self.bits(|lane| lane.wrapping_sub(first) <= last - first)
    }

    #[inline(always)]
    fn fold(self) -> Self {
        Self(self.0.map(|lane| lane | 0x20))
    }

    #[inline(always)]
    fn high(self) -> u64 {
        self.bits(|lane| lane >= 0x80)
    }

    /// A lookup for each byte is as fast.
    #[inline(always)]
    fn sift(_: &[u8; WIDTH + 8], _: &Sieve) -> Option<u64> {
        None
    }
}

impl Plain {
    #[inline(always)]
    fn bits(self, test: impl Fn(u8) -> bool) -> u64 {
        let bit = |bits, (at, lane): (usize, &u8)| bits | u64::from(test(*lane)) << at;
        self.0.iter().enumerate().fold(0, bit)
    }
}
