//! Changes to a source, kept apart from it until all are known.

use crate::{
    redacted::Finding,
    rules::Rules,
    scan::Span,
    text::{Decoded, escape},
};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// Replaces bytes `start..end` of a source.
#[derive(Clone, Debug)]
pub(crate) struct Edit<'r> {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) text: Cow<'r, str>,
    pub(crate) rule: u16,
}

impl<'r> Edit<'r> {
    /// Writes the rule's mask over a span.
    pub(crate) fn mask(rules: &'r Rules, span: &Span) -> Self {
        let text = Cow::Borrowed(rules.all[usize::from(span.rule)].mask.as_str());
        Self {
            start: span.start,
            end: span.end,
            text,
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

/// How often each rule wrote a mask.
pub(crate) fn findings(rules: &Rules, edits: &[Edit<'_>]) -> Vec<Finding> {
    let mut counts: BTreeMap<&Arc<str>, u32> = BTreeMap::new();
    for edit in edits {
        *counts.entry(&rules.all[usize::from(edit.rule)].id).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|(rule, count)| Finding {
            rule: rule.clone(),
            count,
        })
        .collect()
}
