//! What clients send: parsed, bounded, and refused with a problem that says which parameter is wrong.

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::serve::Console;
use crate::serve::problem::Problem;
use crate::serve::time::is_known;

/// The query's parameters. Taken after the caller, so that nobody who is not known learns what is wrong with them.
#[derive(Debug)]
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Console>> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, console).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(Problem::BadRequest(rejection.body_text())),
        }
    }
}

/// The parts of the path that are parameters.
#[derive(Debug)]
pub(super) struct Place<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Console>> for Place<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, console).await {
            Ok(Path(place)) => Ok(Self(place)),
            Err(rejection) => Err(Problem::BadRequest(rejection.body_text())),
        }
    }
}

/// A session's id. Its start, which leads the order of every table, is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionId(pub(super) Uuid);

impl SessionId {
    /// Microseconds since 1970 that the id carries (UUIDv7, to the millisecond); 0 for an id that no session has.
    pub(super) fn start(self) -> i64 {
        if self.0.get_version_num() != 7 {
            return 0;
        }
        let start = self.0.get_timestamp().map_or(0, |timestamp| {
            let (seconds, nanoseconds) = timestamp.to_unix();
            i64::try_from(seconds).unwrap_or(0) * 1_000_000 + i64::from(nanoseconds) / 1000
        });
        if is_known(start) { start } else { 0 }
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Self)
    }
}

/// Text to look for: not empty, not endless, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Term(String);

impl Term {
    const LONGEST: usize = 512;

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Term {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match !text.is_empty() && text.len() <= Self::LONGEST && !text.contains(char::is_control) {
            true => Ok(Self(text)),
            false => Err(D::Error::custom("a text has 1 to 512 bytes and no control characters")),
        }
    }
}

/// How many, from 1 to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Limit<const MOST: u32>(u32);

impl<const MOST: u32> Limit<MOST> {
    /// The number, or `default` where none is given.
    pub(super) fn or(limit: Option<Self>, default: u32) -> u32 {
        limit.map_or(default.min(MOST), |Self(limit)| limit)
    }
}

impl<'de, const MOST: u32> Deserialize<'de> for Limit<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse::<u32>() {
            Ok(limit) if (1..=MOST).contains(&limit) => Ok(Self(limit)),
            _ => Err(D::Error::custom(Between(1, MOST))),
        }
    }
}

struct Between(u32, u32);

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number from {} to {} is expected", self.0, self.1)
    }
}

/// A number from 0 that the database knows, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse::<u64>() {
            Ok(number) if number <= i64::MAX as u64 => Ok(Self(number)),
            _ => Err(D::Error::custom("a number of 0 or more is expected")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;
    use http::Uri;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Asked {
        text: Option<Term>,
        limit: Option<Limit<100>>,
        from: Option<Number>,
    }

    fn asked(query: &str) -> Option<Asked> {
        let uri: Uri = format!("/?{query}").parse().expect("a URI");
        Query::try_from_uri(&uri).ok().map(|Query(asked)| asked)
    }

    #[test]
    fn numbers_and_texts_have_bounds() {
        let right = asked("text=a%27%20OR%201&limit=100&from=0").expect("it is right");
        assert_eq!(right.text.as_ref().map(Term::as_str), Some("a' OR 1"));
        assert_eq!((Limit::or(right.limit, 7), right.from), (100, Some(Number(0))));
        let none = asked("").expect("all are optional");
        assert_eq!(Limit::or(none.limit, 7), 7);
        for wrong in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=1;",
            "text=",
            "text=a%00b",
            "text=%0A",
            "from=18446744073709551615",
        ] {
            assert!(asked(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_start_of_a_session_is_in_its_id() {
        let id = SessionId("0198c0de-0000-7000-8000-000000000000".parse().expect("an id"));
        assert_eq!(id.start(), 0x0198_c0de_0000 * 1000);
        assert_eq!(SessionId(Uuid::nil()).start(), 0);
        let beyond = SessionId("ffffffff-ffff-7fff-bfff-ffffffffffff".parse().expect("an id"));
        assert_eq!(beyond.start(), 0, "no database knows the year 10889");
    }
}
