//! A text, as people read it, searched by every rule that is worth trying, where it is worth trying.

mod merge;
mod views;

use crate::{
    action::Action,
    active::Active,
    pack::Class,
    redacted::DropReason,
    rules::Rule,
    triggers::{Cause, Hit},
};
use merge::merge;
use regex_automata::{Anchored, Input};
use std::ops::Range;

/// Which rules apply in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Classes {
    All,
    /// Identity and correlation stay, what opens something goes.
    Credentials,
}

impl Classes {
    fn include(self, class: Class) -> bool {
        self == Self::All || class == Class::Credential
    }
}

/// A piece of a text that a rule masks: byte offsets on character boundaries, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rule: u16,
    /// What a rule found, where it is not what stands there: text that an encoding hides, or the longer of two findings
    /// that overlap.
    pub(crate) value: Option<Box<str>>,
}

impl Span {
    /// All of a text.
    pub(crate) fn whole(text: &str, rule: u16) -> Self {
        Self {
            start: 0,
            end: text.len(),
            rule,
            value: None,
        }
    }
}

/// What is left of a body's budget, in byte visits. The bound on time: searches after a rejected match start over one
/// byte later, which an attacker can make quadratic.
pub(crate) struct Work(u64);

impl Work {
    pub(crate) fn new(visits: u64) -> Self {
        Self(visits)
    }

    pub(crate) fn unlimited() -> Self {
        Self(u64::MAX)
    }

    /// Allows so many more visits.
    pub(crate) fn allow(&mut self, visits: u64) {
        self.0 = self.0.saturating_add(visits);
    }

    pub(crate) fn spend(&mut self, visits: usize) -> Result<(), DropReason> {
        self.take(visits as u64)
    }

    pub(crate) fn take(&mut self, visits: u64) -> Result<(), DropReason> {
        self.0 = self.0.checked_sub(visits).ok_or(DropReason::OverBudget)?;
        Ok(())
    }

    /// What is left.
    pub(crate) fn left(&self) -> u64 {
        self.0
    }
}

/// Memory that searches of one body share.
#[derive(Default)]
pub(crate) struct Scratch {
    hits: Vec<Hit>,
    windows: Vec<Window>,
}

/// A part of a text in which a rule may find something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Window {
    rule: u16,
    start: u32,
    end: u32,
}

/// Rounds of [`Active::settled`] before the text is masked whole.
const ROUNDS: usize = 4;

impl Active<'_> {
    /// What to mask in `text` so that a search of the result finds nothing: ascending and apart.
    ///
    /// A mask changes the surroundings of its neighbours, so the result is searched again until it is quiet.
    pub(crate) fn settled(
        &self,
        text: &str,
        classes: Classes,
        scratch: &mut Scratch,
        work: &mut Work,
    ) -> Result<Vec<Span>, DropReason> {
        let mut spans = Vec::new();
        self.scan(text, classes, scratch, work, &mut spans)?;
        if spans.is_empty() {
            return Ok(spans);
        }
        let drops = |span: &&Span| self.action(span.rule) == Some(Action::Drop);
        if let Some(span) = spans.iter().find(drops) {
            return Ok(vec![Span::whole(text, span.rule)]);
        }
        let mut more = Vec::new();
        for _ in 0..ROUNDS {
            let masked = self.apply(text, &spans);
            self.scan(&masked, classes, scratch, work, &mut more)?;
            if more.is_empty() {
                return Ok(spans);
            }
            if let Some(span) = more.iter().find(drops) {
                return Ok(vec![Span::whole(text, span.rule)]);
            }
            self.adopt(text, &mut spans, &more);
            more.clear();
        }
        Ok(vec![Span::whole(text, spans[0].rule)])
    }

    /// One search of a text; findings that touch each other's bytes are merged under the rule of the longer one.
    pub(crate) fn scan(
        &self,
        text: &str,
        classes: Classes,
        scratch: &mut Scratch,
        work: &mut Work,
        spans: &mut Vec<Span>,
    ) -> Result<(), DropReason> {
        work.spend(2 * text.len())?;
        scratch.hits.clear();
        self.rules.triggers.text(text.as_bytes(), &mut scratch.hits);
        if scratch.hits.is_empty() {
            return Ok(());
        }
        self.search_windows(text, classes, scratch, work, spans)?;
        let other = |hit: &&Hit| matches!(hit.cause, Cause::Percent | Cause::Blob | Cause::Fold);
        let others: Vec<Hit> = scratch.hits.iter().filter(other).copied().collect();
        if !others.is_empty() {
            self.search_views(text, classes, &others, scratch, work, spans)?;
        }
        if spans.len() > 1 {
            merge(text, spans);
        }
        Ok(())
    }

    /// Searches what the hits in `scratch` make worth it.
    fn search_windows(
        &self,
        text: &str,
        classes: Classes,
        scratch: &mut Scratch,
        work: &mut Work,
        spans: &mut Vec<Span>,
    ) -> Result<(), DropReason> {
        let Scratch { hits, windows } = scratch;
        windows.clear();
        for hit in &*hits {
            let (rules, length) = match hit.cause {
                Cause::Keyword(number) => {
                    let keyword = self.rules.triggers.keyword(number);
                    (&keyword.rules, keyword.len())
                }
                Cause::Shape(shape) => match self.rules.shape_rules.iter().find(|(other, _)| *other == shape) {
                    Some((_, rules)) => (rules, 1),
                    None => continue,
                },
                Cause::Look | Cause::Percent | Cause::Blob | Cause::Fold => continue,
            };
            for rule in rules {
                let is_on = self.action(*rule).is_some();
                if is_on && classes.include(self.rules.all[usize::from(*rule)].class) {
                    let range = self.rules.all[usize::from(*rule)].window(text.as_bytes(), hit.at as usize, length);
                    windows.push(Window {
                        rule: *rule,
                        start: range.start as u32,
                        end: range.end as u32,
                    });
                }
            }
        }
        windows.sort_unstable();
        windows.dedup_by(|later, kept| {
            let touches = later.rule == kept.rule && later.start <= kept.end;
            if touches {
                kept.end = kept.end.max(later.end);
            }
            touches
        });
        for window in &*windows {
            self.search(
                window.rule,
                text,
                window.start as usize..window.end as usize,
                work,
                spans,
            )?;
        }
        Ok(())
    }

    fn search(
        &self,
        index: u16,
        text: &str,
        window: Range<usize>,
        work: &mut Work,
        spans: &mut Vec<Span>,
    ) -> Result<(), DropReason> {
        let rule = &self.rules.all[usize::from(index)];
        let Some(regex) = &rule.find else { return Ok(()) };
        let mut captures = None;
        let mut at = window.start;
        while at < window.end {
            let Some(found) = regex.search(&Input::new(text).span(at..window.end)) else {
                return work.spend(window.end - at);
            };
            work.spend(found.end() - at + 1)?;
            let mut span = found.range();
            if regex.captures_len() > 1 {
                let captures = captures.get_or_insert_with(|| regex.create_captures());
                // The same match, now that it is known where it stands.
                let input = Input::new(text).span(found.range()).anchored(Anchored::Yes);
                regex.search_captures(&input, captures);
                span = rule
                    .group
                    .map_or(1..captures.group_len(), |group| group..group + 1)
                    .find_map(|group| captures.get_group(group))
                    .map_or(span, |group| group.range());
            }
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
                            rule: index,
                            value: None,
                        });
                    }
                });
            }
            at = if spans.len() > before || rule.validator.sees_all() {
                found.end().max(found.start() + 1)
            } else {
                found.start() + 1
            };
        }
        Ok(())
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

#[cfg(test)]
mod tests;
