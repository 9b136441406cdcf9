//! Patterns whose group can be told from a match without a second search: a literal that cannot come earlier stands before
//! it, and as many bytes behind it in every match.

use regex_syntax::hir::{Class, Hir, HirKind};
use std::ops::Range;

/// Where the first group of a match is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// What stands before it. Its first byte stands nowhere before.
    literal: Box<[u8]>,
    /// Bytes behind it.
    behind: usize,
}

impl Split {
    /// Of a pattern in which it can be told.
    pub(super) fn of(hir: &Hir) -> Option<Self> {
        let HirKind::Concat(parts) = hir.kind() else {
            return None;
        };
        let group = parts
            .iter()
            .position(|part| matches!(part.kind(), HirKind::Capture(_)))?;
        let (before, literal) = match parts.get(..group)? {
            [before @ .., last] => match last.kind() {
                HirKind::Literal(literal) => (before, &literal.0),
                _ => return None,
            },
            [] => return None,
        };
        let fixed = |part: &Hir| {
            Some(part.properties().maximum_len()?).filter(|most| part.properties().minimum_len() == Some(*most))
        };
        let behind = parts[group + 1..].iter().map(fixed).sum::<Option<usize>>()?;
        let first = *literal.first()?;
        let one = hir.properties().explicit_captures_len() == 1;
        (one && before.iter().all(|part| lacks(part, first))).then(|| Self {
            literal: literal.clone(),
            behind,
        })
    }

    /// Where the literal and the group begin in a match, and the group ends; offsets in the match.
    pub(crate) fn group(&self, found: &[u8]) -> Option<(usize, Range<usize>)> {
        let literal = found
            .windows(self.literal.len())
            .position(|bytes| *bytes == *self.literal)?;
        let start = literal + self.literal.len();
        let end = found.len().checked_sub(self.behind)?;
        (start <= end).then_some((literal, start..end))
    }
}

/// Whether nothing that matches has this byte.
fn lacks(hir: &Hir, byte: u8) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => !literal.0.contains(&byte),
        HirKind::Class(Class::Bytes(class)) => {
            let has = |range: &regex_syntax::hir::ClassBytesRange| (range.start()..=range.end()).contains(&byte);
            !class.ranges().iter().any(has)
        }
        // The bytes of characters beyond ASCII are none of ASCII.
        HirKind::Class(Class::Unicode(class)) => {
            let character = char::from(byte);
            let has = |range: &regex_syntax::hir::ClassUnicodeRange| (range.start()..=range.end()).contains(&character);
            byte.is_ascii() && !class.ranges().iter().any(has)
        }
        HirKind::Repetition(repetition) => lacks(&repetition.sub, byte),
        HirKind::Capture(_) => false,
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(|part| lacks(part, byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::Split;
    use proptest::prelude::*;
    use regex_automata::meta::Regex;
    use regex_syntax::ParserBuilder;

    const USERINFO: &str = r#"(?i)[a-z][a-z0-9+.-]{0,40}://([^\s/?#"'<>\\]{1,1024})@"#;

    fn split(pattern: &str) -> Option<Split> {
        let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
        Split::of(&parser.parse(pattern).expect("the pattern is sound"))
    }

    #[test]
    fn only_where_there_is_one_way_to_read_a_match() {
        assert!(split(USERINFO).is_some());
        for pattern in [
            "[a-z:]+://(x+)@",
            "[a-z]+(x+)@",
            "[a-z]+://(x+)@*",
            "[a-z]+://(x+)(y)",
            "(a)://(x+)@",
            "://x",
        ] {
            assert_eq!(split(pattern), None, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn the_group_is_the_one_that_a_search_tells(text in "[a-z:/@ ]{0,6}([a-z]{1,3}://[a-z:/@]{0,12}@?[a-z]{0,3}){0,3}") {
            let (regex, split) = (Regex::new(USERINFO).expect("it is sound"), split(USERINFO).expect("it can be split"));
            let mut captures = regex.create_captures();
            regex.captures(text.as_str(), &mut captures);
            if let (Some(found), Some(group)) = (captures.get_match(), captures.get_group(1)) {
                let (_, told) = split.group(&text.as_bytes()[found.range()]).expect("it matches");
                prop_assert_eq!(found.start() + told.start..found.start() + told.end, group.range());
            }
        }
    }
}
