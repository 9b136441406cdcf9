//! Positions worth looking at in a JSON text: quotes, structural characters, beginnings of numbers and literals.

use super::Broken;
use crate::block::{self, Block, Lanes, WIDTH, Work};

/// Every other bit.
const EVEN: u64 = 0x5555_5555_5555_5555;

/// Reports positions in ascending order. Between the quotes of a string there are none.
pub(super) struct Scanner<'s> {
    src: &'s [u8],
    /// Where the next block starts.
    next: usize,
    /// Positions of the current block that have not been reported.
    bits: u64,
    /// Whether the next block's first byte is escaped by the last of this one.
    escaped: bool,
    /// All ones if the next block starts inside a string.
    inside: u64,
    /// Whether this block ends inside a number or a literal.
    scalar: bool,
}

impl<'s> Scanner<'s> {
    pub(super) fn new(src: &'s [u8]) -> Self {
        Self {
            src,
            next: 0,
            bits: 0,
            escaped: false,
            inside: 0,
            scalar: false,
        }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<usize>, Broken> {
        while self.bits == 0 {
            if self.next >= self.src.len() {
                // An open string never ends.
                return if self.inside == 0 {
                    Ok(None)
                } else {
                    Err(Broken::Syntax)
                };
            }
            self.load()?;
        }
        let at = self.next - WIDTH + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Ok(Some(at))
    }

    fn load(&mut self) -> Result<(), Broken> {
        let start = self.next;
        let masks = block::run(Classify { src: self.src, start });
        self.next += WIDTH;
        let escaped = self.escaped_by(masks.backslashes);
        let quotes = masks.quotes & !escaped;
        // A bit is set from each opening quote up to before the closing one.
        let mut inside = quotes;
        for shift in [1, 2, 4, 8, 16, 32] {
            inside ^= inside << shift;
        }
        inside ^= self.inside;
        self.inside = (inside.cast_signed() >> 63).cast_unsigned();
        if masks.controls & inside != 0 {
            return Err(Broken::Syntax);
        }
        if escaped & inside != 0 {
            self.check_escapes(start, escaped & inside & !masks.quotes & !masks.backslashes)?;
        }
        let operators = masks.operators & !inside;
        let scalar = !(operators | masks.spaces | inside | quotes);
        let starts = scalar & !(scalar << 1 | u64::from(self.scalar));
        self.scalar = scalar >> 63 == 1;
        self.bits = operators | quotes | starts;
        Ok(())
    }

    /// The bytes behind an odd number of backslashes, where `backslashes` has them all.
    fn escaped_by(&mut self, backslashes: u64) -> u64 {
        if backslashes == 0 {
            return u64::from(std::mem::take(&mut self.escaped));
        }
        // A backslash that is itself escaped starts nothing.
        let backslashes = backslashes & !u64::from(self.escaped);
        let follows = backslashes << 1 | u64::from(self.escaped);
        // Adding a run to its own start carries to the byte behind it; runs that start on odd bytes are told apart.
        let odd_starts = backslashes & !EVEN & !follows;
        let (carried, overflow) = odd_starts.overflowing_add(backslashes);
        self.escaped = overflow;
        (EVEN ^ (carried << 1)) & follows
    }

    /// Only the escapes of RFC 8259 section 7. A lone surrogate is allowed: section 8.2 leaves it to the receiver, and
    /// dropping a body for it would lose what other parsers accept.
    fn check_escapes(&self, start: usize, mut escaped: u64) -> Result<(), Broken> {
        while escaped != 0 {
            let at = start + escaped.trailing_zeros() as usize;
            escaped &= escaped - 1;
            let sound = match self.src.get(at) {
                Some(b'n' | b'/' | b'b' | b'f' | b'r' | b't') => true,
                Some(b'u') => self
                    .src
                    .get(at + 1..at + 5)
                    .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
                _ => false,
            };
            if !sound {
                return Err(Broken::Syntax);
            }
        }
        Ok(())
    }
}

/// Which bytes of a block mean something to JSON.
struct Masks {
    backslashes: u64,
    quotes: u64,
    controls: u64,
    operators: u64,
    spaces: u64,
}

struct Classify<'s> {
    src: &'s [u8],
    start: usize,
}

impl Work for Classify<'_> {
    type Out = Masks;

    #[inline(always)]
    fn run<L: Lanes>(self) -> Masks {
        let block = Block::<L>::at(self.src, self.start);
        let controls = block.within(0, 0x1F);
        // Most texts have neither line ends nor tabs.
        let white = if controls == 0 {
            0
        } else {
            block.is(b'\t') | block.is(b'\n') | block.is(b'\r')
        };
        // "[" and "]" differ from "{" and "}" by 0x20 alone.
        let brackets = block.folded_within(b'{', b'{') | block.folded_within(b'}', b'}');
        Masks {
            backslashes: block.is(b'\\'),
            quotes: block.is(b'"'),
            controls,
            operators: brackets | block.is(b',') | block.is(b':'),
            spaces: block.is(b' ') | white,
        }
    }
}
