//! What the engine is told about a body beside its bytes.

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the MCP client to the target.
    ToTarget,
    /// From the target to the MCP client.
    ToClient,
}

/// What a body is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Content {
    /// A JSON text (RFC 8259), or nobody knows. What cannot be parsed is dropped.
    #[default]
    Json,
    /// UTF-8 text, known from the message's `Content-Type`. JSON inside it is still found where all of it is JSON.
    Text,
}

/// Where a body comes from. Rules may depend on every field, so callers fill in what they know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context<'a> {
    /// The tenant the session belongs to.
    pub tenant: &'a str,
    /// The name of the target.
    pub target: &'a str,
    /// The JSON-RPC method, of the request for an answer too.
    pub method: Option<&'a str>,
    /// The tool, prompt or resource URI that the call names.
    pub name: Option<&'a str>,
    /// Who sent it, where known.
    pub direction: Option<Direction>,
    /// What the body is made of.
    pub content: Content,
}
