//! Shapes that need no keyword: rows of digits, addresses, the beginnings of encoded text.
//!
//! Masks find them, and a cheap look at the bytes around confirms them. Over raw bytes a letter may be the second half of
//! an escape (`\n4111…`), so no confirmation here asks what stands before.

use super::{
    Cause, Hit,
    confirm::{character, has_exponent, is_ipv6, is_phone, may_be_iban, rows_at, word_length},
    left::{Row, Wide, positions},
    seen::Seen,
};
use crate::{
    block::{Block, Lanes},
    encoded, fold, validate,
};

/// What a rule without keywords waits for. The names are those of the pack format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// `@`.
    At,
    /// Nine digits or more, with at most a space or a dash between any two, and eleven bytes or more in all.
    Digits,
    /// Such a row that holds a payment card number.
    Card,
    /// Three, two and four digits with dashes between.
    Ssn,
    /// Two letters of a country that has IBANs, and two digits.
    Iban,
    /// Four numbers with dots between.
    Ipv4,
    /// Hexadecimal groups with colons that read as an address.
    Ipv6,
    /// Six pairs of hexadecimal digits.
    Mac,
    /// `+` and at least eight digits.
    Phone,
    /// `0x` and at least forty hexadecimal digits.
    HexAddress,
    /// Twenty-six letters and digits or more, the first of them `1` or `3`.
    Base58,
}

impl Shape {
    /// The shape that packs call `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "at" => Self::At,
            "digits" => Self::Digits,
            "card" => Self::Card,
            "us-ssn" => Self::Ssn,
            "iban" => Self::Iban,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "mac" => Self::Mac,
            "phone" => Self::Phone,
            "hex-address" => Self::HexAddress,
            "base58" => Self::Base58,
            _ => return None,
        })
    }
}

/// Bytes of a row of digits before it is looked at: the length of a social security number.
pub(super) const ROW: u32 = 11;
/// Bytes of encoded text before it is looked at.
const BLOB: u32 = encoded::SHORTEST_RUN as u32;
/// Letters and digits of the shortest address in base58.
const BASE58: u32 = 26;
/// Letters and digits of the longest address in base58.
const LONGEST_BASE58: usize = 35;
/// The shapes that rules of an engine wait for.
pub(super) struct Shapes(Vec<Shape>);

impl Shapes {
    pub(super) fn new(wanted: &[Shape]) -> Self {
        Self(wanted.to_vec())
    }

    pub(super) fn search<'s>(&'s self, text: &'s [u8]) -> Search<'s> {
        Search {
            wanted: &self.0,
            text,
            past: Past::default(),
        }
    }
}

/// Masks of the block before, and rows that it ends with.
#[derive(Default)]
struct Past {
    rows: Row,
    blobs: Row,
    words: Row,
    digits: u64,
    letters: u64,
    separators: u64,
    backslashes: u64,
    plain: u64,
    plus: u64,
    dots: u64,
    numbered: u64,
    chained: u64,
    colons: u64,
    pairs: u64,
    hex: u64,
    percent: u64,
}

/// A search of one text.
pub(super) struct Search<'s> {
    wanted: &'s [Shape],
    text: &'s [u8],
    past: Past,
}

impl Search<'_> {
    #[inline(always)]
    pub(super) fn block<L: Lanes>(&mut self, start: usize, block: &Block<L>, seen: &Seen, hits: &mut Vec<Hit>) {
        let past = &mut self.past;
        let at_signs = block.is(b'@');
        let plus = block.is(b'+');
        let marks = block.high();
        let alphanumeric = seen.digits | seen.letters;
        let blob = alphanumeric | seen.dashes | plus | seen.slashes | block.is(b'_') | block.is(b'=');
        let blobs = past.blobs.reaches::<BLOB>(blob);
        let words = past.words.reaches::<BASE58>(alphanumeric);

        let digits = Wide::new(seen.digits, &mut past.digits);
        let letters = Wide::new(seen.letters, &mut past.letters);
        // A row goes on over one space or dash.
        let separators = Wide::new(seen.dashes | seen.spaces, &mut past.separators);
        let rows = past
            .rows
            .reaches::<ROW>(digits.or(separators.without(separators.before(1))).now());
        // The letter of an escape belongs to no word.
        let escapes = Wide::new(seen.backslashes, &mut past.backslashes).before(1).now();
        let plain = Wide::new(alphanumeric & !escapes, &mut past.plain);
        let ibans = digits
            .and(digits.before(1))
            .and(letters.before(2))
            .and(letters.without(plain.before(1)).before(3))
            .now();
        let hex = Wide::new(seen.digits | block.folded_within(b'a', b'f'), &mut past.hex);
        let zeros = digits.before(1).now() & block.is(b'x');
        let percent = Wide::new(block.is(b'%'), &mut past.percent).before(2).now();
        let phones = Wide::new(plus, &mut past.plus).before(1).now();
        let ipv4 = ipv4(digits, block.is(b'.'), past);
        let colons = colons(hex, seen, past);

        let rest = Rest {
            at_signs,
            rows,
            ibans,
            ipv4,
            pairs: colons.pairs,
            groups: colons.groups,
            phones: if phones == 0 {
                0
            } else {
                phones & (seen.digits | block.is(b'('))
            },
            zeros,
            words,
            blobs,
            percents: percent & hex.and(hex.before(1)).now(),
            folds: if marks == 0 {
                0
            } else {
                let leads = block.within(0xC2, 0xC2) | block.within(0xCD, 0xE3) | block.within(0xEF, 0xF0);
                marks & leads
            },
        };
        if rest.is_any() {
            confirm(self.text, start, &rest, self.wanted, hits);
        }
    }
}

/// Places in a block that are worth a closer look.
struct Rest {
    at_signs: u64,
    rows: u64,
    ibans: u64,
    ipv4: u64,
    pairs: u64,
    groups: u64,
    phones: u64,
    /// Where an `x` stands behind a digit.
    zeros: u64,
    words: u64,
    blobs: u64,
    percents: u64,
    folds: u64,
}

impl Rest {
    #[inline(always)]
    fn is_any(&self) -> bool {
        self.at_signs
            | self.rows
            | self.ibans
            | self.ipv4
            | self.pairs
            | self.groups
            | self.phones
            | self.zeros
            | self.words
            | self.blobs
            | self.percents
            | self.folds
            != 0
    }
}

#[inline(never)]
fn confirm(text: &[u8], start: usize, rest: &Rest, wanted: &[Shape], hits: &mut Vec<Hit>) {
    let mut hit = |at: usize, cause: Cause| hits.push(Hit { at: at as u32, cause });
    let mut shape = |at: usize, shape: Shape| {
        if wanted.contains(&shape) {
            hit(at, Cause::Shape(shape));
        }
    };
    positions(start, rest.at_signs).for_each(|at| shape(at, Shape::At));
    for at in positions(start, rest.rows) {
        rows_at(text, at, &mut shape);
    }
    for at in positions(start, rest.ibans) {
        if validate::has_iban_country(&text[at - 3..at - 1]) && may_be_iban(&text[at - 3..]) {
            shape(at, Shape::Iban);
        }
    }
    positions(start, rest.ipv4).for_each(|at| shape(at, Shape::Ipv4));
    positions(start, rest.pairs).for_each(|at| shape(at, Shape::Mac));
    for at in positions(start, rest.groups) {
        if is_ipv6(text, at) {
            shape(at, Shape::Ipv6);
        }
    }
    for at in positions(start, rest.phones) {
        let digits = text[at..].iter().take(24).take_while(|byte| is_phone(**byte));
        if digits.filter(|byte| byte.is_ascii_digit()).count() >= 8 {
            shape(at, Shape::Phone);
        }
    }
    for at in positions(start, rest.zeros) {
        let is_hex = |byte: &&u8| byte.is_ascii_hexdigit();
        if text[at - 1] == b'0' && text[at + 1..].iter().take(40).filter(is_hex).count() == 40 {
            shape(at, Shape::HexAddress);
        }
    }
    for at in positions(start, rest.words) {
        // Behind the letter of an escape the word starts one byte later.
        let from = at + 1 - BASE58 as usize;
        let first = matches!(text[from], b'1' | b'3') || matches!(text[from + 1], b'1' | b'3');
        // A longer word is a hash.
        if first && word_length(&text[from..]) <= LONGEST_BASE58 + 1 {
            shape(at, Shape::Base58);
        }
    }
    for at in positions(start, rest.blobs) {
        if encoded::begins_like_text(text, at + 1 - BLOB as usize) {
            hit(at, Cause::Blob);
        }
    }
    for at in positions(start, rest.rows) {
        if has_exponent(&text[at..]) {
            hit(at, Cause::Look);
        }
    }
    positions(start, rest.percents).for_each(|at| hit(at, Cause::Percent));
    for at in positions(start, rest.folds) {
        if fold::may_fold(text[at]) && character(text, at).is_some_and(|c| fold::folded(c).is_some()) {
            hit(at, Cause::Fold);
        }
    }
}

/// Where the fourth number of four with dots between begins.
#[inline(always)]
fn ipv4(digits: Wide, dots: u64, past: &mut Past) -> u64 {
    let dots = Wide::new(dots, &mut past.dots);
    // A digit behind a dot behind a digit; a number is one to three digits long.
    let second = digits.and(dots.before(1)).and(digits.before(2));
    let behind = |wide: Wide| wide.before(2).or(wide.before(3)).or(wide.before(4));
    let numbered = Wide::new(second.now(), &mut past.numbered);
    let third = numbered.and(behind(numbered));
    let chained = Wide::new(third.now(), &mut past.chained);
    numbered.and(behind(chained)).now()
}

struct Colons {
    /// Where the sixth of six pairs begins.
    pairs: u64,
    /// Where two colons may be a part of an address.
    groups: u64,
}

#[inline(always)]
fn colons(hex: Wide, seen: &Seen, past: &mut Past) -> Colons {
    let colons = Wide::new(seen.colons, &mut past.colons);
    let pair = Wide::new(seen.colons | seen.dashes, &mut past.pairs)
        .and(hex.before(1))
        .and(hex.before(2));
    let pairs = pair
        .and(pair.before(3))
        .and(pair.before(6))
        .and(pair.before(9))
        .and(pair.before(12))
        .now();
    let twice = colons.and(colons.before(1)).now();
    // All eight groups of an address that leaves none out have a colon with a hexadecimal digit before it.
    let many = colons.and(hex.before(1)).count() >= 7;
    Colons {
        pairs,
        groups: if many { seen.colons } else { twice },
    }
}
