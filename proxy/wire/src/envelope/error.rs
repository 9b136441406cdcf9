//! Why a message is not an envelope.

use crate::json::{Fault, JsonError};

/// Why a message is not a JSON-RPC envelope. No variant carries a byte of the message: the text may be logged, and
/// answered to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// RFC 8259 does not allow the byte at this offset.
    #[error("not valid JSON at byte {0}")]
    Syntax(u64),
    /// The byte at this offset is not UTF-8.
    #[error("not valid UTF-8 at byte {0}")]
    Utf8(u64),
    /// The message is empty, or ended at this offset before it was complete.
    #[error("the message ends at byte {0}, before its JSON is complete")]
    Incomplete(u64),
    /// More objects and arrays are open at this offset than the limit allows.
    #[error("nested too deeply at byte {0}")]
    TooDeep(u64),
    /// A member that names the message occurs twice, or in a spelling that only some parsers take for it.
    #[error("the member `{0}` is ambiguous: given twice, in another case, or spelled with escapes")]
    Ambiguous(&'static str),
    /// A member that must be kept whole is longer than its limit.
    #[error("the member `{0}` is too long")]
    TooLong(&'static str),
    /// The batch has more messages than the limit allows.
    #[error("the batch has too many messages")]
    TooMany,
    /// JSON, but not a JSON-RPC 2.0 message; the text says which rule is broken.
    #[error("not a JSON-RPC 2.0 message: {0}")]
    Invalid(&'static str),
}

impl EnvelopeError {
    /// The JSON-RPC error code to answer with: -32700 (parse error) for what is not JSON in UTF-8, else -32600 (invalid
    /// request).
    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::Syntax(_) | Self::Utf8(_) | Self::Incomplete(_) => -32700,
            Self::TooDeep(_) | Self::Ambiguous(_) | Self::TooLong(_) | Self::TooMany | Self::Invalid(_) => -32600,
        }
    }
}

impl From<JsonError> for EnvelopeError {
    fn from(JsonError { fault, offset }: JsonError) -> Self {
        match fault {
            Fault::Syntax => Self::Syntax(offset),
            Fault::Utf8 => Self::Utf8(offset),
            Fault::Depth => Self::TooDeep(offset),
            Fault::Incomplete => Self::Incomplete(offset),
        }
    }
}
