//! What a pattern says about the surroundings of its keywords: how far a match reaches, and what it cannot do without.

use crate::triggers::is_token;
use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

/// How far from any byte of a match its ends can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Bytes, where every open-ended repetition takes its least.
    pub(crate) bytes: usize,
    /// Whether there are open-ended repetitions. They match no white space.
    pub(crate) open: bool,
}

/// A reach beyond this is none: a search of the whole text costs about as much.
const FARTHEST: usize = 4096;

/// The reach of a pattern; `None` if its matches have no bound that white space sets.
pub(crate) fn reach(hir: &Hir) -> Option<Reach> {
    let reach = measure(hir)?;
    (reach.bytes <= FARTHEST).then_some(reach)
}

fn measure(hir: &Hir) -> Option<Reach> {
    if let Some(bytes) = hir.properties().maximum_len() {
        return Some(Reach { bytes, open: false });
    }
    match hir.kind() {
        HirKind::Repetition(Repetition {
            min, max: None, sub, ..
        }) => {
            let bytes = sub.properties().maximum_len()? * (*min as usize).max(1);
            matches_no_space(sub).then_some(Reach { bytes, open: true })
        }
        HirKind::Repetition(Repetition {
            max: Some(max), sub, ..
        }) => {
            let once = measure(sub)?;
            Some(Reach {
                bytes: once.bytes.saturating_mul(*max as usize),
                open: once.open,
            })
        }
        HirKind::Capture(capture) => measure(&capture.sub),
        HirKind::Concat(parts) => parts.iter().try_fold(Reach { bytes: 0, open: false }, |all, part| {
            let part = measure(part)?;
            Some(Reach {
                bytes: all.bytes.saturating_add(part.bytes),
                open: all.open | part.open,
            })
        }),
        HirKind::Alternation(parts) => parts.iter().try_fold(Reach { bytes: 0, open: false }, |all, part| {
            let part = measure(part)?;
            Some(Reach {
                bytes: all.bytes.max(part.bytes),
                open: all.open | part.open,
            })
        }),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => None,
    }
}

fn matches_no_space(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Bytes(class)) => !class.ranges().iter().any(|range| range.start() <= b' '),
        HirKind::Class(Class::Unicode(class)) => !class.ranges().iter().any(|range| range.start() <= ' '),
        HirKind::Literal(literal) => literal.0.iter().all(|byte| *byte > b' '),
        HirKind::Capture(capture) => matches_no_space(&capture.sub),
        HirKind::Repetition(repetition) => matches_no_space(&repetition.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(matches_no_space),
        HirKind::Empty | HirKind::Look(_) => true,
    }
}

/// Token bytes that every match has in a row, as far as one repetition says so.
pub(crate) fn run(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Repetition(repetition) if repetition.min > 0 => match repetition.sub.kind() {
            HirKind::Class(class) if is_of_tokens(class) => repetition.min as usize,
            _ => run(&repetition.sub),
        },
        HirKind::Capture(capture) => run(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(run).max().unwrap_or(0),
        HirKind::Alternation(parts) => parts.iter().map(run).min().unwrap_or(0),
        HirKind::Literal(literal) if literal.0.iter().all(|byte| is_token(*byte)) => literal.0.len(),
        _ => 0,
    }
}

fn is_of_tokens(class: &Class) -> bool {
    match class {
        Class::Bytes(class) => class
            .ranges()
            .iter()
            .all(|range| (range.start()..=range.end()).all(is_token)),
        Class::Unicode(class) => class
            .ranges()
            .iter()
            .all(|range| range.end().is_ascii() && (range.start()..=range.end()).all(|c| is_token(c as u8))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Reach, reach, run};
    use regex_syntax::{Parser, hir::Hir};

    fn hir(pattern: &str) -> Hir {
        Parser::new().parse(pattern).expect("the pattern is sound")
    }

    #[test]
    fn open_ends_count_once_and_stop_at_white_space() {
        assert_eq!(reach(&hir("ab[a-z]{3,9}")), Some(Reach { bytes: 11, open: false }));
        assert_eq!(reach(&hir("sk-([a-z]{20,})")), Some(Reach { bytes: 23, open: true }));
        assert_eq!(reach(&hir("a(?s:.*?)b")), None);
        assert_eq!(reach(&hir("a[a-z]{0,9000}")), None);
    }

    #[test]
    fn the_longest_row_that_no_match_lacks() {
        assert_eq!(run(&hir("key[ =]{1,3}([a-f0-9]{32})(?:;|$)")), 32);
        assert_eq!(run(&hir("(?:[a-z]{8}|[0-9]{4})")), 4);
        assert_eq!(run(&hir("[^ ]{9}")), 0);
    }
}
