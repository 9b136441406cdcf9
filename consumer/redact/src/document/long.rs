//! A string that is too long to be looked at whole, window by window.
//!
//! Windows overlap, so that whatever is no longer than the overlap stands in one of them entirely; what ends a window
//! open, such as a private key, goes on being masked until its end has been seen. Where windows are depends on nothing but
//! the string, so that it makes no difference in which pieces it came.

use super::Pass;
use crate::{edit::Edit, redacted::DropReason, scan::Classes, text::Decoded};

/// Bytes of source that a window is answerable for.
const CORE: usize = 1 << 20;
/// Bytes of source before and behind it that it sees as well.
const AROUND: usize = 64 << 10;
/// An escape with all its backslashes is looked for in as many bytes.
const ESCAPE: usize = 32;

/// How far a long string was looked at. Offsets are those of its source, from its first byte.
#[derive(Debug)]
pub(crate) struct Long {
    /// Whether the source has JSON's escapes.
    is_json: bool,
    classes: Classes,
    /// Where the first window starts that was not looked at.
    next: usize,
    /// Everything before this is settled: it stays, or an edit has it.
    edited: usize,
    /// The rule whose finding has not ended yet.
    open: Option<u16>,
}

impl Long {
    /// A string of JSON, without its quotes.
    pub(crate) fn in_json(classes: Classes) -> Self {
        Self {
            is_json: true,
            classes,
            next: 0,
            edited: 0,
            open: None,
        }
    }

    /// A body of text.
    pub(crate) fn of_text() -> Self {
        Self {
            is_json: false,
            ..Self::in_json(Classes::All)
        }
    }

    /// Before this nothing is needed any more, nor will it be changed.
    pub(crate) fn settled(&self) -> usize {
        self.next.saturating_sub(AROUND + ESCAPE)
    }

    /// Looks at every window that can be looked at. `source` has all of the string so far, but for what is settled: its first
    /// byte is the one at [`settled`](Self::settled). In the edits, the string's first byte is at `base`.
    pub(crate) fn go_on<'r>(
        &mut self,
        pass: &mut Pass<'r, '_>,
        source: &str,
        base: usize,
        is_last: bool,
        edits: &mut Vec<Edit<'r>>,
    ) -> Result<(), DropReason> {
        let from = self.settled();
        let end = from + source.len();
        let is_json = self.is_json;
        let cut = |at: usize| {
            if at >= end {
                end
            } else {
                from + self::cut(source, at.saturating_sub(from), is_json)
            }
        };
        while self.next < end && (is_last || end >= self.next + CORE + AROUND + ESCAPE) {
            let window = cut(self.next.saturating_sub(AROUND))..cut(self.next + CORE + AROUND);
            let core = cut(self.next)..cut(self.next + CORE);
            let source = &source[window.start - from..window.end - from];
            pass.allow(core.len());
            let is_first = self.next == 0;
            self.next += CORE;
            let decoded = if is_json {
                Decoded::new(source)
            } else {
                Decoded::plain(source)
            };
            // Its keys and escapes would have to be read, and it is too long for that.
            if is_first && decoded.text.trim_ascii_start().starts_with(['{', '[']) {
                return Err(DropReason::TooLarge);
            }
            let mut found = Vec::new();
            let resumed = self.resume(pass, &decoded.text, &decoded, window.start, &mut found);
            pass.flat(&decoded.text[resumed..], self.classes, &mut found)?;
            for (number, mut edit) in found.into_iter().enumerate() {
                if resumed > 0 && number > 0 {
                    edit.start += resumed;
                    edit.end += resumed;
                }
                edit.move_to_source(&decoded, window.start);
                let starts_here = edit.start < core.end;
                let reaches_out = edit.end == window.end && window.end < end;
                edit.start = edit.start.max(self.edited);
                if !starts_here || edit.start >= edit.end {
                    continue;
                }
                self.edited = edit.end;
                let rule = &pass.active.rules.all[usize::from(edit.rule)];
                self.open = (reaches_out && rule.until.is_some()).then_some(edit.rule);
                edit.start += base;
                edit.end += base;
                edits.push(edit);
            }
        }
        Ok(())
    }

    /// Goes on with a finding that the window before left open: masks up to its end, or all of the text. Says where the
    /// search begins.
    fn resume<'r>(
        &mut self,
        pass: &Pass<'r, '_>,
        text: &str,
        decoded: &Decoded<'_>,
        start: usize,
        found: &mut Vec<Edit<'r>>,
    ) -> usize {
        let Some(rule) = self.open.take() else { return 0 };
        // The end is looked for in the part that was masked as well: it may stand across its end.
        let until = &pass.active.rules.all[usize::from(rule)].until;
        let ends = until.as_ref().into_iter().flat_map(|until| until.find_iter(text));
        let end = ends
            .map(|end| end.end())
            .find(|end| start + decoded.source(*end) > self.edited)
            .map_or(text.len(), |end| text.ceil_char_boundary(end));
        let span = crate::scan::Span {
            end,
            ..crate::scan::Span::whole(text, rule)
        };
        found.push(Edit::of(&pass.active, &span, text));
        end
    }
}

/// The next boundary at or before `at` that is inside neither a character nor an escape.
fn cut(source: &str, at: usize, is_json: bool) -> usize {
    let at = source.floor_char_boundary(at);
    if !is_json {
        return at;
    }
    let bytes = source.as_bytes();
    let near = at.saturating_sub(ESCAPE);
    // The last backslash that begins an escape: an odd number of them stand in a row up to it.
    let begins = |slash: usize| {
        let row = bytes[near..=slash]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        bytes[slash] == b'\\' && row % 2 == 1
    };
    let length = |slash: usize| if bytes.get(slash + 1) == Some(&b'u') { 6 } else { 2 };
    (near..at)
        .rev()
        .take(6)
        .find(|slash| begins(*slash) && slash + length(*slash) > at)
        .unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn no_escape_and_no_character_is_cut() {
        for (source, at, expected) in [
            ("abc", 2, 2),
            (r"a\u0041b", 4, 1),
            (r"a\u0041b", 7, 7),
            (r"a\\u0041", 4, 4),
            (r"a\\\u0041", 5, 3),
            (r"a\nb", 2, 1),
            ("é", 1, 0),
        ] {
            assert_eq!(cut(source, at, true), expected, "{source} {at}");
        }
        assert_eq!(cut(r"a\nb", 2, false), 2);
    }
}
