//! JSON objects in which no name stands twice, at any depth: two readers that disagree on which one counts would see
//! two tokens (RFC 7515, section 4; RFC 7519, section 4).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Parses an object, all of the input, no name twice. Nesting deeper than serde_json's 128 levels is refused.
pub fn object(input: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice::<Unambiguous>(input) {
        Ok(Unambiguous(Value::Object(object))) => Some(object),
        Ok(_) | Err(_) => None,
    }
}

struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value without repeated names")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unambiguous(value))) = members.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::object;

    #[test]
    fn a_repeated_name_is_refused_at_any_depth() {
        assert!(object(br#"{"a":1,"b":[{"a":1}],"c":{"a":null}}"#).is_some());
        assert!(object(br#"{"a":1,"a":1}"#).is_none());
        assert!(object(br#"{"a":[{"b":{"c":1,"c":2}}]}"#).is_none());
        assert!(
            object(br#"{"a":1,"\u0061":2}"#).is_none(),
            "an escaped name is the same name"
        );
    }

    #[test]
    fn only_one_whole_object_is_accepted() {
        for input in ["", "[]", "1", "{} {}", "{\"a\":}", "{\"a\":1"] {
            assert!(object(input.as_bytes()).is_none(), "{input}");
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(4000), "}".repeat(4000));
        assert!(object(deep.as_bytes()).is_none(), "depth is bounded");
    }
}
