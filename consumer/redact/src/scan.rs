//! A text, as people read it, searched by every rule that is worth trying.

use crate::{pack::Class, redacted::DropReason, rules::Rules};
use regex_automata::Input;
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

    pub(crate) fn spend(&mut self, visits: usize) -> Result<(), DropReason> {
        self.0 = self.0.checked_sub(visits as u64).ok_or(DropReason::OverBudget)?;
        Ok(())
    }
}

/// Rounds of [`Rules::settled`] before the text is masked whole.
const ROUNDS: usize = 4;

impl Rules {
    /// What to mask in `text` so that a search of the result finds nothing: ascending and apart.
    ///
    /// A mask changes the surroundings of its neighbours, so the result is searched again until it is quiet.
    pub(crate) fn settled(&self, text: &str, classes: Classes, work: &mut Work) -> Result<Vec<Span>, DropReason> {
        let mut spans = Vec::new();
        self.scan(text, classes, work, &mut spans)?;
        if spans.is_empty() {
            return Ok(spans);
        }
        for _ in 0..ROUNDS {
            let masked = self.apply(text, &spans);
            let mut more = Vec::new();
            self.scan(&masked, classes, work, &mut more)?;
            if more.is_empty() {
                return Ok(spans);
            }
            self.adopt(&mut spans, &more);
        }
        Ok(vec![Span {
            start: 0,
            end: text.len(),
            rule: spans[0].rule,
        }])
    }

    /// One search of a text; findings that touch each other's bytes are merged under the rule of the longer one.
    pub(crate) fn scan(
        &self,
        text: &str,
        classes: Classes,
        work: &mut Work,
        spans: &mut Vec<Span>,
    ) -> Result<(), DropReason> {
        for index in self.candidates(text, work)?.iter() {
            if classes.include(self.all[index].class) {
                self.search(index, text, work, spans)?;
            }
        }
        merge(spans);
        Ok(())
    }

    fn search(&self, index: usize, text: &str, work: &mut Work, spans: &mut Vec<Span>) -> Result<(), DropReason> {
        let rule = &self.all[index];
        let Some(regex) = &rule.find else { return Ok(()) };
        let mut captures = None;
        let mut at = 0;
        while at < text.len() {
            let input = Input::new(text).span(at..text.len());
            let Some(found) = regex.search(&input) else {
                return work.spend(text.len() - at);
            };
            work.spend(found.end() - at + 1)?;
            let mut span = found.range();
            if regex.captures_len() > 1 {
                let captures = captures.get_or_insert_with(|| regex.create_captures());
                regex.search_captures(&Input::new(text).span(found.range()), captures);
                span = (1..captures.group_len())
                    .find_map(|group| captures.get_group(group))
                    .map_or(span, |g| g.range());
            }
            let before = spans.len();
            if !span.is_empty() {
                rule.validator.refine(text, on_boundaries(text, span), |span| {
                    let span = trimmed(text, span);
                    if !span.is_empty() && !self.is_mask(&text[span.clone()]) {
                        // Rules are at most 1024, by construction.
                        spans.push(Span {
                            start: span.start,
                            end: span.end,
                            rule: index as u16,
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

    /// `text` with its spans masked.
    fn apply(&self, text: &str, spans: &[Span]) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for span in spans {
            out.push_str(&text[at..span.start]);
            out.push_str(&self.all[usize::from(span.rule)].mask);
            at = span.end;
        }
        out.push_str(&text[at..]);
        out
    }

    /// Adds findings in the masked text to those in the text itself. One that touches a mask takes in all it hides.
    fn adopt(&self, spans: &mut Vec<Span>, more: &[Span]) {
        let known = spans.clone();
        spans.extend(more.iter().map(|span| {
            // Offsets of the masked text walked beside those of the text.
            let (mut start, mut end) = (None, None);
            let (mut text_at, mut masked_at) = (0, 0);
            for hidden in &known {
                let mask_start = masked_at + (hidden.start - text_at);
                let mask_end = mask_start + self.all[usize::from(hidden.rule)].mask.len();
                if span.start < mask_end && start.is_none() {
                    start = Some(if span.start < mask_start {
                        text_at + (span.start - masked_at)
                    } else {
                        hidden.start
                    });
                }
                if span.end <= mask_end && end.is_none() {
                    end = Some(if span.end <= mask_start {
                        text_at + (span.end - masked_at)
                    } else {
                        hidden.end
                    });
                }
                (text_at, masked_at) = (hidden.end, mask_end);
            }
            Span {
                start: start.unwrap_or(text_at + span.start.saturating_sub(masked_at)),
                end: end.unwrap_or(text_at + span.end.saturating_sub(masked_at)),
                rule: span.rule,
            }
        }));
        merge(spans);
    }
}

fn merge(spans: &mut Vec<Span>) {
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end), span.rule));
    spans.dedup_by(|later, kept| {
        let touches = later.start < kept.end;
        if touches {
            if later.end - later.start > kept.end - kept.start {
                kept.rule = later.rule;
            }
            kept.end = kept.end.max(later.end);
        }
        touches
    });
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
