//! The access log: who saw what, written before they see it.
//!
//! What a query found is [`Recorded`]; only a [`Logged`], which only a written row makes, opens it. Rows that wait at the
//! same time go to ClickHouse in one insert, so a busy console writes one block at a time and not one for each look.

mod answer;
mod entry;

use std::time::Duration;

use bytes::Bytes;
use clickhouse::Client;
use tapedeck_clickhouse::{ConnectError, Endpoints, causes, is_away, is_unsent};
use tapedeck_config::ClickHouse;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::problem::Problem;
use super::timing::{Wait, noted};

pub(super) use answer::{answer, nothing_recorded};
pub(super) use entry::{Action, Entry, Look, Outcome};

/// Rows that may wait at once; beyond, looks are refused at once instead of after a long wait.
const WAITING: usize = 4096;
/// Rows in one insert.
const TOGETHER: usize = 1024;
/// How long ClickHouse may take for one insert.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a query found: nobody sees it before it is on record that they do.
#[derive(Debug)]
#[must_use]
pub(super) struct Recorded<T> {
    content: T,
    rows: u64,
}

/// Proof that a row of the access log says who sees this.
#[derive(Debug)]
pub(super) struct Logged(());

/// What an answer has to say for itself before it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Accounted {
    /// It is on the access log.
    Logged,
    /// It holds nothing that was recorded.
    NothingRecorded,
    /// It is a refusal, which is still to be written down.
    Refused(Problem),
}

impl<T> Recorded<Vec<T>> {
    /// Rows as the database gave them.
    pub(super) fn found(rows: Vec<T>) -> Self {
        let count = rows.len() as u64;
        Self {
            content: rows,
            rows: count,
        }
    }

    /// The only row, or none.
    pub(super) fn first(self) -> Option<Recorded<T>> {
        let row = self.content.into_iter().next()?;
        Some(Recorded { content: row, rows: 1 })
    }

    /// At most so many rows.
    pub(super) fn truncate(mut self, rows: usize) -> Self {
        self.content.truncate(rows);
        self.rows = self.content.len() as u64;
        self
    }

    /// Rows after those that are here.
    pub(super) fn append(&mut self, more: Self) {
        self.content.extend(more.content);
        self.rows += more.rows;
    }
}

impl<T> Recorded<T> {
    /// Rows that are still to come: who releases them counts them.
    pub(super) fn to_come(content: T) -> Self {
        Self { content, rows: 0 }
    }

    /// How many rows it is.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The same in another shape. What the function returns is as locked up as what it was given.
    pub(super) fn map<U>(self, shape: impl FnOnce(T) -> U) -> Recorded<U> {
        Recorded {
            content: shape(self.content),
            rows: self.rows,
        }
    }

    /// What shows nothing of a recording but is needed to go on, such as where the next page begins.
    pub(super) fn measure<U: Measure>(&self, measure: impl FnOnce(&T) -> U) -> U {
        measure(&self.content)
    }

    /// Two findings shown together.
    pub(super) fn zip<U>(self, other: Recorded<U>) -> Recorded<(T, U)> {
        Recorded {
            content: (self.content, other.content),
            rows: self.rows + other.rows,
        }
    }

    /// The content, for who is on record to see it.
    pub(super) fn release(self, _: &Logged) -> T {
        self.content
    }
}

/// What may be known of a [`Recorded`] that nobody has seen: numbers, ids, and the tenant, which the row must name.
pub(super) trait Measure {}

impl Measure for bool {}
impl Measure for usize {}
impl Measure for u64 {}
impl Measure for i64 {}
impl Measure for Uuid {}
impl Measure for Tenant {}
impl<A: Measure> Measure for Option<A> {}
impl<A: Measure> Measure for Vec<A> {}
impl<A: Measure, B: Measure> Measure for (A, B) {}
impl<A: Measure, B: Measure, C: Measure> Measure for (A, B, C) {}

/// The tenant that a recording belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tenant(pub(super) String);

/// Writes the access log, in a task of its own. Cheap to share.
#[derive(Debug)]
pub(super) struct AccessLog {
    queue: mpsc::Sender<Waiting>,
}

struct Waiting {
    line: Vec<u8>,
    written: oneshot::Sender<()>,
}

impl AccessLog {
    /// Starts the writer on the current runtime; it ends with the log.
    ///
    /// # Errors
    /// Where no TLS can be spoken with the roots that are configured.
    pub(super) fn start(config: &ClickHouse) -> Result<Self, ConnectError> {
        let (queue, waiting) = mpsc::channel(WAITING);
        tokio::spawn(write(Endpoints::new(config)?, waiting));
        Ok(Self { queue })
    }

    /// Writes a row; when this returns, ClickHouse has it.
    ///
    /// # Errors
    /// [`Problem::NotOnRecord`]: it has not, or nobody knows.
    pub(super) async fn write(&self, entry: &Entry<'_>) -> Result<Logged, Problem> {
        let mut line = serde_json::to_vec(entry).map_err(|_| Problem::Internal)?;
        line.push(b'\n');
        let (written, done) = oneshot::channel();
        let waiting = Waiting { line, written };
        self.queue.try_send(waiting).map_err(|_| Problem::NotOnRecord)?;
        noted(Wait::Access, done).await.map_err(|_| Problem::NotOnRecord)?;
        Ok(Logged(()))
    }
}

/// Inserts what waits, all of it at once, until the log is gone. A row whose insert fails is told by dropping its sender.
async fn write(endpoints: Endpoints, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(TOGETHER);
    while queue.recv_many(&mut waiting, TOGETHER).await > 0 {
        let lines: Vec<u8> = waiting.iter().flat_map(|one| one.line.iter().copied()).collect();
        match insert(&endpoints, lines.into()).await {
            Ok(()) => waiting.drain(..).for_each(|one| {
                // Who waited may be gone.
                let _ = one.written.send(());
            }),
            Err(error) => {
                let error = causes(&error);
                tracing::error!(
                    error,
                    rows = waiting.len(),
                    "the access log cannot be written; nothing is shown"
                );
                waiting.clear();
            }
        }
    }
}

/// Where there is no connection, the next endpoint is tried. Rows of which nobody knows whether they are there are given up:
/// a look that was refused may be on record, never the other way round.
async fn insert(endpoints: &Endpoints, lines: Bytes) -> clickhouse::error::Result<()> {
    let mut left = endpoints.all().len();
    loop {
        let endpoint = endpoints.current();
        left -= 1;
        let result = insert_at(endpoints.client(), lines.clone()).await;
        match &result {
            Err(error) if is_away(error) => {
                endpoints.next(endpoint);
                if left == 0 || !is_unsent(error) {
                    return result;
                }
            }
            _ => return result,
        }
    }
}

async fn insert_at(client: &Client, lines: Bytes) -> clickhouse::error::Result<()> {
    let mut insert = client
        .insert_formatted_with(format!(
            "INSERT INTO access_log ({}) FORMAT JSONEachRow",
            Entry::COLUMNS
        ))
        // An asynchronous insert is acknowledged before it is on disk.
        .with_setting("async_insert", "0")
        .with_timeouts(Some(PATIENCE), Some(PATIENCE));
    insert.send(lines).await?;
    insert.end().await
}
