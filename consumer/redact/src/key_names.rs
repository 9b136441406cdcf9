//! Which members' values are masked whole, by the member's name.

use std::collections::HashMap;

/// Longest name that is looked at, in letters and digits; a longer one matches by its end alone.
const LONGEST: usize = 64;

/// Names and name endings, each with the index of its rule.
#[derive(Default)]
pub(crate) struct KeyNames {
    exact: HashMap<Box<[u8]>, u16>,
    endings: Vec<(Box<[u8]>, u16)>,
}

impl KeyNames {
    /// Adds a name as packs write it.
    pub(crate) fn add(&mut self, name: &str, rule: u16) -> Result<(), String> {
        let folded: Box<[u8]> = fold(name).collect();
        if folded.is_empty() || folded.len() > LONGEST {
            return Err(format!(
                "key {name:?} must have 1 to {LONGEST} ASCII letters and digits"
            ));
        }
        if name.starts_with('*') {
            self.endings.push((folded, rule));
        } else {
            self.exact.entry(folded).or_insert(rule);
        }
        Ok(())
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
