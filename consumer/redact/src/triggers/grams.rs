//! Which four bytes of each keyword to look for, or three of one that has no more, and the sieve that lets them through.
//!
//! A text is sifted before anything is looked up: what passes is what has a byte of one group at each of four places.
//! Keywords are put where they make least of ordinary text pass.

use crate::block::{PLACES, Sieve};

/// Groups of a sieve.
const GROUPS: usize = 16;
/// Places of a keyword that are tried.
const TRIED: usize = 16;

/// How many of a thousand bytes of JSON and English are this one, roughly, letters of either case. Bytes have their 0x20 bit set.
const fn share(byte: u8) -> u32 {
    match byte {
        b'e' => 75,
        b't' => 60,
        b'a' | b'i' | b'o' => 50,
        b'n' | b's' | b'r' => 45,
        b'l' | b'd' | b'c' => 32,
        b'u' | b'm' | b'p' | b'h' => 22,
        b'f' | b'g' | b'b' | b'0' | b'1' | b'2' => 16,
        b'y' | b'w' | b'v' | b'-' | b'_' | b'3'..=b'9' => 11,
        b'k' | b'x' | b'/' | b'.' => 8,
        b'q' | b'j' | b'z' => 3,
        b' ' => 100,
        b'"' | b'|' => 60,
        b':' | b',' => 30,
        _ => 2,
    }
}

/// The bytes that a group has at one place: every byte of whose halves it has both.
#[derive(Clone, Copy, Default)]
struct Place {
    lower: u16,
    upper: u16,
    /// Of a thousand bytes.
    share: u32,
}

impl Place {
    /// Any byte.
    const ANY: Self = Self {
        lower: u16::MAX,
        upper: u16::MAX,
        share: 1000,
    };

    fn with(self, byte: u8) -> Self {
        let lower = self.lower | 1 << (byte & 0x0F);
        let upper = self.upper | 1 << (byte >> 4);
        if (lower, upper) == (self.lower, self.upper) || self.share == Self::ANY.share {
            return self;
        }
        // Bytes whose 0x20 bit is set begin with one of these.
        let halves = [2, 3, 6, 7].into_iter().filter(|half| upper >> half & 1 == 1);
        let of = |half: u8| {
            (0..16)
                .filter(|low| lower >> low & 1 == 1)
                .map(move |low| share(half << 4 | low))
                .sum::<u32>()
        };
        Self {
            lower,
            upper,
            // Less than any byte has.
            share: halves.map(of).sum::<u32>().min(Self::ANY.share - 1),
        }
    }
}

type Group = [Place; PLACES];

fn passes(group: &Group) -> u64 {
    group.iter().map(|place| u64::from(place.share)).product()
}

/// For each word, where in it the bytes begin; and a sieve that lets all of them through. Words have three bytes at
/// least, each with its 0x20 bit set.
pub(super) fn choose(words: &[&[u8]]) -> (Vec<u8>, Sieve) {
    let mut groups = [Group::default(); GROUPS];
    let mut offsets = vec![0; words.len()];
    let mut order: Vec<usize> = (0..words.len()).collect();
    // Those without a choice first.
    order.sort_by_key(|word| words[*word].len());
    for word in order {
        let mut best = (u64::MAX, 0, 0, Group::default());
        let length = words[word].len().min(PLACES);
        for (offset, bytes) in words[word].windows(length).take(TRIED).enumerate() {
            for (number, group) in groups.iter().enumerate() {
                let mut wider = *group;
                for (place, at) in wider.iter_mut().zip(0..) {
                    *place = bytes.get(at).map_or(Place::ANY, |byte| place.with(*byte));
                }
                let more = passes(&wider) - passes(group);
                if more < best.0 {
                    best = (more, offset, number, wider);
                }
            }
        }
        let (_, offset, number, group) = best;
        // At most fifteen.
        offsets[word] = offset as u8;
        groups[number] = group;
    }
    (offsets, sieve(&groups))
}

fn sieve(groups: &[Group; GROUPS]) -> Sieve {
    let mut tables = [[[[0; 32]; 2]; 2]; PLACES];
    let mut any = [[0; 32]; 2];
    for (number, group) in groups.iter().enumerate() {
        let (eight, bit) = (number / 8, 1 << (number % 8));
        if group[PLACES - 1].share == Place::ANY.share {
            any[eight].iter_mut().for_each(|byte| *byte |= bit);
        }
        for (place, [lower, upper]) in group.iter().zip(&mut tables) {
            for half in (0..16).filter(|half| place.lower >> half & 1 == 1) {
                lower[eight][half] |= bit;
                lower[eight][half + 16] |= bit;
            }
            // With and without the 0x20 bit.
            for half in (0..8).filter(|half| (place.upper | place.upper >> 2) >> half & 1 == 1) {
                upper[eight][half] |= bit;
                upper[eight][half + 16] |= bit;
            }
        }
    }
    Sieve { tables, any }
}

#[cfg(test)]
mod tests {
    use super::choose;
    use crate::block::PLACES;

    #[test]
    fn a_sieve_lets_every_word_through_in_either_case() {
        let words: Vec<&[u8]> = vec![b"ghp", b"sk-live-", b"akia", b"tel:", b"password", b"dp.st.", b"00d"];
        let (offsets, sieve) = choose(&words);
        let passes = |bytes: &[u8]| {
            let groups = |place: usize, eight: usize| {
                let byte = usize::from(bytes[place]);
                let [lower, upper] = &sieve.tables[place];
                let any = if place == PLACES - 1 { sieve.any[eight][0] } else { 0 };
                any | if byte < 0x80 {
                    lower[eight][byte & 15] & upper[eight][byte >> 4]
                } else {
                    0
                }
            };
            (0..2).any(|eight| (0..PLACES).fold(255, |all, place| all & groups(place, eight)) != 0)
        };
        for (word, offset) in words.iter().zip(offsets) {
            let mut bytes = word[usize::from(offset)..].to_vec();
            for behind in [0, b'x', 0xFF] {
                bytes.resize(bytes.len().min(PLACES), 0);
                bytes.resize(PLACES, behind);
                assert!(passes(&bytes) && passes(&bytes.to_ascii_uppercase()), "{word:?}");
                bytes.truncate(word.len().min(PLACES));
            }
        }
        assert!(!passes(b"qqqq"));
    }
}
