use bytes::Bytes;
use uuid::Uuid;

use super::error::timed;
use super::packing::Packing;
use super::{Lease, Sink, SinkError};
use crate::rows::{self, Columns};

/// More rows than any batch has: a batch stays one block, which is what makes its token safe.
const ONE_BLOCK_ROWS: &str = "1048576";
const ONE_BLOCK_BYTES: &str = "1073741824";

/// Rows in ClickHouse's Native format, made once: every attempt sends the same bytes.
#[derive(Clone)]
pub struct Block {
    /// One LZ4 frame, or the rows as they are.
    pieces: Vec<Bytes>,
    /// Numbers of the columns that it has.
    columns: Vec<usize>,
    rows: usize,
}

impl Block {
    /// Of these rows, to be sent as `packing` says.
    ///
    /// # Errors
    /// Only if LZ4 itself fails.
    pub fn new(columns: &Columns, packing: Packing) -> Result<Self, SinkError> {
        let used = columns.used();
        let failed = |error: std::io::Error| clickhouse::error::Error::Compression(Box::new(error));
        let pieces = packing.pack(|out| columns.write(out, &used)).map_err(failed)?;
        Ok(Self {
            pieces,
            columns: used,
            rows: columns.rows(),
        })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// One insert, to be tried until it succeeds.
pub struct Insert<'a> {
    /// Names the batch: `source/topic/partition/start-end`. ClickHouse drops a second insert of the same token.
    pub token: &'a str,
    /// The rows.
    pub block: &'a Block,
}

impl Sink {
    /// One attempt, at the lease's endpoint, which inserts all or, if ClickHouse comes to the rows only after the lease, nothing.
    ///
    /// # Errors
    /// Whatever ClickHouse or the way to it says; [`SinkError::is_unsure`] says of which rows may have been inserted, or may
    /// yet be until the lease is over. By then another endpoint may be the current one.
    pub async fn insert(&self, insert: &Insert<'_>, lease: Lease) -> Result<(), SinkError> {
        // The unique end makes every attempt's query its own; the beginning lets a new owner find what still runs.
        let query_id = format!("{}/{}", insert.token, Uuid::now_v7().simple());
        let mut attempt = self.loading.all()[lease.endpoint]
            .client()
            .insert_formatted_with(statement(lease.until, &insert.block.columns))
            .with_setting("query_id", query_id)
            .with_setting("insert_deduplicate", "1")
            .with_setting("insert_deduplication_token", insert.token)
            .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1")
            .with_setting("async_insert", "0")
            .with_setting("wait_end_of_query", "1")
            // Sessions of many weeks in one batch are no reason to refuse it for ever.
            .with_setting("max_partitions_per_insert_block", "0")
            .with_setting("input_format_parallel_parsing", "0")
            // What a server without Keeper goes on trying by itself would land after its lease. We try again.
            .with_setting("insert_keeper_max_retries", "0")
            .with_setting("max_insert_threads", "1")
            .with_setting("max_insert_block_size", ONE_BLOCK_ROWS)
            .with_setting("max_insert_block_size_bytes", ONE_BLOCK_BYTES)
            .with_setting("min_insert_block_size_rows", ONE_BLOCK_ROWS)
            .with_setting("min_insert_block_size_bytes", ONE_BLOCK_BYTES);
        let sent = async {
            for piece in &insert.block.pieces {
                attempt.send(piece.clone()).await?;
            }
            attempt.end().await
        };
        let sent = timed(sent, self.endpoints.request_timeout()).await;
        self.judged(sent, lease.endpoint).await
    }
}

/// The one statement that writes to `frames`, with a lease in microseconds since 1970, and the numbers of the columns that
/// are sent.
///
/// `nowInBlock64` is evaluated for every block as it arrives; `now64` once, before the body has come.
#[must_use]
pub fn statement(lease: i64, columns: &[usize]) -> String {
    let names = rows::names(columns.iter().copied());
    format!(
        "INSERT INTO frames ({names}) SELECT {names} FROM input('{structure}') \
         WHERE throwIf(nowInBlock64(6) >= fromUnixTimestamp64Micro({lease}), 'the lease has run out') = 0 \
         FORMAT Native",
        structure = rows::structure(columns.iter().copied())
    )
}
