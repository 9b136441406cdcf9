//! The members that are looked at, where they stand, and what other parsers would take for them.

/// An object or array whose members are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Outside of everything.
    Outside,
    Batch,
    Message,
    Params,
    ClientInfo,
    Meta,
    MetaClientInfo,
    Result,
    Error,
}

/// A member that is looked at. The names are unique over all places, so that one bit each says which were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Slot {
    JsonRpc,
    Id,
    Method,
    Params,
    Result,
    Error,
    Name,
    Uri,
    Arguments,
    InputResponses,
    RequestState,
    ProtocolVersion,
    ParamsProgressToken,
    ClientInfo,
    InfoName,
    InfoVersion,
    Meta,
    MetaProgressToken,
    TraceParent,
    MetaProtocolVersion,
    MetaClientInfo,
    MetaInfoName,
    MetaInfoVersion,
    IsError,
    Code,
}

impl Slot {
    pub(super) fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// No known key is longer than 39 characters, and no character that folds to one of theirs is longer than 3 bytes, so a
/// key that does not fit here is none of them.
pub(super) const LONGEST_KEY: usize = 128;

/// How a key in a message relates to the keys that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    Known(Slot, &'static str),
    /// Not the key, but some parsers take it for the key.
    Variant(&'static str),
    Unknown,
}

impl Place {
    /// `arguments`, `requestState` and `inputResponses` are not kept, but they must not be ambiguous either: they are
    /// what a call does.
    fn keys(self) -> &'static [(&'static str, Slot)] {
        match self {
            Self::Outside | Self::Batch => &[],
            Self::Message => &[
                ("jsonrpc", Slot::JsonRpc),
                ("id", Slot::Id),
                ("method", Slot::Method),
                ("params", Slot::Params),
                ("result", Slot::Result),
                ("error", Slot::Error),
            ],
            Self::Params => &[
                ("name", Slot::Name),
                ("uri", Slot::Uri),
                ("arguments", Slot::Arguments),
                ("_meta", Slot::Meta),
                ("protocolVersion", Slot::ProtocolVersion),
                ("clientInfo", Slot::ClientInfo),
                ("progressToken", Slot::ParamsProgressToken),
                ("inputResponses", Slot::InputResponses),
                ("requestState", Slot::RequestState),
            ],
            Self::ClientInfo => &[("name", Slot::InfoName), ("version", Slot::InfoVersion)],
            Self::Meta => &[
                ("progressToken", Slot::MetaProgressToken),
                ("traceparent", Slot::TraceParent),
                ("io.modelcontextprotocol/protocolVersion", Slot::MetaProtocolVersion),
                ("io.modelcontextprotocol/clientInfo", Slot::MetaClientInfo),
            ],
            Self::MetaClientInfo => &[("name", Slot::MetaInfoName), ("version", Slot::MetaInfoVersion)],
            Self::Result => &[("isError", Slot::IsError)],
            Self::Error => &[("code", Slot::Code)],
        }
    }

    /// Finds a decoded key of an object in this place.
    pub(super) fn look_up(self, key: &[u8]) -> Lookup {
        let keys = self.keys();
        if let Some(&(name, slot)) = keys.iter().find(|(name, _)| name.as_bytes() == key) {
            return Lookup::Known(slot, name);
        }
        match keys.iter().find(|(name, _)| folds_to(key, name)) {
            Some(&(name, _)) => Lookup::Variant(name),
            None => Lookup::Unknown,
        }
    }
}

/// Whether a parser that ignores case, or ends strings at a NUL, would take `key` for `name`.
///
/// Go's `encoding/json` folds as Unicode does, where U+017F is an `s` and U+212A a `k`; Java's `equalsIgnoreCase` also
/// takes U+0130 and U+0131 for an `i`.
fn folds_to(key: &[u8], name: &str) -> bool {
    let mut rest = key;
    for expected in name.bytes() {
        let (folded, length) = match rest {
            [0xc5, 0xbf, ..] => (b's', 2),
            [0xe2, 0x84, 0xaa, ..] => (b'k', 3),
            [0xc4, 0xb0 | 0xb1, ..] => (b'i', 2),
            [byte, ..] => (byte.to_ascii_lowercase(), 1),
            [] => return false,
        };
        if folded != expected.to_ascii_lowercase() {
            return false;
        }
        rest = &rest[length..];
    }
    matches!(rest, [] | [0, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_their_place_only() {
        assert_eq!(Place::Message.look_up(b"method"), Lookup::Known(Slot::Method, "method"));
        assert_eq!(Place::Params.look_up(b"method"), Lookup::Unknown);
        assert_eq!(Place::Params.look_up(b"name"), Lookup::Known(Slot::Name, "name"));
        assert_eq!(
            Place::ClientInfo.look_up(b"name"),
            Lookup::Known(Slot::InfoName, "name")
        );
    }

    #[test]
    fn what_other_parsers_take_for_a_key_is_a_variant() {
        for key in ["Method", "METHOD", "method\0", "method\0x"] {
            assert_eq!(
                Place::Message.look_up(key.as_bytes()),
                Lookup::Variant("method"),
                "{key:?}"
            );
        }
        assert_eq!(
            Place::Message.look_up("param\u{17f}".as_bytes()),
            Lookup::Variant("params")
        );
        assert_eq!(
            Place::Params.look_up("progressTo\u{212a}en".as_bytes()),
            Lookup::Variant("progressToken")
        );
        assert_eq!(Place::Message.look_up("\u{131}d".as_bytes()), Lookup::Variant("id"));
        assert_eq!(Place::Message.look_up("\u{130}D".as_bytes()), Lookup::Variant("id"));
    }

    #[test]
    fn other_keys_are_unknown() {
        for key in ["", "methods", "metho", "me thod", " method", "x-method", "\0method"] {
            assert_eq!(Place::Message.look_up(key.as_bytes()), Lookup::Unknown, "{key:?}");
        }
    }
}
