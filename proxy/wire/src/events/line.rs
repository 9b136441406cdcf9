//! What a line of an event stream is.

/// What the bytes of a line belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// `data:`.
    Data,
    /// `:`.
    Comment,
    /// Any other.
    Field,
}

/// The longest prefix that tells what a line is, and whether a space follows the colon.
pub(super) const PREFIX: usize = b"data: ".len();

impl Line {
    /// The kind of the line that begins so; [`PREFIX`] bytes are enough. A `data` line without a colon has no content
    /// to cut, so it counts as any other.
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            [b':', ..] => Self::Comment,
            _ if start.starts_with(b"data:") => Self::Data,
            _ => Self::Field,
        }
    }
}
