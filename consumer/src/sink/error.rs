use std::time::Duration;

/// The longest that a statement may take; an insert has its lease besides.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was done, or nobody knows: the same again, later.
    Retry,
    /// The lease had run out: nothing was inserted. The same again under a new lease.
    LeaseExpired,
    /// It will fail for ever: the schema, the user or this program is wrong.
    Stop,
}

/// A statement that failed.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// ClickHouse or the way to it.
    #[error(transparent)]
    ClickHouse(#[from] clickhouse::error::Error),
    /// No answer in time.
    #[error("ClickHouse has not answered for {} s", PATIENCE.as_secs())]
    TimedOut,
}

/// Codes of ClickHouse that no retry mends: unknown column, table, database, identifier, setting; wrong types, syntax
/// or rights.
const PERMANENT: &[u32] = &[16, 44, 47, 53, 60, 62, 81, 115, 192, 193, 194, 497, 516];
/// FUNCTION_THROW_IF_VALUE_IS_NON_ZERO: the lease.
const THROW_IF: u32 = 395;

impl SinkError {
    /// What to do.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self.code() {
            Some(THROW_IF) => Fault::LeaseExpired,
            Some(code) if PERMANENT.contains(&code) => Fault::Stop,
            _ => match self {
                Self::ClickHouse(clickhouse::error::Error::SchemaMismatch(_)) => Fault::Stop,
                _ => Fault::Retry,
            },
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
pub(super) async fn timed<T>(statement: impl Future<Output = clickhouse::error::Result<T>>) -> Result<T, SinkError> {
    match tokio::time::timeout(PATIENCE, statement).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(SinkError::TimedOut),
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
        let lease = answered("Code: 395. DB::Exception: lease: while executing …");
        assert_eq!(lease.fault(), Fault::LeaseExpired);
        assert_eq!(
            answered("Code: 60. DB::Exception: Table does not exist").fault(),
            Fault::Stop
        );
        assert_eq!(
            answered("Code: 241. DB::Exception: Memory limit exceeded").fault(),
            Fault::Retry
        );
        assert_eq!(answered("502 Bad Gateway").fault(), Fault::Retry);
        assert_eq!(SinkError::TimedOut.fault(), Fault::Retry);
    }
}
