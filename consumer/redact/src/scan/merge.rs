//! Findings put together, and carried from a masked text back to the text itself.

use super::Span;
use crate::rules::Rules;

impl Rules {
    /// `text` with its spans masked.
    pub(super) fn apply(&self, text: &str, spans: &[Span]) -> String {
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
    pub(super) fn adopt(&self, spans: &mut Vec<Span>, more: &[Span]) {
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

/// Makes spans ascend and stay apart.
pub(super) fn merge(spans: &mut Vec<Span>) {
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
