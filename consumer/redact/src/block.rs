//! Sixty-four bytes at a time: which of them are what, as bits.

mod lanes;

#[cfg(test)]
pub(crate) use lanes::Usual;
pub(crate) use lanes::{Lanes, PLACES, Sieve};

/// Bytes in a block; bit `i` of a mask is byte `i`.
pub(crate) const WIDTH: usize = 64;

/// Work over blocks, the same whatever instructions do it.
pub(crate) trait Work {
    /// What comes of it.
    type Out;

    /// Does it. To be `#[inline(always)]`, or it is not compiled for the processor's own instructions.
    fn run<L: Lanes>(self) -> Self::Out;
}

/// Does the work with the widest instructions that the processor has.
#[inline]
pub(crate) fn run<W: Work>(work: W) -> W::Out {
    lanes::run(work)
}

/// A block of a text.
#[derive(Clone, Copy)]
pub(crate) struct Block<L>(L);

impl<L: Lanes> Block<L> {
    /// The block of `src` at `at`; behind the end stand spaces, which mean nothing to any scanner here.
    #[inline(always)]
    pub(crate) fn at(src: &[u8], at: usize) -> Self {
        match src[at..].first_chunk::<WIDTH>() {
            Some(bytes) => Self(L::load(bytes)),
            None => Self(L::load(&padded(&src[at..]))),
        }
    }

    /// Where the byte is `byte`.
    #[inline(always)]
    pub(crate) fn is(&self, byte: u8) -> u64 {
        self.0.equal(byte)
    }

    /// Where the byte is from `first` to `last`.
    #[inline(always)]
    pub(crate) fn within(&self, first: u8, last: u8) -> u64 {
        self.0.within(first, last)
    }

    /// Where the byte with its 0x20 bit set is from `first` to `last`: letters of either case.
    #[inline(always)]
    pub(crate) fn folded_within(&self, first: u8, last: u8) -> u64 {
        self.0.fold().within(first, last)
    }

    /// Where the byte is beyond ASCII.
    #[inline(always)]
    pub(crate) fn high(&self) -> u64 {
        self.0.high()
    }
}

#[cold]
fn padded(rest: &[u8]) -> [u8; WIDTH] {
    let mut bytes = [b' '; WIDTH];
    bytes[..rest.len()].copy_from_slice(rest);
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Block, Lanes, Usual, WIDTH, Work, run};
    use proptest::prelude::*;

    /// Every mask of a text.
    struct Masks<'s>(&'s [u8], u8, u8);

    impl Work for Masks<'_> {
        type Out = Vec<[u64; 4]>;

        #[inline(always)]
        fn run<L: Lanes>(self) -> Self::Out {
            let Self(bytes, first, last) = self;
            let masks = |at| {
                let block = Block::<L>::at(bytes, at);
                [
                    block.is(first),
                    block.within(first, last),
                    block.folded_within(first, last),
                    block.high(),
                ]
            };
            (0..bytes.len()).step_by(WIDTH).map(masks).collect()
        }
    }

    proptest! {
        #[test]
        fn masks_say_where_the_bytes_are(bytes in prop::collection::vec(any::<u8>(), 1..200), first in any::<u8>(), more in any::<u8>()) {
            let last = first.saturating_add(more);
            let masks = run(Masks(&bytes, first, last));
            prop_assert_eq!(&masks, &Masks(&bytes, first, last).run::<Usual>());
            for (number, [is, within, folded, high]) in masks.into_iter().enumerate() {
                for bit in 0..WIDTH {
                    let byte = bytes.get(number * WIDTH + bit).copied().unwrap_or(b' ');
                    let has = |mask: u64| mask >> bit & 1 == 1;
                    prop_assert_eq!(has(is), byte == first);
                    prop_assert_eq!(has(within), (first..=last).contains(&byte));
                    prop_assert_eq!(has(folded), (first..=last).contains(&(byte | 0x20)));
                    prop_assert_eq!(has(high), byte >= 0x80);
                }
            }
        }
    }
}
