//! Keywords by four bytes of each, or three of those that have no more: a sieve lets few places through, and a bitmap of
//! 8 KiB answers for almost all of those that none stands there.

use super::{Cause, Hit, grams};
use crate::block::{Lanes, Sieve, WIDTH};
use memchr::memchr;

/// A word that rules wait for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keyword {
    /// At least three bytes, each with its 0x20 bit set, which makes letters of either case equal.
    folded: Box<[u8]>,
    /// The bytes as they have to be, where case counts.
    exact: Option<Box<[u8]>>,
    /// The rules that have it.
    pub(crate) rules: Vec<u16>,
    /// Each of the rules needs as many letters, digits and the like in a row, …
    run: usize,
    /// … not further from the keyword than this.
    reach: usize,
    /// Where in it a hit is.
    offset: u8,
}

impl Keyword {
    /// `word` is at least three bytes long; `exact` says that case counts.
    pub(crate) fn new(word: &str, exact: bool) -> Self {
        Self {
            folded: word.bytes().map(|byte| byte | 0x20).collect(),
            exact: exact.then(|| word.as_bytes().into()),
            rules: Vec::new(),
            run: usize::MAX,
            reach: 0,
            offset: 0,
        }
    }

    /// Adds a rule that needs `run` token bytes in a row within `reach` bytes; without a reach, anywhere.
    pub(crate) fn add(&mut self, rule: u16, run: usize, reach: Option<usize>) {
        self.rules.push(rule);
        self.run = self.run.min(if reach.is_some() { run } else { 0 });
        self.reach = self.reach.max(reach.unwrap_or(0));
    }

    /// Bytes of the keyword.
    pub(crate) fn len(&self) -> usize {
        self.folded.len()
    }

    /// Where in it a hit is, in bytes.
    pub(crate) fn offset(&self) -> usize {
        usize::from(self.offset)
    }

    /// Whether it stands there. In raw JSON, escapes may stand between it and the row that it needs, further away than in what
    /// it says: there, a backslash counts as a row.
    fn stands_at(&self, text: &[u8], start: usize, is_raw: bool) -> bool {
        let Some(found) = text.get(start..start + self.folded.len()) else {
            return false;
        };
        let same = match &self.exact {
            Some(exact) => found == &**exact,
            None => found
                .iter()
                .zip(&self.folded)
                .all(|(byte, folded)| byte | 0x20 == *folded),
        };
        same && (self.run < 6 || {
            let from = start.saturating_sub(self.reach);
            let to = text.len().min(start + self.folded.len() + self.reach);
            has_run(&text[from..to], self.run) || is_raw && memchr(b'\\', &text[from..to]).is_some()
        })
    }
}

/// Whether `length` token bytes stand in a row.
fn has_run(text: &[u8], length: usize) -> bool {
    let mut at = length - 1;
    while at < text.len() {
        // The run would have to cover this byte; without it, it can start behind it at the earliest.
        let back = text[at + 1 - length..=at]
            .iter()
            .rev()
            .position(|byte| !is_token(*byte));
        match back {
            None => return true,
            Some(back) => at += length - back,
        }
    }
    false
}

/// The bytes that keys and tokens are written in.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'/' | b'=' | b'~')
}

/// All keywords of an engine.
pub(super) struct Keywords {
    all: Vec<Keyword>,
    sieve: Box<Sieve>,
    /// A bit for each value of [`long`] and [`short`].
    bitmap: Box<[u64; 1024]>,
    /// Keyword, and where in it its bytes stand; ascending by their gram.
    entries: Vec<(u16, Entry)>,
    /// Where the entries start whose grams have these upper ten bits.
    starts: Vec<u16>,
}

#[derive(Clone, Copy)]
struct Entry {
    keyword: u16,
    offset: u8,
    /// Whether the keyword has three bytes only.
    is_short: bool,
}

impl Keywords {
    pub(super) fn new(mut all: Vec<Keyword>) -> Self {
        let mut bitmap = Box::new([0; 1024]);
        let mut entries = Vec::with_capacity(all.len());
        let words: Vec<&[u8]> = all.iter().map(|keyword| &*keyword.folded).collect();
        let (offsets, sieve) = grams::choose(&words);
        for (number, (word, offset)) in words.iter().zip(offsets).enumerate() {
            let (is_short, gram) = match word[usize::from(offset)..] {
                [a, b, c, d, ..] => (false, long(u32::from_le_bytes([a, b, c, d]))),
                [a, b, c] => (true, short(u32::from_le_bytes([a, b, c, 0]))),
                _ => unreachable!("a keyword has three bytes at least"),
            };
            bitmap[usize::from(gram) / 64] |= 1 << (gram % 64);
            // Rules, and so keywords, are far fewer than 65,536.
            let entry = Entry {
                keyword: number as u16,
                offset,
                is_short,
            };
            entries.push((gram, entry));
        }
        for (_, entry) in &entries {
            all[usize::from(entry.keyword)].offset = entry.offset;
        }
        entries.sort_by_key(|(gram, _)| *gram);
        let start = |upper: u16| entries.partition_point(|(gram, _)| gram >> 6 < upper) as u16;
        let starts = (0..=1024).map(start).collect();
        Self {
            all,
            sieve: Box::new(sieve),
            bitmap,
            entries,
            starts,
        }
    }

    pub(super) fn get(&self, number: u16) -> &Keyword {
        &self.all[usize::from(number)]
    }

    /// Keywords whose bytes start in the block at `start`; `is_raw` says that the text has JSON's escapes.
    #[inline(always)]
    pub(super) fn block<L: Lanes>(&self, text: &[u8], start: usize, is_raw: bool, hits: &mut Vec<Hit>) {
        const REACH: usize = WIDTH + 8;
        let mut copy = [0; REACH];
        let window = match text[start..].first_chunk::<REACH>() {
            Some(window) => window,
            None => {
                copy[..text.len() - start].copy_from_slice(&text[start..]);
                &copy
            }
        };
        let passed = L::sift(window, &self.sieve);
        let mut found = passed.unwrap_or_else(|| self.probe_all(window));
        while found != 0 {
            let bit = found.trailing_zeros() as usize;
            found &= found - 1;
            let Some(four) = window[bit..].first_chunk() else { break };
            let folded = u32::from_le_bytes(*four) | 0x2020_2020;
            if self.probe(folded) != 0 {
                self.confirm(text, start + bit, folded, is_raw, hits);
            }
        }
    }

    /// Where bytes start that a keyword may have.
    fn probe_all(&self, window: &[u8; WIDTH + 8]) -> u64 {
        let mut found = 0_u64;
        for step in 0..WIDTH / 4 {
            let Some(bytes) = window[4 * step..].first_chunk::<8>() else {
                break;
            };
            let folded = u64::from_le_bytes(*bytes) | 0x2020_2020_2020_2020;
            let four = self.probe(folded as u32)
                | self.probe((folded >> 8) as u32) << 1
                | self.probe((folded >> 16) as u32) << 2
                | self.probe((folded >> 24) as u32) << 3;
            found |= four << (4 * step);
        }
        found
    }

    /// 1 if a keyword may have these bytes, or the first three of them.
    #[inline(always)]
    fn probe(&self, folded: u32) -> u64 {
        let has = |gram: u16| self.bitmap[usize::from(gram / 64)] >> (gram % 64) & 1;
        has(long(folded)) | has(short(folded))
    }

    #[inline(never)]
    fn confirm(&self, text: &[u8], at: usize, folded: u32, is_raw: bool, hits: &mut Vec<Hit>) {
        for (is_short, gram) in [(false, long(folded)), (true, short(folded))] {
            let upper = usize::from(gram >> 6);
            let near = usize::from(self.starts[upper])..usize::from(self.starts[upper + 1]);
            for (other, entry) in &self.entries[near] {
                if *other == gram
                    && entry.is_short == is_short
                    && let Some(from) = at.checked_sub(usize::from(entry.offset))
                    && self.get(entry.keyword).stands_at(text, from, is_raw)
                {
                    hits.push(Hit {
                        at: at as u32,
                        cause: Cause::Keyword(entry.keyword),
                    });
                }
            }
        }
    }
}

/// Sixteen bits of four bytes.
#[inline(always)]
fn long(four: u32) -> u16 {
    (four.wrapping_mul(0x9E37_79B1) >> 16) as u16
}

/// Sixteen bits of the lowest three bytes.
#[inline(always)]
fn short(four: u32) -> u16 {
    ((four << 8).wrapping_mul(0x85EB_CA6B) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::{Hit, Keyword, Keywords};
    use crate::{
        block::{Lanes, Usual, WIDTH, Work, run},
        triggers::Cause,
    };
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static KEYWORDS: LazyLock<Keywords> = LazyLock::new(|| {
        let words = [
            "sk-",
            "ghp_",
            "password",
            "tel:",
            "driver's lic",
            "dp.st.",
            "api_key",
            "monday",
        ];
        let exact = ["AKIA", "eyJ", "xoxb-"].into_iter();
        let all = words.iter().map(|word| Keyword::new(word, false));
        Keywords::new(all.chain(exact.map(|word| Keyword::new(word, true))).collect())
    });

    struct Search<'s>(&'s [u8]);

    impl Work for Search<'_> {
        type Out = Vec<(usize, u16)>;

        #[inline(always)]
        fn run<L: Lanes>(self) -> Self::Out {
            let mut hits = Vec::new();
            for start in (0..self.0.len()).step_by(WIDTH) {
                KEYWORDS.block::<L>(self.0, start, false, &mut hits);
            }
            let mut found: Vec<_> = hits.iter().map(first_byte).collect();
            found.sort_unstable();
            found
        }
    }

    fn first_byte(hit: &Hit) -> (usize, u16) {
        let Cause::Keyword(number) = hit.cause else {
            unreachable!("only keywords are looked for")
        };
        let entry = KEYWORDS.entries.iter().find(|(_, entry)| entry.keyword == number);
        let offset = entry.map_or(0, |(_, entry)| usize::from(entry.offset));
        (hit.at as usize - offset, number)
    }

    proptest! {
        #[test]
        fn every_keyword_is_found_wherever_it_stands(
            pieces in prop::collection::vec(prop_oneof![
                "[ -~]{0,30}",
                any::<String>(),
                "(sk-|GHP_|ghp|PassWord|Tel:|driver's lic|dp.st.|AKIA|akia|eyJ|api_ke|api_key|Monday|xoxb-)",
            ], 0..20),
        ) {
            let text = pieces.concat();
            let text = text.as_bytes();
            let expected: Vec<_> = (0..text.len())
                .flat_map(|at| (0..KEYWORDS.all.len() as u16).map(move |number| (at, number)))
                .filter(|(at, number)| KEYWORDS.get(*number).stands_at(text, *at, false))
                .collect();
            prop_assert_eq!(&run(Search(text)), &expected);
            prop_assert_eq!(&Search(text).run::<Usual>(), &expected);
        }
    }
}
