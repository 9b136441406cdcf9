//! Where in a message a value stands, as far as rules depend on it.

use crate::{key_names::KeyNames, scan::Classes};

/// What the names above a value make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A JSON-RPC message, or a batch of them.
    Message,
    /// Its `params`.
    Params,
    /// Its `result`.
    Result,
    /// The `_meta` of either.
    Meta,
    /// What correlates messages: only credentials are masked here, or calls and answers would no longer find each other.
    Envelope,
    /// Under a name that says that the value has to go, by this rule.
    Named(u16),
    /// Anywhere else.
    Body,
}

impl Place {
    /// The place of an object's member.
    pub(crate) fn member(self, name: &str, keys: &KeyNames) -> Self {
        match self.member_of_envelope(name) {
            Self::Body => keys.rule(name).map_or(Self::Body, Self::Named),
            place => place,
        }
    }

    /// The place of an object's member whose name has no rule.
    pub(crate) fn member_of_envelope(self, name: &str) -> Self {
        match (self, name) {
            (Self::Message, "jsonrpc" | "id" | "method") => Self::Envelope,
            (Self::Message, "params") => Self::Params,
            (Self::Message, "result") => Self::Result,
            (Self::Params, "progressToken" | "requestId" | "cursor") | (Self::Result, "nextCursor") => Self::Envelope,
            (Self::Params | Self::Result, "_meta") => Self::Meta,
            (Self::Meta, "progressToken") => Self::Envelope,
            _ => Self::Body,
        }
    }

    /// The place of an array's element.
    pub(crate) fn element(self) -> Self {
        match self {
            Self::Message | Self::Named(_) => self,
            _ => Self::Body,
        }
    }

    /// The rules that apply to a value here.
    pub(crate) fn classes(self) -> Classes {
        if self == Self::Envelope {
            Classes::Credentials
        } else {
            Classes::All
        }
    }
}
