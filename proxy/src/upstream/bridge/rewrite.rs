//! Ids of requests of several clients over one conversation. Everything else of a message stays as it was written.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object's members in order, their values as written.
struct Members<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((Cow::Owned(name), Cow::Borrowed(value.get())));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

impl<'a> Members<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    fn value(&mut self, name: &str) -> Option<&mut Cow<'a, str>> {
        self.0.iter_mut().find(|(one, _)| one == name).map(|(_, value)| value)
    }

    /// On one line.
    fn text(&self) -> String {
        let mut text = String::from("{");
        for (at, (name, value)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            text.push_str(comma);
            text.push_str(&serde_json::Value::from(name.as_ref()).to_string());
            text.push(':');
            text.push_str(&value.replace(['\n', '\r'], " "));
        }
        text.push('}');
        text
    }
}

/// A request on its way to the target.
pub(super) struct Rewritten {
    pub(super) message: Vec<u8>,
    /// The progress token that it had, as JSON text. It has the new id's instead.
    pub(super) token: Option<String>,
}

/// Changes `member` of the object in `text` by `change`, if it is there.
fn changed(text: &[u8], member: &str, change: impl FnOnce(&str) -> Option<String>) -> Option<String> {
    let mut members = Members::read(text)?;
    let value = members.value(member)?;
    let new = change(value)?;
    *value = Cow::Owned(new);
    Some(members.text())
}

/// The request with another id, and with that for a progress token where it has one. The message is a request: its
/// envelope was read.
pub(super) fn rewritten(message: &[u8], id: u64) -> Rewritten {
    let mut token = None;
    let with_token = changed(message, "params", |params| {
        changed(params.as_bytes(), "_meta", |meta| {
            changed(meta.as_bytes(), "progressToken", |own| {
                token = Some(own.to_owned());
                Some(id.to_string())
            })
        })
    });
    let message = with_token.map_or_else(|| message.to_vec(), String::into_bytes);
    let message = changed(&message, "id", |_| Some(id.to_string())).map_or(message, String::into_bytes);
    Rewritten { message, token }
}

/// What the target sent, with the client's own id (`id`), or its own token in the parameters (`progressToken`).
pub(super) fn restored(message: &[u8], member: &str, own: &str) -> Vec<u8> {
    let text = match member {
        "id" => changed(message, "id", |_| Some(own.to_owned())),
        _ => changed(message, "params", |params| {
            changed(params.as_bytes(), member, |_| Some(own.to_owned()))
        }),
    };
    text.map_or_else(|| message.to_vec(), String::into_bytes)
}

/// A cancellation with the id that the target knows; none if it knows none.
pub(super) fn cancelled_request(message: &[u8], given: impl FnOnce(&str) -> Option<String>) -> Option<Vec<u8>> {
    changed(message, "params", |params| {
        changed(params.as_bytes(), "requestId", given)
    })
    .map(String::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_and_tokens_change_on_the_way_and_back() {
        let sent =
            br#"{"jsonrpc":"2.0", "id":"a","method":"tools/call","params":{"_meta":{"progressToken": 7,"x":1.50},
            "arguments":{"id":"a","n":1e400,"text":"\u00e9\/"}}}"#;
        let Rewritten { message, token } = rewritten(sent, 42);
        assert_eq!(token.as_deref(), Some("7"));
        let text = String::from_utf8(message).expect("UTF-8");
        assert!(!text.contains('\n'));
        assert!(
            text.contains(r#""id":42,"#) && text.contains(r#""progressToken":42,"x":1.50"#),
            "{text}"
        );
        assert!(text.contains(r#"{"id":"a","n":1e400,"text":"\u00e9\/"}"#), "{text}");

        let answered = restored(br#"{"id":42,"jsonrpc":"2.0","result":{"id":42}}"#, "id", "\"a\"");
        assert_eq!(answered, br#"{"id":"a","jsonrpc":"2.0","result":{"id":42}}"#);
        let progress = br#"{"method":"notifications/progress","params":{"progressToken":42,"progress":1}}"#;
        let progress = restored(progress, "progressToken", "7");
        assert!(String::from_utf8_lossy(&progress).contains(r#""progressToken":7"#));
    }

    #[test]
    fn a_cancellation_is_of_the_request_as_the_target_knows_it() {
        let sent = br#"{"method":"notifications/cancelled","params":{"requestId":"a"}}"#;
        let given = |id: &str| (id == "\"a\"").then(|| "42".to_owned());
        let text = cancelled_request(sent, given).expect("known");
        assert!(String::from_utf8_lossy(&text).contains(r#""requestId":42"#));
        assert!(cancelled_request(sent, |_| None).is_none());
    }
}
