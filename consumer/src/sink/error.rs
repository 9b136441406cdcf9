//! What a statement that failed asks for: the one place where ClickHouse's errors are sorted.
//!
//! | What failed | [`Fault`] | What happens |
//! |---|---|---|
//! | no connection, none to the end, no answer in time, an answer that is not ClickHouse's own (a gateway's 502) | `Elsewhere` | the same again, at another endpoint where there is one |
//! | this server cannot at the moment: shutting down, read-only, without Keeper | `Elsewhere` | likewise |
//! | it has too much to do: memory, disk, parts, queries | `Retry` | the same again, there, for ever |
//! | the rows came after their lease | `LeaseExpired` | the same again under a new lease |
//! | the schema, the rights, the password, the certificate, this program | `Stop` | the consumer ends and says why |
//!
//! Nothing here is a dead letter. What cannot be read is sorted out before, record by record (`record.rs`); a batch is never
//! given up because of what ClickHouse says to it.

use std::time::Duration;

use tapedeck_clickhouse::{causes, is_away, is_distrust, is_unsent};

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The same again, later.
    Retry,
    /// The endpoint, or the way to it, is at fault: the same again, later, at another one where there is one.
    Elsewhere,
    /// The lease had run out: nothing was inserted. The same again under a new lease.
    LeaseExpired,
    /// It will fail for ever: the schema, the user or this program is wrong.
    Stop,
}

/// A statement that failed.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// ClickHouse or the way to it.
    #[error("{}", causes(.0))]
    ClickHouse(#[from] clickhouse::error::Error),
    /// No answer in time.
    #[error("ClickHouse has not answered for {} s", .0.as_secs())]
    TimedOut(Duration),
    /// Two endpoints that are no replicas of one table.
    #[error(
        "the endpoints of clickhouse.url must be replicas of one table, and {0} holds another `frames` than the first one \
         that answered. Nothing was read or loaded there"
    )]
    Foreign(String),
}

/// Codes of ClickHouse that no retry mends: unknown column, function, table, setting, type, database, format, identifier, user;
/// wrong number or kind of arguments, types, syntax or rights; a user who may only read or not set what has to be set.
const PERMANENT: &[u32] = &[
    16, 42, 43, 44, 46, 47, 50, 53, 60, 62, 73, 81, 115, 164, 192, 193, 194, 291, 452, 497, 516,
];
/// This server cannot, and a replica of it may: UNKNOWN_STATUS_OF_INSERT, TABLE_IS_READ_ONLY, no Keeper or trouble with it
/// (NO_ZOOKEEPER, KEEPER_EXCEPTION), ALL_CONNECTION_TRIES_FAILED, ABORTED and QUERY_WAS_CANCELLED (it shuts down).
const OF_THE_SERVER: &[u32] = &[225, 236, 242, 279, 319, 394, 999];
/// UNKNOWN_STATUS_OF_INSERT: Keeper has not said whether it took the rows.
const UNKNOWN_STATUS: u32 = 319;
/// FUNCTION_THROW_IF_VALUE_IS_NON_ZERO: the lease.
const THROW_IF: u32 = 395;

impl SinkError {
    /// What to do.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match (self.code(), self) {
            (Some(THROW_IF), _) => Fault::LeaseExpired,
            (Some(code), _) if PERMANENT.contains(&code) => Fault::Stop,
            (Some(code), _) if OF_THE_SERVER.contains(&code) => Fault::Elsewhere,
            (Some(_), _) => Fault::Retry,
            (None, Self::Foreign(_)) => Fault::Stop,
            (None, Self::TimedOut(_)) => Fault::Elsewhere,
            (None, Self::ClickHouse(error)) => match error {
                clickhouse::error::Error::SchemaMismatch(_) => Fault::Stop,
                _ if is_distrust(error) => Fault::Stop,
                _ if is_away(error) => Fault::Elsewhere,
                _ => Fault::Retry,
            },
        }
    }

    /// Of an insert: whether its rows may be there, or may yet come, for all that anybody knows.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        match (self.code(), self) {
            (Some(code), _) => code == UNKNOWN_STATUS,
            (None, Self::ClickHouse(error)) => !is_unsent(error),
            (None, _) => true,
        }
    }

    /// ClickHouse's error code, where it answered with one.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        let Self::ClickHouse(clickhouse::error::Error::BadResponse(text)) = self else {
            return None;
        };
        code(text)
    }
}

/// `Code: 395. DB::Exception: …`
fn code(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("Code: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// Waits for a statement, but not for ever.
pub(super) async fn timed<T>(
    statement: impl Future<Output = clickhouse::error::Result<T>>,
    patience: Duration,
) -> Result<T, SinkError> {
    match tokio::time::timeout(patience, statement).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(SinkError::TimedOut(patience)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(text: &str) -> SinkError {
        SinkError::ClickHouse(clickhouse::error::Error::BadResponse(text.to_owned()))
    }

    #[test]
    fn errors_are_sorted_by_what_helps() {
        for (said, fault) in [
            (
                "Code: 395. DB::Exception: lease: while executing …",
                Fault::LeaseExpired,
            ),
            ("Code: 60. DB::Exception: Table does not exist", Fault::Stop),
            ("Code: 516. DB::Exception: Authentication failed", Fault::Stop),
            ("Code: 241. DB::Exception: Memory limit exceeded", Fault::Retry),
            ("Code: 252. DB::Exception: Too many parts", Fault::Retry),
            ("Code: 242. DB::Exception: Table is in readonly mode", Fault::Elsewhere),
            ("502 Bad Gateway", Fault::Elsewhere),
        ] {
            assert_eq!(answered(said).fault(), fault, "{said}");
        }
        assert_eq!(SinkError::TimedOut(Duration::from_secs(60)).fault(), Fault::Elsewhere);
        assert_eq!(SinkError::Foreign("http://b:1".to_owned()).fault(), Fault::Stop);
    }

    #[test]
    fn what_an_insert_has_left_behind_is_known_only_where_clickhouse_says_so() {
        for (error, is_unsure) in [
            (answered("Code: 242. DB::Exception: Table is in readonly mode"), false),
            (answered("Code: 319. DB::Exception: Unknown status"), true),
            (answered("502 Bad Gateway"), true),
            (SinkError::TimedOut(Duration::from_secs(60)), true),
        ] {
            assert_eq!(error.is_unsure(), is_unsure, "{error}");
        }
    }
}
