//! Strings: RFC 8259, sections 7 and 8.1; UTF-8 as in Unicode 16, table 3-7.

use super::{Fault, Sink};

#[derive(Clone, Copy, Debug)]
enum Step {
    Plain,
    /// After a backslash.
    Escape,
    /// After `\u`.
    Hex {
        left: u8,
        value: u16,
    },
    /// Inside a character of several bytes; only the first byte after the lead has bounds of its own.
    Tail {
        left: u8,
        low: u8,
        high: u8,
    },
}

/// A string after its opening quote.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    wanted: bool,
    step: Step,
    /// The first half of a surrogate pair, not yet matched; 0 for none.
    pending: u16,
}

impl Text {
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            step: Step::Plain,
            pending: 0,
        }
    }

    /// Reads on at `from`: the index after the last byte used, and whether the closing quote was reached.
    pub(super) fn push<S: Sink>(
        &mut self,
        bytes: &[u8],
        from: usize,
        sink: &mut S,
    ) -> Result<(usize, bool), (Fault, usize)> {
        let end = plain_end(bytes, from);
        if matches!(self.step, Step::Plain) && bytes.get(end) == Some(&b'"') {
            // Most strings: plain text, all here.
            self.text(&bytes[from..end], sink);
            self.settle(sink);
            return Ok((end + 1, true));
        }
        self.push_slowly(bytes, from, sink)
    }

    fn push_slowly<S: Sink>(
        &mut self,
        bytes: &[u8],
        from: usize,
        sink: &mut S,
    ) -> Result<(usize, bool), (Fault, usize)> {
        let mut at = from;
        // Where the run of bytes begins that go to the sink as they are.
        let mut run = from;
        while at < bytes.len() {
            match self.step {
                Step::Plain => {
                    at = plain_end(bytes, at);
                    let Some(&byte) = bytes.get(at) else { break };
                    match byte {
                        b'"' => {
                            self.text(&bytes[run..at], sink);
                            self.settle(sink);
                            return Ok((at + 1, true));
                        }
                        b'\\' => {
                            self.text(&bytes[run..at], sink);
                            self.step = Step::Escape;
                        }
                        0x00..=0x1f => return Err((Fault::Syntax, at)),
                        lead => self.step = tail_of(lead).ok_or((Fault::Utf8, at))?,
                    }
                }
                Step::Escape => {
                    self.step = Step::Plain;
                    self.escape(bytes[at], sink).ok_or((Fault::Syntax, at))?;
                    run = at + 1;
                }
                Step::Hex { left, value } => {
                    let digit = char::from(bytes[at]).to_digit(16).ok_or((Fault::Syntax, at))?;
                    let value = value << 4 | digit as u16;
                    if left == 1 {
                        self.step = Step::Plain;
                        self.code_unit(value, sink);
                    } else {
                        self.step = Step::Hex { left: left - 1, value };
                    }
                    run = at + 1;
                }
                Step::Tail { left, low, high } => {
                    if !(low..=high).contains(&bytes[at]) {
                        return Err((Fault::Utf8, at));
                    }
                    self.step = if left == 1 {
                        Step::Plain
                    } else {
                        Step::Tail {
                            left: left - 1,
                            low: 0x80,
                            high: 0xbf,
                        }
                    };
                }
            }
            at += 1;
        }
        if matches!(self.step, Step::Plain | Step::Tail { .. }) {
            self.text(&bytes[run..], sink);
        }
        Ok((bytes.len(), false))
    }

    fn text<S: Sink>(&mut self, run: &[u8], sink: &mut S) {
        if !run.is_empty() {
            self.settle(sink);
            if self.wanted {
                sink.text(run);
            }
        }
    }

    /// Whatever comes now, it is not the second half that a pending first half waited for.
    fn settle<S: Sink>(&mut self, sink: &mut S) {
        if self.pending != 0 && self.wanted {
            sink.lone_surrogate();
        }
        self.pending = 0;
    }

    fn escape<S: Sink>(&mut self, byte: u8, sink: &mut S) -> Option<()> {
        if self.wanted && byte != b'/' {
            sink.escape();
        }
        let decoded: &[u8] = match byte {
            b'u' => {
                self.step = Step::Hex { left: 4, value: 0 };
                return Some(());
            }
            b'"' => b"\"",
            b'\\' => b"\\",
            b'/' => b"/",
            b'b' => b"\x08",
            b'f' => b"\x0c",
            b'n' => b"\n",
            b'r' => b"\r",
            b't' => b"\t",
            _ => return None,
        };
        self.text(decoded, sink);
        Some(())
    }

    /// One `\uXXXX`.
    fn code_unit<S: Sink>(&mut self, unit: u16, sink: &mut S) {
        let first = std::mem::take(&mut self.pending);
        let character = match (first, unit) {
            (0xd800..=0xdbff, 0xdc00..=0xdfff) => {
                char::from_u32(0x1_0000 + (u32::from(first - 0xd800) << 10) + u32::from(unit - 0xdc00))
            }
            _ => {
                self.pending = first;
                self.settle(sink);
                if matches!(unit, 0xd800..=0xdbff) {
                    self.pending = unit;
                    return;
                }
                char::from_u32(u32::from(unit))
            }
        };
        match character {
            Some(character) => self.text(character.encode_utf8(&mut [0; 4]).as_bytes(), sink),
            None if self.wanted => sink.lone_surrogate(),
            None => {}
        }
    }
}

/// What must follow a first byte; nothing follows a byte that cannot be first.
fn tail_of(lead: u8) -> Option<Step> {
    let (left, low, high) = match lead {
        0xc2..=0xdf => (1, 0x80, 0xbf),
        0xe0 => (2, 0xa0, 0xbf),
        0xe1..=0xec | 0xee..=0xef => (2, 0x80, 0xbf),
        0xed => (2, 0x80, 0x9f),
        0xf0 => (3, 0x90, 0xbf),
        0xf1..=0xf3 => (3, 0x80, 0xbf),
        0xf4 => (3, 0x80, 0x8f),
        _ => return None,
    };
    Some(Step::Tail { left, low, high })
}

/// The index of the first byte from `from` on that is not plain ASCII text (a quote, a backslash, a control character,
/// or part of a longer character), eight bytes at a time: payloads are megabytes of base64.
fn plain_end(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let mut at = from;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        // A subtraction can borrow from the byte above, but only out of a byte that is itself a hit, so the lowest
        // marked byte is always a true one.
        let control = word.wrapping_sub(ONES * 0x20);
        let quote = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
        let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let hits = (control | quote | backslash | word) & HIGH;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest
        .iter()
        .position(|&byte| matches!(byte, 0x00..=0x1f | b'"' | b'\\' | 0x80..))
        .unwrap_or(rest.len())
}
