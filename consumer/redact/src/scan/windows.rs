//! The parts of a text in which rules may find something, and their search.

use super::{Classes, Scratch, Span, Work};
use crate::{active::Active, redacted::DropReason, rules::Rule, triggers::Cause};
use regex_automata::{Anchored, Input, meta::Regex, util::primitives::NonMaxUsize};
use std::ops::Range;

/// A part of a text in which a rule may find something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Window {
    rule: u16,
    start: u32,
    end: u32,
    /// Whether a match begins where the window does, or there is none.
    is_anchored: bool,
}

/// Hits of a text that are looked at one after the other, however much of it each can reach. Where there are more, windows
/// beyond [`LONGEST_ANCHORED`] bytes would overlap too much, and are searched together.
const FEW: usize = 32;
const LONGEST_ANCHORED: usize = 512;

impl Active<'_> {
    /// Searches what the hits in `scratch` make worth it.
    pub(super) fn search_windows(
        &self,
        text: &str,
        classes: Classes,
        scratch: &mut Scratch,
        work: &mut Work,
        spans: &mut Vec<Span>,
    ) -> Result<(), DropReason> {
        let Scratch { hits, windows, slots } = scratch;
        windows.clear();
        for hit in &*hits {
            let (rules, length, start) = match hit.cause {
                Cause::Keyword(number) => {
                    let keyword = self.rules.triggers.keyword(number);
                    (&keyword.rules, keyword.len(), hit.at as usize - keyword.offset())
                }
                Cause::Shape(shape) => match self.rules.shape_rules.iter().find(|(other, _)| *other == shape) {
                    Some((_, rules)) => (rules, 1, hit.at as usize),
                    None => continue,
                },
                Cause::Look | Cause::Percent | Cause::Blob | Cause::Fold => continue,
            };
            for number in rules {
                let rule = &self.rules.all[usize::from(*number)];
                if self.action(*number).is_some() && classes.include(rule.class) {
                    let range = rule.window(text.as_bytes(), hit.at as usize, length);
                    let is_anchored = rule.leads && (hits.len() <= FEW || range.len() <= LONGEST_ANCHORED);
                    windows.push(Window {
                        rule: *number,
                        start: if is_anchored { start } else { range.start } as u32,
                        end: range.end as u32,
                        is_anchored,
                    });
                }
            }
        }
        windows.sort_unstable();
        windows.dedup_by(|later, kept| {
            if later.rule != kept.rule {
                return false;
            }
            if later.is_anchored && kept.is_anchored {
                return later.start == kept.start;
            }
            // One that is searched all over takes in what it touches.
            let touches = later.start <= kept.end;
            if touches {
                kept.end = kept.end.max(later.end);
                kept.is_anchored = false;
            }
            touches
        });
        // Matches of one rule do not overlap.
        let mut behind = (0, 0);
        for window in &*windows {
            let from = if behind.0 == window.rule { behind.1 } else { 0 };
            if from <= window.start as usize || !window.is_anchored {
                let from = from.max(window.start as usize);
                behind = (window.rule, self.search(text, window, from, slots, work, spans)?);
            }
        }
        Ok(())
    }

    /// Searches a window from `from` on. Says where a search of the same rule may go on.
    fn search(
        &self,
        text: &str,
        window: &Window,
        from: usize,
        slots: &mut Vec<Option<NonMaxUsize>>,
        work: &mut Work,
        spans: &mut Vec<Span>,
    ) -> Result<usize, DropReason> {
        let rule = &self.rules.all[usize::from(window.rule)];
        let end = window.end as usize;
        let Some(regex) = &rule.find else { return Ok(end) };
        let anchored = if window.is_anchored {
            Anchored::Yes
        } else {
            Anchored::No
        };
        let mut at = from;
        while at < end {
            let Some(found) = regex.search(&Input::new(text).span(at..end).anchored(anchored)) else {
                work.spend(end - at)?;
                return Ok(at);
            };
            work.spend(found.end() - at + 1)?;
            let (same, span) = rule.masked_part(regex, text, found.range(), slots);
            let before = spans.len();
            if !span.is_empty() {
                rule.validator.refine(text, on_boundaries(text, span), |span| {
                    let span = trimmed(text, span);
                    if !span.is_empty()
                        && rule.is_wanted(&text[span.clone()])
                        && !self.rules.is_in_stand_in(text, &span)
                    {
                        spans.push(Span {
                            start: span.start,
                            end: span.end,
                            rule: window.rule,
                            value: None,
                        });
                    }
                });
            }
            at = if spans.len() > before || rule.validator.sees_all() {
                found.end().max(found.start() + 1)
            } else {
                same + 1
            };
            if window.is_anchored {
                break;
            }
        }
        Ok(at)
    }
}

impl Rule {
    /// Where this rule can find something because of a hit at `at`, of `length` bytes.
    fn window(&self, text: &[u8], at: usize, length: usize) -> Range<usize> {
        let Some(reach) = self.reach else { return 0..text.len() };
        let around = reach.bytes + length + self.context;
        let mut start = at.saturating_sub(around);
        let mut end = text.len().min(at + around);
        if reach.open {
            // What goes on without an end goes on to white space at most, and what is around it is as far again.
            let solid = |byte: &&u8| !byte.is_ascii_whitespace();
            start -= text[..start].iter().rev().take_while(solid).count();
            end += text[end..].iter().take_while(solid).count();
            start = start.saturating_sub(around);
            end = text.len().min(end + around);
        }
        start..end
    }

    /// The part of a match that is to be masked; and how far it is the same for matches that begin later.
    fn masked_part(
        &self,
        regex: &Regex,
        text: &str,
        found: Range<usize>,
        slots: &mut Vec<Option<NonMaxUsize>>,
    ) -> (usize, Range<usize>) {
        let groups = regex.captures_len();
        if groups == 1 {
            return (found.start, found);
        }
        if let Some(split) = &self.split
            && let Some((literal, group)) = split.group(&text.as_bytes()[found.clone()])
        {
            let moved = |at: usize| found.start + at;
            return (moved(literal), moved(group.start)..moved(group.end));
        }
        // Only what is asked for is followed.
        let asked = self.group.map_or(1..groups, |group| group..group + 1);
        slots.clear();
        slots.resize(2 * asked.end, None);
        // The same match, now that it is known where it stands.
        let input = Input::new(text).span(found.clone()).anchored(Anchored::Yes);
        regex.search_slots(&input, slots);
        let group = |number: usize| Some(slots[2 * number]?.get()..slots[2 * number + 1]?.get());
        (found.start, asked.clone().find_map(group).unwrap_or(found))
    }

    /// Whether what was found is as random as the rule wants it, and none of its exceptions.
    fn is_wanted(&self, found: &str) -> bool {
        (self.entropy == 0.0 || entropy(found.as_bytes()) >= self.entropy)
            && self.except.as_ref().is_none_or(|except| !except.is_match(found))
    }
}

/// Shannon's entropy of the bytes, in bits per byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let all = bytes.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / all)
        .map(|share| -share * share.log2())
        .sum()
}

/// Byte patterns may end inside a character.
fn on_boundaries(text: &str, span: Range<usize>) -> Range<usize> {
    text.floor_char_boundary(span.start)..text.ceil_char_boundary(span.end)
}

fn trimmed(text: &str, span: Range<usize>) -> Range<usize> {
    let inner = &text[span.clone()];
    let start = span.start + (inner.len() - inner.trim_ascii_start().len());
    start..start + inner.trim_ascii().len()
}
