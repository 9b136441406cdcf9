//! Which members' values are masked whole, by the member's name.

use memchr::memchr2_iter;
use std::collections::{HashMap, HashSet};

/// Longest name that is looked at, in letters and digits; a longer one matches by its end alone.
const LONGEST: usize = 64;

/// Names and name endings, each with the index of its rule.
pub(crate) struct KeyNames {
    exact: HashMap<Box<[u8]>, Vec<u16>>,
    endings: Vec<(Box<[u8]>, u16)>,
    /// Names without a rule that are looked at nevertheless.
    looked_at: HashSet<Box<[u8]>>,
    /// A bit for the last five letters of each name that has a rule, or of each ending; see [`tail`].
    tails: Box<[u64; 1024]>,
    /// A bit for the last three letters of each of them that has as many; see [`tail`].
    threes: Box<[u64; 1024]>,
}

impl Default for KeyNames {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            endings: Vec::new(),
            looked_at: HashSet::new(),
            tails: Box::new([0; 1024]),
            threes: Box::new([0; 1024]),
        }
    }
}

impl KeyNames {
    /// Adds a name as packs write it.
    pub(crate) fn add(&mut self, name: &str, rule: u16) -> Result<(), String> {
        let folded: Box<[u8]> = fold(name).collect();
        if name.starts_with('*') && folded.len() < 3 {
            return Err(format!("key {name:?} must have 3 ASCII letters and digits behind *"));
        }
        if folded.is_empty() || folded.len() > LONGEST {
            return Err(format!(
                "key {name:?} must have 1 to {LONGEST} ASCII letters and digits"
            ));
        }
        self.note_tail(&folded, name.starts_with('*'));
        if name.starts_with('*') {
            self.endings.push((folded, rule));
        } else {
            self.exact.entry(folded).or_default().push(rule);
        }
        Ok(())
    }

    /// Has members of this name looked at, though no rule is for them.
    pub(crate) fn look_at(&mut self, name: &str) {
        let folded: Box<[u8]> = fold(name).collect();
        if !folded.is_empty() {
            self.note_tail(&folded, false);
            // Of a name in a body its end is looked at, too.
            self.looked_at
                .insert(folded[folded.len().saturating_sub(LONGEST)..].into());
        }
    }

    fn note_tail(&mut self, folded: &[u8], is_ending: bool) {
        let known = &folded[folded.len().saturating_sub(TAIL)..];
        let tail = tail(known, !is_ending && known.len() < TAIL);
        self.tails[usize::from(tail) / 64] |= 1 << (tail % 64);
        if let Some(three) = folded.last_chunk() {
            let three = last_three(three);
            self.threes[usize::from(three) / 64] |= 1 << (three % 64);
        }
    }

    /// Whether `source`, raw JSON up to the quote that ends a key, may end with a name that has a rule. Says where its
    /// last letter stands. No name is missed; few others are named.
    #[inline]
    pub(crate) fn may_end(&self, source: &[u8]) -> Option<usize> {
        // Most names are told by their last three letters, if these stand together: escapes may stand behind them.
        let mut name = source;
        while let [before @ .., b'\\'] = name {
            name = before;
        }
        if let Some(three) = name.last_chunk::<3>()
            && three.iter().all(u8::is_ascii_alphanumeric)
            && !ends_near_escape(name)
        {
            let three = last_three(three);
            if self.threes[usize::from(three) / 64] >> (three % 64) & 1 == 0 {
                return None;
            }
        }
        // The letter of an escape is none of the name, and an escape may stand for one.
        let start = memchr2_iter(b'"', b'\\', name).next_back();
        if start.is_some_and(|at| name[at] == b'\\') {
            return name.len().checked_sub(1);
        }
        let last = self.may_end_by_tail(source)?;
        // Where the name can be read as it stands, all of it counts.
        match start {
            Some(quote) if !name[..quote].ends_with(b"\\") && self.is_unknown(&name[quote + 1..]) => None,
            _ => Some(last),
        }
    }

    /// Whether a name, without masks, neither has a rule nor is looked at.
    fn is_unknown(&self, name: &[u8]) -> bool {
        let mut buffer = [0; LONGEST];
        let folded = fold_end(name, &mut buffer);
        name.is_ascii()
            && !self.exact.contains_key(folded)
            && !self.looked_at.contains(folded)
            && !self.endings.iter().any(|(ending, _)| folded.ends_with(ending))
    }

    fn may_end_by_tail(&self, source: &[u8]) -> Option<usize> {
        let start = source.len().saturating_sub(2 * LONGEST);
        let mut last = None;
        let mut letters = [0; TAIL];
        let mut count = 0;
        let mut begun = false;
        for (at, byte) in source.iter().enumerate().skip(start).rev() {
            if byte.is_ascii_alphanumeric() {
                last.get_or_insert(at);
                count += 1;
                letters[TAIL - count] = byte | 0x20;
                if count == TAIL {
                    break;
                }
            } else if *byte == b'"' && !begun {
                // A quote begins the key, or is an escaped one inside it: both are tried.
                begun = true;
                if self.has_tail_of(&letters[TAIL - count..], true) {
                    return last;
                }
            }
        }
        self.has_tail_of(&letters[TAIL - count..], !begun)
            .then_some(last)
            .flatten()
    }

    /// Whether these last letters are of a name that has a rule. `whole` says that there may be no others.
    fn has_tail_of(&self, letters: &[u8], whole: bool) -> bool {
        let ending =
            |length: usize| letters.len() >= length && self.has_tail(tail(&letters[letters.len() - length..], false));
        (3..=TAIL).any(ending) || (whole && letters.len() < TAIL && self.has_tail(tail(letters, true)))
    }

    fn has_tail(&self, tail: u16) -> bool {
        self.tails[usize::from(tail) / 64] >> (tail % 64) & 1 == 1
    }

    /// The first rule that is on for a member of this name. A mask in the name is not a part of it.
    pub(crate) fn rule(&self, name: &str, is_on: impl Fn(u16) -> bool) -> Option<u16> {
        let name = name.rsplit('›').next().unwrap_or_default();
        let mut buffer = [0; LONGEST];
        let folded = fold_end(name.as_bytes(), &mut buffer);
        let exact = self.exact.get(folded).into_iter().flatten();
        let endings = self.endings.iter().filter(|(ending, _)| folded.ends_with(ending));
        let mut rules = exact.chain(endings.map(|(_, rule)| rule)).copied();
        rules.find(|rule| is_on(*rule))
    }
}

/// Letters of a name's end that are enough to tell most names.
const TAIL: usize = 5;

/// Whether the last three bytes of a name may be of an escape: whether a backslash stands among the last eight, and no
/// quote behind it.
fn ends_near_escape(name: &[u8]) -> bool {
    let Some(last) = name.last_chunk() else { return true };
    let last = u64::from_le_bytes(*last);
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    // The highest bit of each byte that is this one.
    let is = |byte: u8| {
        let others = last ^ (u64::from(byte) * 0x0101_0101_0101_0101);
        !((others & LOW).wrapping_add(LOW) | others | LOW)
    };
    is(b'\\') > is(b'"')
}

/// Sixteen bits of three letters of either case.
fn last_three(letters: &[u8; 3]) -> u16 {
    let [a, b, c] = letters.map(|letter| letter | 0x20);
    (u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9E37_79B1) >> 16) as u16
}

/// Sixteen bits of the last letters of a folded name; `whole` if there are no others, and none may stand before them.
fn tail(letters: &[u8], whole: bool) -> u16 {
    let seed = letters.len() as u64 * 2 + u64::from(whole);
    let all = letters.iter().fold(seed, |all, byte| all << 8 | u64::from(byte | 0x20));
    (all.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as u16
}

/// The end of a folded name: that is where endings are, and it bounds the work on absurdly long names.
fn fold_end<'b>(name: &[u8], buffer: &'b mut [u8; LONGEST]) -> &'b [u8] {
    let mut start = LONGEST;
    for byte in name.iter().rev().filter(|byte| byte.is_ascii_alphanumeric()) {
        if start == 0 {
            break;
        }
        start -= 1;
        buffer[start] = byte.to_ascii_lowercase();
    }
    &buffer[start..]
}

fn fold(name: &str) -> impl Iterator<Item = u8> {
    name.bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|byte| byte.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::KeyNames;

    #[test]
    fn case_and_separators_do_not_count() {
        let mut names = KeyNames::default();
        names.add("api_key", 1).unwrap();
        names.add("*password", 2).unwrap();
        for name in ["apikey", "API-Key", "api key", "apiKey"] {
            assert_eq!(names.rule(name, |_| true), Some(1), "{name}");
        }
        for name in [
            "password",
            "DB_PASSWORD",
            "userPassword",
            &format!("{}password", "x".repeat(500)),
        ] {
            assert_eq!(names.rule(name, |_| true), Some(2), "{name}");
        }
        assert_eq!(names.rule("‹redacted:email› password", |_| true), Some(2));
        for name in ["", "‹redacted:password›", "apikeys", "passwordless", "id", "é"] {
            assert_eq!(names.rule(name, |_| true), None, "{name}");
        }
        assert!(names.add("_", 3).is_err());
    }

    #[test]
    fn an_escape_at_the_end_of_a_name_is_seen_in_raw_json() {
        let mut names = KeyNames::default();
        names.add("*password", 1).unwrap();
        for (source, may) in [
            (r#"{"db_password"#, true),
            (r#"{\"db_password\"#, true),
            (r#"{"x\"db_password"#, true),
            (r#"{"some_password\u00e9"#, true),
            (r#"{"some_passw\nord"#, true),
            (r#"{"some_passw\u006frd"#, true),
            (r#"{"another_number"#, false),
            (r#"{\"another\": 1, \"id2\"#, false),
        ] {
            assert_eq!(names.may_end(source.as_bytes()).is_some(), may, "{source}");
        }
    }

    #[test]
    fn where_a_rule_is_off_the_next_one_for_the_name_counts() {
        let mut names = KeyNames::default();
        names.add("password", 1).unwrap();
        names.add("*word", 2).unwrap();
        assert_eq!(names.rule("password", |rule| rule != 1), Some(2));
        assert_eq!(names.rule("password", |_| false), None);
    }
}
