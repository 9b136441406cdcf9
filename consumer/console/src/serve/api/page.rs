//! Pages of lists, and where the next one begins.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// What is on it. May be fewer than asked for although there are more: `next` decides.
    pub(super) items: Vec<T>,
    /// The cursor of the next page; none on the last.
    #[schema(value_type = Option<String>)]
    pub(super) next: Option<String>,
}

/// The place after which a page begins, opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor<P>(pub(super) P);

impl<P: Serialize> Cursor<P> {
    pub(super) fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&self.0).expect("numbers and ids are JSON"))
    }
}

impl<P: Serialize> Serialize for Cursor<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de, P: DeserializeOwned> Deserialize<'de> for Cursor<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let place = BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok());
        place
            .map(Self)
            .ok_or_else(|| D::Error::custom("a cursor is what an earlier page had as `next`"))
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;
    use http::Uri;
    use serde::Deserialize;
    use uuid::Uuid;

    use super::Cursor;

    #[derive(Debug, Deserialize)]
    struct Asked {
        cursor: Cursor<(i64, Uuid)>,
    }

    #[test]
    fn a_cursor_comes_back_as_it_went_and_nothing_else_is_one() {
        let cursor = Cursor((-7_i64, Uuid::now_v7()));
        let parse = |text: &str| {
            let uri: Uri = format!("/?cursor={text}").parse().expect("a URI");
            Query::<Asked>::try_from_uri(&uri).ok().map(|Query(asked)| asked.cursor)
        };
        assert_eq!(parse(&cursor.text()), Some(cursor));
        for wrong in ["", "x", "bnVsbA", "W10", "WzEsMl0"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
