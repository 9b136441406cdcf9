//! Changes to a source, kept apart from it until all are known.

use crate::{
    action::Action,
    active::{Active, token},
    policy::Plan,
    redacted::Finding,
    rules::Rules,
    scan::Span,
    text::{Decoded, escape},
};
use std::{borrow::Cow, sync::Arc};

/// Replaces bytes `start..end` of a source.
#[derive(Clone, Debug)]
pub(crate) struct Edit<'r> {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) text: Cow<'r, str>,
    pub(crate) rule: u16,
}

impl<'r> Edit<'r> {
    /// Writes what stands in for a span of `text`.
    pub(crate) fn of(active: &Active<'r>, span: &Span, text: &str) -> Self {
        Self {
            start: span.start,
            end: span.end,
            text: active.stand_in(span, text),
            rule: span.rule,
        }
    }

    /// From a string's text to the source that spells it, which starts at `base`.
    pub(crate) fn move_to_source(&mut self, decoded: &Decoded<'_>, base: usize) {
        self.start = base + decoded.source(self.start);
        self.end = base + decoded.source(self.end);
        if let Cow::Owned(escaped) = escape(&self.text) {
            self.text = Cow::Owned(escaped);
        }
    }
}

/// `source`, whose first byte is at `base`, with the edits written.
///
/// Invariant: edits ascend, do not overlap and stand on character boundaries.
pub(crate) fn splice(source: &str, base: usize, edits: &[Edit<'_>]) -> String {
    let longer = edits.iter().map(|edit| edit.text.len()).sum::<usize>();
    let mut out = String::with_capacity(source.len() + longer);
    let mut at = 0;
    for edit in edits {
        out.push_str(&source[at..edit.start - base]);
        out.push_str(&edit.text);
        at = edit.end - base;
    }
    out.push_str(&source[at..]);
    out
}

impl Edit<'_> {
    /// The same without a tie to the rules.
    pub(crate) fn into_owned(self) -> Edit<'static> {
        Edit {
            start: self.start,
            end: self.end,
            text: Cow::Owned(self.text.into_owned()),
            rule: self.rule,
        }
    }
}

/// How often each rule wrote a mask.
pub(crate) fn findings(rules: &Rules, plan: &Plan, edits: &[Edit<'_>]) -> Vec<Finding> {
    let mut counts = vec![0_u32; rules.all.len()];
    edits.iter().for_each(|edit| counts[usize::from(edit.rule)] += 1);
    let found = rules.all.iter().zip(counts).filter(|(_, count)| *count > 0);
    let mut findings: Vec<Finding> = found
        .map(|(rule, count)| Finding {
            rule: Arc::clone(&rule.id),
            action: plan.action(rule.number).unwrap_or(Action::Mask),
            count,
        })
        .collect();
    findings.sort_unstable_by(|a, b| a.rule.cmp(&b.rule));
    findings
}

/// The tokens that edits write, each once.
pub(crate) fn tokens(edits: &[Edit<'_>]) -> Vec<String> {
    let mut tokens: Vec<&str> = edits.iter().filter_map(|edit| token(&edit.text)).collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens.into_iter().map(str::to_owned).collect()
}
