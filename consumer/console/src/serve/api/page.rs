//! Pages of lists, and where the next one begins.

use axum::response::Response;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use clickhouse::{Row, RowOwned, RowRead};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::serve::Console;
use crate::serve::access::{Look, Recorded, answer};
use crate::serve::identity::Caller;
use crate::serve::problem::Problem;
use crate::serve::query::Select;
use crate::serve::time::is_known;

/// One page of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Page<T> {
    /// What is on it. May be fewer than asked for although there are more: `next` decides.
    pub(crate) items: Vec<T>,
    /// The cursor of the next page; none on the last.
    #[schema(value_type = Option<String>)]
    pub(crate) next: Option<String>,
}

impl<T> Recorded<Vec<T>> {
    /// The first `limit` rows as a page. One row more than it has room for says that there is a next one, after `place` of
    /// its last.
    pub(super) fn page<P: Serialize>(self, limit: usize, place: impl FnOnce(&T) -> P) -> Recorded<Page<T>> {
        let is_last = self.rows() <= limit as u64;
        self.truncate(limit).map(|items| {
            let last = items.last().filter(|_| !is_last);
            let next = last.map(|last| Cursor(place(last)).text());
            Page { items, next }
        })
    }
}

/// Reads a page of what a statement finds, and answers with it. The statement has its limit as the parameter `limit`.
///
/// # Errors
/// As [`Store::rows`](crate::serve::store::Store::rows) and [`answer`].
pub(super) async fn answer_page<R, P>(
    console: &Console,
    caller: &Caller,
    look: &Look,
    select: Select,
    limit: u32,
    place: impl FnOnce(&R) -> P,
) -> Result<Response, Problem>
where
    R: RowOwned + RowRead + Row + Serialize,
    P: Serialize,
{
    let select = select.bind("limit", u64::from(limit) + 1);
    let found = console.store.rows::<R>(&select).await?;
    answer(&console.access, caller, look, found.page(limit as usize, place)).await
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

/// Microseconds since 1970 in a cursor: whoever makes one up gets no further than here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Moment(pub(super) i64);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let microseconds = i64::deserialize(deserializer)?;
        match is_known(microseconds) {
            true => Ok(Self(microseconds)),
            false => Err(D::Error::custom("no such time")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;
    use http::Uri;
    use serde::Deserialize;
    use uuid::Uuid;

    use super::{Cursor, Moment};

    #[derive(Debug, Deserialize)]
    struct Asked {
        cursor: Cursor<(Moment, Uuid)>,
    }

    #[test]
    fn a_cursor_comes_back_as_it_went_and_nothing_else_is_one() {
        let cursor = Cursor((Moment(-7), Uuid::now_v7()));
        let parse = |text: &str| {
            let uri: Uri = format!("/?cursor={text}").parse().expect("a URI");
            Query::<Asked>::try_from_uri(&uri).ok().map(|Query(asked)| asked.cursor)
        };
        assert_eq!(parse(&cursor.text()), Some(cursor));
        let beyond = Cursor((Moment(i64::MAX), Uuid::now_v7())).text();
        for wrong in ["", "x", "bnVsbA", "W10", "WzEsMl0", &beyond] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
