//! Where in a message a value stands, as far as rules depend on it.

use crate::{active::Active, scan::Classes};

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
    /// At the end of a path, or under it: the value goes by this rule, and so does all that it holds.
    Chosen(u16),
    /// Anywhere else.
    Body,
}

impl Place {
    /// The place of an object's member.
    pub(crate) fn member(self, name: &str, active: &Active<'_>) -> Self {
        match self.member_of_envelope(name) {
            Self::Body => {
                let rule = active.rules.keys.rule(name, |rule| active.action(rule).is_some());
                rule.map_or(Self::Body, Self::Named)
            }
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
            (Self::Chosen(_), _) => self,
            _ => Self::Body,
        }
    }

    /// The place of an array's element.
    pub(crate) fn element(self) -> Self {
        match self {
            Self::Message | Self::Named(_) | Self::Chosen(_) => self,
            _ => Self::Body,
        }
    }

    /// The place of a child at which a path ends.
    pub(crate) fn chosen(self, rule: Option<u16>) -> Self {
        match (self, rule) {
            // What correlates messages is not for paths to take away.
            (Self::Envelope | Self::Chosen(_), _) | (_, None) => self,
            (_, Some(rule)) => Self::Chosen(rule),
        }
    }

    /// The rule by which any value goes here.
    pub(crate) fn rule(self) -> Option<u16> {
        match self {
            Self::Named(rule) | Self::Chosen(rule) => Some(rule),
            _ => None,
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
