//! Several endpoints, which must be replicas of one table: what is loaded through one of them is read back through any.
//!
//! # Moving on
//!
//! Statements go to the current endpoint. One that fails for its endpoint's sake makes the next that answers the current one,
//! provided that it holds the same table, and only once it has all that any replica was ever given: a replica fetches what the
//! others have taken, and what it has not fetched yet would be taken for missing. The statement fails all the same, and
//! whoever sent it sends it again; an insert is looked for first (`batch/once.rs`). One that succeeds at an endpoint
//! that was left meanwhile may come after what the current one has fetched: it is waited for there ([`Sink::follow`]).

use std::time::Duration;

use clickhouse::{Client, Row};
use serde::Deserialize;
use tracing::warn;

use super::error::timed;
use super::{Fault, Lease, Sink, SinkError};

/// Between two looks at an insert that has been killed and still runs.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long a replica that cannot be asked may still work on rows that came in time: by default Keeper lets no operation take
/// longer than these 10 s.
const UNSEEN: Duration = Duration::from_secs(10);

/// What `frames` is at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// Its place in Keeper; else the server's id with the table's.
    identity: String,
    is_replicated: bool,
}

#[derive(Row, Deserialize)]
struct TableRow {
    is_replicated: bool,
    identity: String,
}

impl Sink {
    /// Waits for a statement, no longer than is configured, and moves on where its endpoint is at fault.
    pub(super) fn timed<T>(
        &self,
        statement: impl Future<Output = clickhouse::error::Result<T>>,
    ) -> impl Future<Output = Result<T, SinkError>> {
        // Now, and not when it is polled: the statement was made for the endpoint that is the current one now.
        let endpoint = self.endpoints.current();
        async move {
            let result = timed(statement, self.endpoints.request_timeout()).await;
            self.judged(result, endpoint).await
        }
    }

    /// Moves on where a statement has failed for its endpoint's sake.
    pub(super) async fn judged<T>(&self, result: Result<T, SinkError>, endpoint: usize) -> Result<T, SinkError> {
        if let Err(error) = &result
            && error.fault() == Fault::Elsewhere
            && self.endpoints.are_several()
            && self.endpoints.current() == endpoint
        {
            self.move_on(endpoint, error).await?;
        }
        result
    }

    /// Finds an endpoint that answers, the current one first, and holds every other one against what it says of the tables.
    /// With one endpoint there is nothing to find.
    ///
    /// # Errors
    /// None answers, or one has other tables.
    pub async fn reach(&self) -> Result<(), SinkError> {
        if !self.endpoints.are_several() {
            return Ok(());
        }
        let current = self.endpoints.current();
        match self.enter(current).await {
            Err(error) if error.fault() == Fault::Elsewhere => match self.move_on(current, &error).await? {
                true => Ok(()),
                false => Err(error),
            },
            entered => entered,
        }
    }

    /// Makes the next endpoint that answers the current one, unless `from` has been left already. False: none does.
    async fn move_on(&self, from: usize, why: &SinkError) -> Result<bool, SinkError> {
        let _moving = self.moving.lock().await;
        if self.endpoints.current() != from {
            return Ok(true);
        }
        let address = |number: usize| self.endpoints.all()[number].address();
        for next in self.endpoints.after(from) {
            match self.enter(next).await {
                Ok(()) => {
                    if self.endpoints.leave(from, next) {
                        warn!(from = address(from), to = address(next), error = %why, "going on at another endpoint");
                    }
                    return Ok(true);
                }
                Err(error) if error.fault() == Fault::Stop => return Err(error),
                Err(error) => warn!(endpoint = address(next), %error, "this endpoint is away, too"),
            }
        }
        Ok(false)
    }

    /// Whether an endpoint can be the current one: it answers, its tables are the same, and they have all there is.
    async fn enter(&self, number: usize) -> Result<(), SinkError> {
        let endpoint = &self.endpoints.all()[number];
        let Some(found) = self.table_at(endpoint.client()).await? else {
            // Before `migrate` there are no tables to compare.
            return match self.table.get() {
                None => Ok(()),
                Some(_) => Err(SinkError::Foreign(endpoint.address().to_owned())),
            };
        };
        if *self.table.get_or_init(|| found.clone()) != found {
            return Err(SinkError::Foreign(endpoint.address().to_owned()));
        }
        self.catch_up(number).await
    }

    async fn table_at(&self, client: &Client) -> Result<Option<Table>, SinkError> {
        let patience = self.endpoints.request_timeout();
        let sql = "SELECT startsWith(engine, 'Replicated') AS is_replicated, \
             concat(toString(serverUUID()), '/', toString(uuid)) AS identity \
             FROM system.tables WHERE database = ? AND name = 'frames'";
        let query = client.query(sql).bind(&self.database).fetch_optional::<TableRow>();
        let Some(row) = timed(query, patience).await? else {
            return Ok(None);
        };
        let identity = match row.is_replicated {
            false => row.identity,
            true => {
                let sql = "SELECT concat(zookeeper_name, ':', zookeeper_path) FROM system.replicas \
                     WHERE database = ? AND table = 'frames'";
                timed(client.query(sql).bind(&self.database).fetch_one::<String>(), patience).await?
            }
        };
        Ok(Some(Table {
            identity,
            is_replicated: row.is_replicated,
        }))
    }

    /// Waits until a replica has fetched what the others have taken.
    async fn catch_up(&self, number: usize) -> Result<(), SinkError> {
        if !self.table.get().is_some_and(|table| table.is_replicated) {
            return Ok(());
        }
        let (client, patience) = (self.endpoints.all()[number].client(), self.endpoints.request_timeout());
        // Rows, and what is ordered about them. Before `migrate` an older schema may not have orders.
        let sql = "SELECT table FROM system.replicas WHERE database = ? AND table IN ('erasures', 'holds')";
        let orders = timed(client.query(sql).bind(&self.database).fetch_all::<String>(), patience).await?;
        for table in std::iter::once("frames").chain(orders.iter().map(String::as_str)) {
            let sync = format!("SYSTEM SYNC REPLICA {}.{table} LIGHTWEIGHT", self.database);
            timed(client.query(&sync).execute(), patience).await?;
        }
        Ok(())
    }

    /// After an insert that has succeeded: waits until it can be read back, though its endpoint may have been left
    /// while it was under way. Whoever moves on from now on fetches it.
    ///
    /// # Errors
    /// The current endpoint does not have it yet, or is away; the next that answers may be the current one by then.
    pub async fn follow(&self, lease: &Lease) -> Result<(), SinkError> {
        if !self.endpoints.are_several() {
            return Ok(());
        }
        // Somebody who is moving on may have asked for what there is before the insert was there.
        drop(self.moving.lock().await);
        let current = self.endpoints.current();
        if current == lease.endpoint {
            return Ok(());
        }
        self.judged(self.catch_up(current).await, current).await
    }

    /// Ends whatever insert of this partition still runs, at every endpoint, and waits until none does and the current
    /// endpoint has what the others took. An insert whose rows have not arrived cannot be seen here: that is what the
    /// lease is for. Where a replica cannot be asked, waits as long as what runs there may take.
    ///
    /// # Errors
    /// As any statement; no endpoint answers.
    pub async fn end_inserts(&self, prefix: &str) -> Result<(), SinkError> {
        self.reach().await?;
        let mut unseen = false;
        for (number, endpoint) in self.endpoints.all().iter().enumerate() {
            match self.end_inserts_at(number, prefix).await {
                Err(error) if error.fault() == Fault::Elsewhere && number != self.endpoints.current() => {
                    warn!(endpoint = endpoint.address(), %error, "what runs there cannot be seen");
                    unseen = true;
                }
                ended => self.judged(ended, number).await?,
            }
        }
        // Endpoints of one server: whichever has answered has answered for it.
        if unseen && self.table.get().is_none_or(|table| table.is_replicated) {
            tokio::time::sleep(UNSEEN).await;
        }
        self.catch_up(self.endpoints.current()).await
    }

    async fn end_inserts_at(&self, number: usize, prefix: &str) -> Result<(), SinkError> {
        let (client, patience) = (self.endpoints.all()[number].client(), self.endpoints.request_timeout());
        loop {
            let count = "SELECT count() FROM system.processes WHERE startsWith(query_id, ?)";
            if timed(client.query(count).bind(prefix).fetch_one::<u64>(), patience).await? == 0 {
                return Ok(());
            }
            let kill = "KILL QUERY WHERE startsWith(query_id, ?) SYNC";
            timed(client.query(kill).bind(prefix).execute(), patience).await?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until every replica of a table that answers has what this one was given: other consumers may read there.
    ///
    /// # Errors
    /// The table is not there, or nothing can be told of it.
    pub async fn spread(&self, table: &str) -> Result<(), SinkError> {
        self.reach().await?;
        if !self.table.get().is_some_and(|table| table.is_replicated) {
            return Ok(());
        }
        let sync = format!("SYSTEM SYNC REPLICA {}.{table} LIGHTWEIGHT", self.database);
        for endpoint in self.endpoints.all() {
            let synced = endpoint.client().query(&sync).execute();
            match timed(synced, self.endpoints.request_timeout()).await {
                Err(error) if error.fault() == Fault::Elsewhere => {
                    warn!(endpoint = endpoint.address(), %error, "cannot be told now");
                }
                synced => synced?,
            }
        }
        Ok(())
    }
}
