//! What more than one search of a block wants to know of it.

use crate::block::{Block, Lanes};

/// Masks of a block.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) digits: u64,
    /// ASCII's, of either case.
    pub(super) letters: u64,
    pub(super) spaces: u64,
    pub(super) dashes: u64,
    pub(super) colons: u64,
    pub(super) slashes: u64,
    pub(super) backslashes: u64,
}

impl Seen {
    #[inline(always)]
    pub(super) fn of<L: Lanes>(block: &Block<L>) -> Self {
        Self {
            digits: block.within(b'0', b'9'),
            letters: block.folded_within(b'a', b'z'),
            spaces: block.is(b' '),
            dashes: block.is(b'-'),
            colons: block.is(b':'),
            slashes: block.is(b'/'),
            backslashes: block.is(b'\\'),
        }
    }
}
