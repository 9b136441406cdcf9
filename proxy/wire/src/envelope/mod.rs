//! The envelope of a JSON-RPC message (JSON-RPC 2.0 as the Model Context Protocol uses it), without a tree.
//!
//! [`EnvelopeScanner`] reads a message in any pieces and keeps only the handful of members that name it. Its memory is
//! bounded by [`Limits`], whatever is sent, and every split of the input gives the same result.
//!
//! What a *client* sends decides what happens, so there it is strict: where two parsers could read two different calls
//! (a member twice, `Method` beside `method`, `"meth\u006fd"`) the message is refused. What a *target* sends has
//! happened already: there the first spelling counts and [`Envelope::ambiguous`] says that there was another.

mod capture;
mod error;
mod keys;
mod member;
mod reader;
mod scanner;

#[cfg(test)]
mod tests;

pub use error::EnvelopeError;
pub use scanner::EnvelopeScanner;

/// What a JSON-RPC message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `method` and `id`.
    Request,
    /// `result` and `id`.
    Response,
    /// `error`, with an `id` unless the fault was in the request's own.
    Error,
    /// `method` without `id`.
    #[default]
    Notification,
    /// An array of the others (revision 2025-03-26 only).
    Batch,
}

/// The parts of a message that name it. Strings are decoded; those the sender made longer than [`Limits`] allows are
/// cut at a character boundary, and [`truncated`](Self::truncated) is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// What the message is.
    pub kind: Kind,
    /// The id as JSON text: an integer as sent, or a string in its shortest spelling, so that a request and its answer
    /// compare equal although one side wrote `"\u00e9"` and the other `"é"`. Absent for notifications and batches, and
    /// for errors with a `null` id or none.
    pub id: Option<String>,
    /// `method`.
    pub method: Option<String>,
    /// What a request is about: `params.name` of `tools/call` and `prompts/get`, `params.uri` of `resources/*`.
    pub name: Option<String>,
    /// `error.code`, if it is a 64-bit integer.
    pub error_code: Option<i64>,
    /// `result.isError`: the tool ran and reports a failure.
    pub is_error: bool,
    /// `params.protocolVersion` of `initialize`, else `params._meta["io.modelcontextprotocol/protocolVersion"]`.
    pub protocol_version: Option<String>,
    /// The name in `params.clientInfo`, or in `params._meta["io.modelcontextprotocol/clientInfo"]`. A claim, not a proof.
    pub client_name: Option<String>,
    /// The version beside [`client_name`](Self::client_name).
    pub client_version: Option<String>,
    /// `params._meta.progressToken` of a request, `params.progressToken` of `notifications/progress`, as JSON text like
    /// [`id`](Self::id). Absent if longer than the limit: half a token joins nothing.
    pub progress_token: Option<String>,
    /// `params._meta.traceparent` (W3C Trace Context), not checked further.
    pub trace_parent: Option<String>,
    /// One of the strings above was longer than its limit and is cut, or left out.
    pub truncated: bool,
    /// Another parser could read another message. Only ever set for [`Sender::Target`].
    pub ambiguous: bool,
    /// The messages of a batch, in order; empty for all else.
    pub members: Vec<Envelope>,
}

impl Envelope {
    /// The envelope of one whole message.
    ///
    /// # Errors
    /// What [`EnvelopeScanner::push`] and [`EnvelopeScanner::finish`] return.
    pub fn scan(message: &[u8], limits: Limits) -> Result<Self, EnvelopeError> {
        let mut scanner = EnvelopeScanner::new(limits);
        scanner.push(message)?;
        scanner.finish()
    }
}

/// Whose bytes these are, and so what an ambiguous message means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Ambiguity is refused: the target might run another call than the one on record.
    Client,
    /// Ambiguity is noted: the message exists, and dropping its envelope would hide more than it protects.
    Target,
}

/// How much of a message is looked at and kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Whose message it is.
    pub sender: Sender,
    /// Most open objects and arrays, at most 128. Deeper is an error.
    pub depth: u8,
    /// Longest `id` and `method`, in bytes of decoded text. Longer is an error: a cut id would join the wrong answer.
    pub label: usize,
    /// Longest [`Envelope::name`], in bytes. Longer is cut.
    pub name: usize,
    /// Longest of the other strings, in bytes. Longer is cut.
    pub text: usize,
    /// Most messages in a batch. More is an error.
    pub members: usize,
}

impl Limits {
    /// For what clients send.
    pub const CLIENT: Self = Self {
        sender: Sender::Client,
        depth: 128,
        label: 256,
        name: 4096,
        text: 256,
        members: 128,
    };
    /// For what targets send.
    pub const TARGET: Self = Self {
        sender: Sender::Target,
        ..Self::CLIENT
    };
}
