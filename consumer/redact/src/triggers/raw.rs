//! What only raw JSON has: escapes that may hide something from the search, and keys.

use super::{
    Cause, Hit,
    left::{Wide, positions},
    seen::Seen,
};
use crate::{
    block::{Block, Lanes},
    fold,
    key_names::KeyNames,
};

/// A search of raw JSON.
pub(super) struct Raw<'s> {
    src: &'s [u8],
    keys: &'s KeyNames,
    backslashes: u64,
}

impl<'s> Raw<'s> {
    pub(super) fn new(src: &'s [u8], keys: &'s KeyNames) -> Self {
        Self {
            src,
            keys,
            backslashes: 0,
        }
    }

    #[inline(always)]
    pub(super) fn block<L: Lanes>(&mut self, start: usize, block: &Block<L>, seen: &Seen, hits: &mut Vec<Hit>) {
        if (seen.backslashes | self.backslashes >> 63) != 0 {
            let hiding = block.is(b'u') | seen.slashes;
            let escapes = Wide::new(seen.backslashes, &mut self.backslashes).before(1).now() & hiding;
            for at in positions(start, escapes) {
                if self.hides(at) {
                    hits.push(look(at));
                }
            }
        }
        self.backslashes = seen.backslashes;
        // Behind a key stands a colon, or white space before it, escaped or not; in the next block, anything may.
        let follows = seen.colons | seen.spaces | seen.backslashes | block.within(b'\t', b'\r');
        for at in positions(start, block.is(b'"') & (follows >> 1 | 1 << 63)) {
            if self.ends_key(at + 1)
                && let Some(last) = self.keys.may_end(&self.src[..at])
            {
                hits.push(look(last));
            }
        }
    }

    /// Whether the escape whose second byte is at `at` stands for a character that rules look at.
    fn hides(&self, at: usize) -> bool {
        if self.src[at] == b'/' {
            return true;
        }
        let Some(hex) = self.src.get(at + 1..at + 5) else {
            return false;
        };
        let digits: Option<u32> = hex.iter().try_fold(0, |code, byte| {
            char::from(*byte).to_digit(16).map(|digit| code * 16 + digit)
        });
        match digits {
            // The first half of the mathematical letters and digits, among others.
            Some(0xD800..0xDC00) => true,
            Some(code) => code < 0x80 || char::from_u32(code).is_some_and(|c| fold::folded(c).is_some()),
            None => false,
        }
    }

    /// Whether a colon follows, behind white space at most: escaped too, as in JSON in a string.
    fn ends_key(&self, mut at: usize) -> bool {
        while let Some(byte) = self.src.get(at) {
            match byte {
                b':' => return true,
                b' ' | b'\t' | b'\n' | b'\r' | b'\\' => at += 1,
                b'n' | b't' | b'r' if self.src[at - 1] == b'\\' => at += 1,
                _ => return false,
            }
        }
        false
    }
}

fn look(at: usize) -> Hit {
    Hit {
        at: at as u32,
        cause: Cause::Look,
    }
}
