use std::io::{self, Read as _, Write};

/// Values one after the other. Every default is zeros; nothing is kept of those before the first other value, since many
/// columns never have one.
pub(super) struct Packed {
    /// Zeros before the bytes, as long as there are no bytes; then 0.
    zeros: usize,
    bytes: Vec<u8>,
    /// As many bytes as there are expected to be.
    expected: usize,
}

impl Packed {
    pub(super) fn expecting(bytes: usize) -> Self {
        Self {
            zeros: 0,
            bytes: Vec::new(),
            expected: bytes,
        }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        if self.bytes.is_empty() {
            if bytes.iter().all(|byte| *byte == 0) {
                self.zeros += bytes.len();
                return;
            }
            self.begin();
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn add_text(&mut self, bytes: &[u8]) {
        if self.bytes.is_empty() {
            if bytes.is_empty() {
                self.zeros += 1;
                return;
            }
            self.begin();
        }
        text(&mut self.bytes, bytes);
    }

    /// Nothing but zeros.
    pub(super) fn are_zeros(&self) -> bool {
        self.bytes.is_empty()
    }

    fn begin(&mut self) {
        self.bytes.reserve(self.expected);
        self.bytes.resize(std::mem::take(&mut self.zeros), 0);
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if self.zeros > 0 {
            io::copy(&mut io::repeat(0).take(self.zeros as u64), out)?;
        }
        out.write_all(&self.bytes)
    }
}

/// A text behind its length.
pub(super) fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// LEB128.
pub(super) fn length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}
