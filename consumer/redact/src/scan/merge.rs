//! Findings put together, and carried from a masked text back to the text itself.

use super::Span;
use crate::edit::Edit;

/// Adds findings in the masked text to those in the text itself, of which `edits` were made. One that touches a mask takes
/// in all it hides.
pub(super) fn adopt(text: &str, edits: &[Edit<'_>], spans: &mut Vec<Span>, more: &[Span]) {
    spans.extend(more.iter().map(|span| {
        // Offsets of the masked text walked beside those of the text.
        let (mut start, mut end) = (None, None);
        let (mut text_at, mut masked_at) = (0, 0);
        for hidden in edits {
            let mask_start = masked_at + (hidden.start - text_at);
            let mask_end = mask_start + hidden.text.len();
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
            value: span.value.clone(),
        }
    }));
    merge(text, spans);
}

/// Makes spans ascend and stay apart. One that others overlap keeps the rule and the value of the longest of them.
pub(super) fn merge(text: &str, spans: &mut Vec<Span>) {
    spans.sort_by(|a, b| (a.start, b.end, a.rule).cmp(&(b.start, a.end, b.rule)));
    // How long the finding is whose rule and value the span has.
    let mut longest = spans.first().map_or(0, |span| span.end - span.start);
    spans.dedup_by(|later, kept| {
        let length = later.end - later.start;
        if later.start >= kept.end {
            longest = length;
            return false;
        }
        if length > longest {
            longest = length;
            kept.rule = later.rule;
            kept.value = later.value.take().or_else(|| Some(text[later.start..later.end].into()));
        } else if later.end > kept.end {
            kept.value.get_or_insert_with(|| text[kept.start..kept.end].into());
        }
        kept.end = kept.end.max(later.end);
        true
    });
}
