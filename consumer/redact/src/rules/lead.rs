//! Whether every match of a pattern begins with one of its rule's keywords: then it is looked for where they stand, and
//! nowhere else.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Beginnings that are told apart, and values of a byte in one place.
const MOST: usize = 64;
const VALUES: usize = 8;

/// How a match may begin.
#[derive(Clone)]
struct Beginning {
    bytes: Vec<u8>,
    /// Whether what comes next in the pattern comes next in the match.
    is_open: bool,
}

/// Whether each match begins, behind assertions of no width, with one of `words`. Where case does not count, it counts for
/// no byte of either: all have their 0x20 bit set.
pub(super) fn leads(hir: &Hir, words: &[String], is_exact: bool) -> bool {
    let fold = |byte: u8| if is_exact { byte } else { byte | 0x20 };
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.bytes().map(fold).collect()).collect();
    let longest = words.iter().map(Vec::len).max().unwrap_or(0);
    let mut all = vec![Beginning {
        bytes: Vec::new(),
        is_open: true,
    }];
    extend(&mut all, hir, longest, &fold);
    let begins = |beginning: &Beginning| words.iter().any(|word| beginning.bytes.starts_with(word));
    all.iter().all(begins)
}

/// Puts what matches `hir` behind each beginning that is open.
fn extend(all: &mut Vec<Beginning>, hir: &Hir, longest: usize, fold: &impl Fn(u8) -> u8) {
    if all.len() > MOST {
        all.iter_mut().for_each(|beginning| beginning.is_open = false);
    }
    for beginning in all.iter_mut().filter(|beginning| beginning.bytes.len() >= longest) {
        beginning.is_open = false;
    }
    if !all.iter().any(|beginning| beginning.is_open) {
        return;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => {
            for beginning in all.iter_mut().filter(|beginning| beginning.is_open) {
                beginning.bytes.extend(literal.0.iter().map(|byte| fold(*byte)));
            }
        }
        HirKind::Class(class) => {
            let values = values(class, fold);
            branch(all, |mut open| {
                if values.is_empty() {
                    open.is_open = false;
                    return vec![open];
                }
                let with = |value: &u8| {
                    let mut beginning = open.clone();
                    beginning.bytes.push(*value);
                    beginning
                };
                values.iter().map(with).collect()
            });
        }
        HirKind::Capture(capture) => extend(all, &capture.sub, longest, fold),
        HirKind::Concat(parts) => parts.iter().for_each(|part| extend(all, part, longest, fold)),
        HirKind::Alternation(branches) => branch(all, |open| {
            let of = |branch: &Hir| {
                let mut beginnings = vec![open.clone()];
                extend(&mut beginnings, branch, longest, fold);
                beginnings
            };
            branches.iter().flat_map(of).collect()
        }),
        HirKind::Repetition(repetition) => branch(all, |open| {
            let mut beginnings = vec![open.clone()];
            extend(&mut beginnings, &repetition.sub, longest, fold);
            // It may come again.
            if repetition.max != Some(1) {
                beginnings.iter_mut().for_each(|beginning| beginning.is_open = false);
            }
            if repetition.min == 0 {
                beginnings.push(open);
            }
            beginnings
        }),
    }
}

/// Puts several beginnings in the place of each that is open.
fn branch(all: &mut Vec<Beginning>, mut into: impl FnMut(Beginning) -> Vec<Beginning>) {
    *all = std::mem::take(all)
        .into_iter()
        .flat_map(|beginning| match beginning.is_open {
            true => into(beginning),
            false => vec![beginning],
        })
        .collect();
}

/// The bytes of a class, each once; none if there are many.
fn values(class: &Class, fold: &impl Fn(u8) -> u8) -> Vec<u8> {
    let mut values = Vec::new();
    let mut add = |first: u32, last: u32| {
        for byte in first..=last.min(first + 255) {
            match u8::try_from(byte) {
                Ok(byte) if byte.is_ascii() => values.push(fold(byte)),
                // More than one byte, or one that means something else in another place.
                _ => values.extend(0..=VALUES as u8),
            }
        }
    };
    match class {
        Class::Bytes(class) => {
            let ranges = class.ranges().iter();
            ranges.for_each(|range| add(range.start().into(), range.end().into()));
        }
        Class::Unicode(class) => {
            let ranges = class.ranges().iter();
            ranges.for_each(|range| add(range.start().into(), range.end().into()));
        }
    }
    values.sort_unstable();
    values.dedup();
    if values.len() > VALUES {
        values.clear();
    }
    values
}

#[cfg(test)]
mod tests {
    use super::leads;
    use regex_syntax::ParserBuilder;

    fn leads_with(pattern: &str, words: &[&str], is_exact: bool) -> bool {
        let hir = ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .build()
            .parse(pattern)
            .expect("the pattern is sound");
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        leads(&hir, &words, is_exact)
    }

    #[test]
    fn a_pattern_that_begins_with_its_keywords_is_known() {
        for (pattern, words) in [
            (r"(?i)\bauthorization[:=]+(.+)", &["authorization"][..]),
            (
                r"\b(?:gh[pousr]_[a-z]{36}|github_pat_[a-z]+)",
                &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
            ),
            (r"(?i)(?:hub(?:spot)?)x", &["hub"]),
            (r"(?:xoxe\.)?xoxp-", &["xoxe.", "xoxp-"]),
            (r"(?i)api[_-]?key", &["api_key", "api-key", "apikey"]),
        ] {
            assert!(leads_with(pattern, words, false), "{pattern}");
        }
        assert!(leads_with("AKIA[A-Z]{16}", &["AKIA"], true));
    }

    #[test]
    fn what_may_begin_otherwise_is_not() {
        for (pattern, words) in [
            (r"[a-z]{0,9}key=", &["key"][..]),
            (r"(?:foo|bar)=", &["foo"]),
            (r"(?:x)?sk-[a-z]+", &["sk-"]),
            (r"(?:x)*sk-[a-z]+", &["sk-"]),
            (r"(?:sk)+-abc", &["sk-"]),
            (r"[^a]key", &["key"]),
            (r"api[_ -]?key", &["api_key", "api-key", "apikey"]),
        ] {
            assert!(!leads_with(pattern, words, false), "{pattern}");
        }
        assert!(!leads_with("(?i)AKIA[A-Z]{16}", &["AKIA"], true));
    }
}
