//! Which members' values are masked whole, by the member's name.

use std::collections::HashMap;

/// Longest name that is looked at, in letters and digits; a longer one matches by its end alone.
const LONGEST: usize = 64;

/// Names and name endings, each with the index of its rule.
pub(crate) struct KeyNames {
    exact: HashMap<Box<[u8]>, u16>,
    endings: Vec<(Box<[u8]>, u16)>,
    /// A bit for each possible last three letters of a name that has a rule; see [`tail`].
    tails: Box<[u64; 512]>,
}

impl Default for KeyNames {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            endings: Vec::new(),
            tails: Box::new([0; 512]),
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
        let tail = tail(&folded);
        self.tails[usize::from(tail) / 64] |= 1 << (tail % 64);
        if name.starts_with('*') {
            self.endings.push((folded, rule));
        } else {
            self.exact.entry(folded).or_insert(rule);
        }
        Ok(())
    }

    /// Whether `source`, raw JSON up to the quote that ends a key, may end with a name that has a rule. Says where its
    /// last letter stands. No name is missed; one in a hundred others is named.
    pub(crate) fn may_end(&self, source: &[u8]) -> Option<usize> {
        let start = source.len().saturating_sub(2 * LONGEST);
        let letters = |whole: bool| {
            source[start..]
                .iter()
                .enumerate()
                .rev()
                // A quote begins the key, or is an escaped one inside it.
                .take_while(move |(_, byte)| whole || **byte != b'"')
                .filter(|(_, byte)| byte.is_ascii_alphanumeric())
        };
        let known = |whole: bool| {
            let tail = letters(whole)
                .take(3)
                .fold(0, |tail, (_, byte)| tail << 5 | u16::from((byte | 0x20) & 0x1F));
            self.tails[usize::from(tail) / 64] >> (tail % 64) & 1 == 1
        };
        let (last, _) = letters(true).next()?;
        (known(false) || known(true)).then_some(start + last)
    }

    /// The rule for a member of this name. A mask in the name is not a part of it.
    pub(crate) fn rule(&self, name: &str) -> Option<u16> {
        let name = name.rsplit('›').next().unwrap_or_default();
        // Folded from the end: that is where endings are, and it bounds the work on absurdly long names.
        let mut buffer = [0; LONGEST];
        let mut start = LONGEST;
        for byte in name.bytes().rev().filter(u8::is_ascii_alphanumeric) {
            if start == 0 {
                break;
            }
            start -= 1;
            buffer[start] = byte.to_ascii_lowercase();
        }
        let folded = &buffer[start..];
        let ending = || {
            self.endings
                .iter()
                .find(|(ending, _)| folded.ends_with(ending))
                .map(|(_, rule)| *rule)
        };
        self.exact.get(folded).copied().or_else(ending)
    }
}

/// The last three bytes of a folded name, five bits each: letters and digits keep apart well enough.
fn tail(folded: &[u8]) -> u16 {
    folded
        .iter()
        .rev()
        .take(3)
        .fold(0, |tail, byte| tail << 5 | u16::from(byte & 0x1F))
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
            assert_eq!(names.rule(name), Some(1), "{name}");
        }
        for name in [
            "password",
            "DB_PASSWORD",
            "userPassword",
            &format!("{}password", "x".repeat(500)),
        ] {
            assert_eq!(names.rule(name), Some(2), "{name}");
        }
        assert_eq!(names.rule("‹redacted:email› password"), Some(2));
        for name in ["", "‹redacted:password›", "apikeys", "passwordless", "id", "é"] {
            assert_eq!(names.rule(name), None, "{name}");
        }
        assert!(names.add("_", 3).is_err());
    }
}
