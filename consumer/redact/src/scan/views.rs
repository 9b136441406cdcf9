//! What a text says when it is read otherwise: look-alikes as ASCII, octets decoded, runs of base64 and hexadecimal.

use super::{Classes, Scratch, Span, Work};
use crate::{
    active::Active,
    encoded, fold,
    redacted::DropReason,
    triggers::{Cause, Hit},
};

impl Active<'_> {
    /// Searches the other readings of a text. One that folds is decoded too, but nothing is decoded twice: what an
    /// encoding hides in an encoding stays hidden, and the work is bounded.
    pub(super) fn search_views(
        &self,
        text: &str,
        classes: Classes,
        hits: &[Hit],
        scratch: &mut Scratch,
        work: &mut Work,
        spans: &mut Vec<Span>,
    ) -> Result<(), DropReason> {
        let any = |cause: Cause| hits.iter().any(|hit| hit.cause == cause);
        let folded = any(Cause::Fold).then(|| fold::fold(text)).flatten();
        let decoded = any(Cause::Percent).then(|| encoded::percent_decoded(text)).flatten();
        for (view, steps) in [folded, decoded].into_iter().flatten() {
            let first = spans.len();
            self.search_view(&view, classes, scratch, work, spans)?;
            for span in &mut spans[first..] {
                span.value = Some(view[span.start..span.end].into());
                span.start = text.floor_char_boundary(origin(&steps, span.start));
                span.end = text.ceil_char_boundary(origin(&steps, span.end));
            }
        }
        let mut done = 0;
        for hit in hits.iter().filter(|hit| hit.cause == Cause::Blob) {
            let run = encoded::run_around(text.as_bytes(), hit.at as usize);
            if run.start < done {
                continue;
            }
            done = run.end;
            work.spend(4 * run.len())?;
            for reading in encoded::readings(&text[run.clone()]) {
                let first = spans.len();
                self.search_view(&reading, classes, scratch, work, spans)?;
                // Half a blob decodes to half a secret: all of it goes.
                let found = spans
                    .get(first)
                    .map(|span| (span.rule, reading[span.start..span.end].into()));
                spans.truncate(first);
                if let Some((rule, value)) = found {
                    spans.push(Span {
                        start: run.start,
                        end: run.end,
                        rule,
                        value: Some(value),
                    });
                    break;
                }
            }
        }
        Ok(())
    }

    fn search_view(
        &self,
        view: &str,
        classes: Classes,
        scratch: &mut Scratch,
        work: &mut Work,
        spans: &mut Vec<Span>,
    ) -> Result<(), DropReason> {
        work.spend(2 * view.len())?;
        scratch.hits.clear();
        self.rules.triggers.text(view.as_bytes(), &mut scratch.hits);
        self.search_windows(view, classes, scratch, work, spans)
    }
}

/// Where the offset of a view stands in its text. `steps` has both after each character that reads otherwise.
fn origin(steps: &[(usize, usize)], offset: usize) -> usize {
    match steps.partition_point(|(view, _)| *view <= offset) {
        0 => offset,
        n => {
            let (view, text) = steps[n - 1];
            text + (offset - view)
        }
    }
}
