//! One message under construction, and what it turns out to be.

use super::keys::Slot;
use super::{Envelope, EnvelopeError, Kind};

/// What is known of one message so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    /// One bit per [`Slot`] that occurred.
    pub(super) seen: u32,
    /// `"jsonrpc": "2.0"` was there.
    pub(super) version: bool,
    /// As JSON text; absent for `null`.
    pub(super) id: Option<String>,
    pub(super) method: Option<String>,
    pub(super) name: Option<String>,
    pub(super) uri: Option<String>,
    pub(super) protocol_version: Option<String>,
    pub(super) meta_protocol_version: Option<String>,
    pub(super) info: Info,
    pub(super) meta_info: Info,
    pub(super) params_progress_token: Option<String>,
    pub(super) meta_progress_token: Option<String>,
    pub(super) trace_parent: Option<String>,
    pub(super) error_code: Option<i64>,
    pub(super) is_error: bool,
    pub(super) truncated: bool,
    pub(super) ambiguous: bool,
}

/// `clientInfo`.
#[derive(Clone, Debug, Default)]
pub(super) struct Info {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
}

impl Member {
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.seen & slot.bit() != 0
    }

    /// The whole message: JSON-RPC 2.0, sections 4 and 5, and the Model Context Protocol's rule that a request's id is
    /// not null.
    pub(super) fn complete(self) -> Result<Envelope, EnvelopeError> {
        if !self.version {
            return Err(EnvelopeError::Invalid("`jsonrpc` is not \"2.0\""));
        }
        let kind = match (self.has(Slot::Method), self.has(Slot::Result), self.has(Slot::Error)) {
            (true, false, false) if !self.has(Slot::Id) => Kind::Notification,
            (true, false, false) if self.id.is_none() => {
                return Err(EnvelopeError::Invalid("the `id` of a request is null"));
            }
            (true, false, false) => Kind::Request,
            (false, true, false) if self.id.is_none() => {
                return Err(EnvelopeError::Invalid("a result needs the `id` of its request"));
            }
            (false, true, false) => Kind::Response,
            (false, false, true) => Kind::Error,
            (false, false, false) => {
                return Err(EnvelopeError::Invalid("it has no `method`, no `result` and no `error`"));
            }
            _ => {
                return Err(EnvelopeError::Invalid(
                    "it has more than one of `method`, `result` and `error`",
                ));
            }
        };
        Ok(self.into_envelope(kind))
    }

    /// A message of which the end is missing, if what is there says what it will be.
    pub(super) fn so_far(&self) -> Option<Envelope> {
        let kind = if self.has(Slot::Result) {
            Kind::Response
        } else if self.has(Slot::Error) {
            Kind::Error
        } else if !self.has(Slot::Method) {
            return None;
        } else if self.has(Slot::Id) {
            Kind::Request
        } else {
            Kind::Notification
        };
        Some(self.clone().into_envelope(kind))
    }

    fn into_envelope(self, kind: Kind) -> Envelope {
        let method = self.method.as_deref().unwrap_or_default();
        let name = match method {
            "tools/call" | "prompts/get" => self.name,
            _ if method.starts_with("resources/") => self.uri,
            _ => None,
        };
        let (protocol_version, info) = match method {
            "initialize" => (
                self.protocol_version.or(self.meta_protocol_version),
                self.info.or(self.meta_info),
            ),
            _ => (self.meta_protocol_version, self.meta_info),
        };
        let progress_token = match method {
            "notifications/progress" => self.params_progress_token,
            _ => self.meta_progress_token,
        };
        Envelope {
            kind,
            id: self.id,
            name,
            error_code: self.error_code,
            is_error: self.is_error,
            protocol_version,
            client_name: info.name,
            client_version: info.version,
            progress_token,
            trace_parent: self.trace_parent,
            truncated: self.truncated,
            ambiguous: self.ambiguous,
            members: Vec::new(),
            method: self.method,
        }
    }
}

impl Info {
    /// Never a mixture: a name from one place and a version from another would be nobody's claim.
    fn or(self, other: Self) -> Self {
        if self.name.is_some() || self.version.is_some() {
            self
        } else {
            other
        }
    }
}
