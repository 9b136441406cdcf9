//! ClickHouse, to read from: each query under the limits of its user, and what it finds locked up until it is on record.

mod gates;

use std::time::Duration;

use clickhouse::query::{BytesCursor, Query, RowCursor};
use clickhouse::{Row, RowOwned, RowRead};
use tapedeck_clickhouse::{ConnectError, Endpoints, causes, is_away};
use tapedeck_config::ClickHouse;

use super::access::Recorded;
use super::config::Limits;
use super::problem::Problem;
use super::query::Select;
use super::timing::{Wait, noted};
use gates::Gates;

pub(super) use gates::Pass;

/// How much longer than the query's own limit its answer is waited for.
const GRACE: Duration = Duration::from_secs(5);
/// How long a query waits for the user's other queries.
const PATIENCE: Duration = Duration::from_secs(5);

/// What ClickHouse says when a limit is reached: TOO_MANY_ROWS, TIMEOUT_EXCEEDED, TOO_SLOW, MEMORY_LIMIT_EXCEEDED,
/// TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES.
const LIMITS: [(&str, &str); 6] = [
    ("Code: 158.", "one question may read in rows"),
    ("Code: 159.", "one question may take in time"),
    ("Code: 160.", "one question may take in time"),
    ("Code: 241.", "one question may take in memory"),
    ("Code: 307.", "one question may read in bytes"),
    ("Code: 396.", "one question may answer"),
];

/// What ClickHouse says when it takes no more for the moment: QUOTA_EXCEEDED, TOO_MANY_SIMULTANEOUS_QUERIES.
const BUSY: [&str; 2] = ["Code: 201.", "Code: 202."];

/// Reads recordings. Cheap to share.
#[derive(Debug)]
pub(super) struct Store {
    endpoints: Endpoints,
    limits: Limits,
    queries: Gates,
    streams: Gates,
    exports: Gates,
}

impl Store {
    /// # Errors
    /// Where no TLS can be spoken with the roots that are configured.
    pub(super) fn new(config: &ClickHouse, limits: Limits) -> Result<Self, ConnectError> {
        let seconds = limits.time.as_secs_f64();
        let endpoints = Endpoints::new(config)?.with(|client| {
            client
                // Reads only, whatever the user could do. 1 would forbid the settings below.
                .with_setting("readonly", "2")
                .with_setting("max_execution_time", format!("{seconds:.3}"))
                .with_setting("timeout_overflow_mode", "throw")
                .with_setting("max_rows_to_read", limits.rows.to_string())
                .with_setting("max_bytes_to_read", limits.bytes.to_string())
                .with_setting("read_overflow_mode", "throw")
                .with_setting("max_memory_usage", limits.memory.to_string())
                // A client that goes away takes its query with it.
                .with_setting("cancel_http_readonly_queries_on_client_close", "1")
        });
        Ok(Self {
            endpoints,
            limits,
            queries: Gates::new(limits.queries_per_user),
            streams: Gates::new(limits.streams_per_user),
            exports: Gates::new(limits.exports_per_user),
        })
    }

    /// All rows of a statement, which has a limit of its own.
    ///
    /// # Errors
    /// Too much for one query or one user, or ClickHouse is away.
    pub(super) async fn rows<R>(&self, select: &Select) -> Result<Recorded<Vec<R>>, Problem>
    where
        R: RowOwned + RowRead + Row,
    {
        self.rows_up_to(select, u64::MAX, |_| 0).await
    }

    /// The statement's rows up to the one with which they come to `bytes`, by what `weight` says of each.
    ///
    /// # Errors
    /// As [`Store::rows`].
    pub(super) async fn rows_up_to<R>(
        &self,
        select: &Select,
        bytes: u64,
        weight: impl Fn(&R) -> u64,
    ) -> Result<Recorded<Vec<R>>, Problem>
    where
        R: RowOwned + RowRead + Row,
    {
        noted(Wait::Questions, self.read(select, bytes, weight)).await
    }

    async fn read<R>(
        &self,
        select: &Select,
        bytes: u64,
        weight: impl Fn(&R) -> u64,
    ) -> Result<Recorded<Vec<R>>, Problem>
    where
        R: RowOwned + RowRead + Row,
    {
        let waits = tokio::time::timeout(PATIENCE, self.queries.enter(select.user()));
        let _pass = waits
            .await
            .map_err(|_| Problem::TooMany("your other questions are still being answered; ask fewer at once"))?;
        let read = async || {
            let mut cursor = self.query(select).fetch::<R>()?;
            let (mut rows, mut size) = (Vec::new(), 0);
            while size < bytes
                && let Some(row) = cursor.next().await?
            {
                size += weight(&row);
                rows.push(row);
            }
            Ok(rows)
        };
        // Nobody has seen anything of a question that failed: it may be asked again elsewhere.
        let read = async {
            let mut left = self.endpoints.all().len();
            loop {
                let endpoint = self.endpoints.current();
                left -= 1;
                match read().await {
                    Err(error) if is_away(&error) && left > 0 => {
                        tracing::warn!(endpoint = ?self.endpoints.all()[endpoint], error = causes(&error), "asking another endpoint");
                        self.endpoints.next(endpoint);
                    }
                    read => return read,
                }
            }
        };
        let endpoint = self.endpoints.current();
        match tokio::time::timeout(self.limits.time + GRACE, read).await {
            Ok(Ok(rows)) => Ok(Recorded::found(rows)),
            Ok(Err(error)) => Err(refusal(&error)),
            Err(_) => {
                // A server ends what takes too long by itself, so it is this one that says nothing. The next question
                // is asked elsewhere.
                self.endpoints.next(endpoint);
                tracing::error!("ClickHouse has not answered in time");
                Err(Problem::Away("the database does not answer"))
            }
        }
    }

    fn query(&self, select: &Select) -> Query {
        let mut query = self.endpoints.client().query(&select.text());
        for (name, value) in select.values() {
            query = query.param(name, value);
        }
        query
    }

    /// A query that reads as much as there is, in ClickHouse's bounded memory: what it sorts goes to disk beyond that.
    fn export(&self, select: &Select) -> Query {
        let seconds = self.limits.export_time.as_secs_f64();
        self.query(select)
            .with_setting("max_execution_time", format!("{seconds:.3}"))
            .with_setting("max_rows_to_read", "0")
            .with_setting("max_bytes_to_read", "0")
            .with_setting("max_bytes_before_external_sort", (self.limits.memory / 4).to_string())
            .with_setting("max_block_size", "8192")
            // As the API has times and numbers.
            .with_setting("date_time_output_format", "iso")
            .with_setting("output_format_json_quote_64bit_integers", "0")
            // The same question is to give the same bytes: an export that broke off goes on where it was. Lines are the same
            // however many threads write them, in their order.
            .with_setting("output_format_parallel_formatting", "1")
            .with_setting("output_format_parquet_parallel_encoding", "0")
    }

    /// An export's rows as ClickHouse writes them in a format.
    ///
    /// # Errors
    /// A statement that cannot be sent. What ClickHouse says of it comes with the rows.
    pub(super) fn bytes(&self, select: &Select, format: &'static str) -> Result<Recorded<BytesCursor>, Problem> {
        let cursor = self.export(select).fetch_bytes(format);
        cursor.map(Recorded::to_come).map_err(|error| refusal(&error))
    }

    /// An export's rows.
    ///
    /// # Errors
    /// As [`Store::bytes`].
    pub(super) fn row_by_row<R: Row>(&self, select: &Select) -> Result<Recorded<RowCursor<R>>, Problem> {
        let cursor = self.export(select).fetch::<R>();
        cursor.map(Recorded::to_come).map_err(|error| refusal(&error))
    }

    /// Room for one more export of a user.
    ///
    /// # Errors
    /// [`Problem::TooMany`].
    pub(super) fn exporting(&self, user: &str) -> Result<Pass, Problem> {
        let pass = self.exports.try_enter(user);
        pass.ok_or(Problem::TooMany(
            "you have too many exports under way; wait for one to end",
        ))
    }

    /// Room for one more live stream of a user.
    ///
    /// # Errors
    /// [`Problem::TooMany`].
    pub(super) fn stream(&self, user: &str) -> Result<Pass, Problem> {
        let pass = self.streams.try_enter(user);
        pass.ok_or(Problem::TooMany("you have too many live streams open; close one"))
    }
}

pub(super) fn refusal(error: &clickhouse::error::Error) -> Problem {
    use clickhouse::error::Error;
    if let Error::BadResponse(text) = error {
        if let Some((_, what)) = LIMITS.iter().find(|(code, _)| text.contains(code)) {
            return Problem::TooMuch(what);
        }
        if BUSY.iter().any(|code| text.contains(code)) {
            return Problem::Away("the database has too much to do; ask again in a moment");
        }
    }
    // ClickHouse quotes values of a query in some errors, and payloads in none; the log is for the operator.
    tracing::error!(error = causes(error), "a query failed");
    match error {
        Error::BadResponse(_) | Error::SchemaMismatch(_) | Error::InvalidParams(_) => Problem::Internal,
        _ => Problem::Away("the database is away"),
    }
}
