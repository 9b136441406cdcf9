//! Looks past the console: what people ask ClickHouse in SQL is taken from its own log of queries into the access log,
//! each question once.
//!
//! # Life of such a look
//!
//! 1. Somebody asks; ClickHouse writes it to `system.query_log` when it is done, some seconds later on disk.
//! 2. Each reading takes what has come since the last one and an [`OVERLAP`] before that: rows of the query log may come
//!    late. A look's id is made of what ClickHouse says of the question, so it is the same in every reading, and those that
//!    the access log has are left out.
//! 3. What is left is inserted one by one, the oldest first, each under its id as deduplication token: of several consoles
//!    that take the same look at once, ClickHouse lets one insert it. A reading that breaks off has left out nothing older
//!    than what it wrote, so the next one, in this process or another, goes on from the access log itself.
//!
//! Three database users have a part in it, and none can do what the others do: one reads the query log, one reads the
//! access log, one adds to it.

mod look;

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use clickhouse::error::{Error, Result};
use clickhouse::{Client, Row};
use serde::Deserialize;
use tapedeck_clickhouse::{ConnectError, Endpoints};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::config::{Config, QueryLog};
use look::Look;

/// How late a row of the query log may come, after others that are younger.
const OVERLAP: Duration = Duration::from_secs(15 * 60);
/// The access log keeps entries for 400 days; what is older is not taken.
const OLDEST: Duration = Duration::from_secs(390 * 24 * 3600);
/// Looks in one piece of a reading.
const PIECE: u64 = 1000;
/// How long ClickHouse may take for one statement.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes looks from one server's query log.
struct Taker {
    /// Reads `system.query_log` of one server: each has a log of its own.
    asked: Client,
    /// That server's address.
    server: String,
    /// Reads the access log.
    known: Endpoints,
    /// Adds to the access log.
    log: Endpoints,
    /// The database whose recordings they are.
    database: String,
    /// Who looks at nothing: services, and the users of this very task.
    services: Vec<String>,
    /// What is older was taken. Microseconds since 1970; none before the first reading.
    from: Option<i64>,
}

/// Takes looks until `shutdown`. ClickHouse may be away: then they wait in its log.
///
/// # Errors
/// Where no TLS can be spoken with the roots that are configured: at once, before anything is taken.
pub(super) fn take(
    config: &Config,
    from: QueryLog,
    shutdown: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + use<>, ConnectError> {
    let every = from.every;
    Ok(taking(Taker::new(config, from)?, every, shutdown))
}

async fn taking(mut taker: Taker, every: Duration, shutdown: CancellationToken) {
    let mut was_well = true;
    loop {
        match taker.reading().await {
            Ok(looks) => {
                if looks > 0 || !was_well {
                    tracing::info!(looks, "looks in SQL were taken into the access log");
                }
                was_well = true;
            }
            // Said once, and not at every reading. A server that was never asked anything has no table of queries either.
            Err(error) if was_well => {
                tracing::error!(%error, "looks in SQL cannot be taken into the access log; they wait in the query log");
                was_well = false;
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

#[derive(Row, Deserialize)]
struct Bounds {
    now: i64,
    latest: i64,
}

#[derive(Row, Deserialize)]
struct Known {
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
}

impl Taker {
    fn new(config: &Config, from: QueryLog) -> Result<Self, ConnectError> {
        let mut services = from.services;
        let own = [&config.clickhouse.user, &config.access_log.user, &from.clickhouse.user];
        services.extend(own.into_iter().cloned());
        let asked = Endpoints::new(&from.clickhouse)?;
        let asked = asked.all().first().expect("a configuration has a URL");
        let server = asked.address().to_owned();
        let asked = asked.client().clone();
        Ok(Self {
            // Its database need not be there for a user who sees nothing of it.
            asked: asked.with_database("system"),
            server,
            known: Endpoints::new(&config.clickhouse)?,
            log: Endpoints::new(&config.access_log)?,
            database: config.clickhouse.database.clone(),
            services,
            from: None,
        })
    }

    /// Takes all looks that the query log has by now; says how many were new.
    async fn reading(&mut self) -> Result<u64> {
        let bounds = self.bounds().await?;
        let overlap = OVERLAP.as_micros() as i64;
        let oldest = bounds.now - OLDEST.as_micros() as i64;
        let mut from = self.from.unwrap_or(bounds.latest).saturating_sub(overlap).max(oldest);
        let mut taken = 0;
        loop {
            let looks = self.looks(from).await?;
            let Some(last) = looks.last() else { break };
            let (until, is_last) = (last.time(), (looks.len() as u64) < PIECE);
            let known = self.known(from, until).await?;
            for look in looks {
                if !known.contains(&look.id()) {
                    self.insert(&look).await?;
                    taken += 1;
                }
            }
            if is_last {
                break;
            }
            // A whole piece of one microsecond would be read for ever.
            from = until.max(from + 1);
        }
        self.from = Some(bounds.now);
        Ok(taken)
    }

    /// ClickHouse's clock, and when the latest look was that was taken from this server: 0 for none. Other consoles take
    /// from other servers, and may be further.
    async fn bounds(&self) -> Result<Bounds> {
        let sql = "SELECT toUnixTimestamp64Micro(now64(6)) AS now, \
            toInt64(ifNull((SELECT toUnixTimestamp64Micro(max(time)) FROM access_log WHERE role = 'sql' \
            AND JSONExtractString(filter, 'server') = {server:String}), 0)) AS latest";
        within(self.known.ask(|client| async move {
            client
                .query(sql)
                .param("server", &self.server)
                .fetch_one::<Bounds>()
                .await
        }))
        .await
    }

    /// Looks from then on, the oldest first.
    async fn looks(&self, from: i64) -> Result<Vec<Look>> {
        let query = self
            .asked
            .query(look::SELECT)
            .param("from", from)
            .param("services", &self.services)
            .param("database", &self.database)
            .param("grants", format!("{}.", self.database))
            .param("limit", PIECE);
        within(query.fetch_all::<Look>()).await
    }

    /// The looks of a time that the access log has.
    async fn known(&self, from: i64, until: i64) -> Result<HashSet<Uuid>> {
        let sql = "SELECT id FROM access_log WHERE role = 'sql' \
            AND time >= fromUnixTimestamp64Micro({from:Int64}, 'UTC') AND time <= fromUnixTimestamp64Micro({until:Int64}, 'UTC')";
        let known = self.known.ask(|client| async move {
            let query = client.query(sql).param("from", from).param("until", until);
            within(query.fetch_all::<Known>()).await
        });
        let known = known.await?;
        Ok(known.into_iter().map(|known| known.id).collect())
    }

    async fn insert(&self, look: &Look) -> Result<()> {
        let line = serde_json::to_vec(&look.entry(&self.server)).map_err(|error| Error::Other(error.into()))?;
        // The token keeps a second one out.
        let line = Bytes::from(line);
        let token = format!("sql/{}", look.id());
        let inserted = self.log.ask(|client| {
            let (line, token) = (line.clone(), token.clone());
            async move {
                let mut insert = client
                    .insert_formatted_with(format!("INSERT INTO access_log ({}) FORMAT JSONEachRow", look::COLUMNS))
                    // Acknowledged when it is on disk, and only then.
                    .with_setting("async_insert", "0")
                    .with_setting("insert_deduplicate", "1")
                    .with_setting("insert_deduplication_token", token)
                    .with_timeouts(Some(PATIENCE), Some(PATIENCE));
                insert.send(line).await?;
                insert.end().await
            }
        });
        inserted.await
    }
}

async fn within<T>(asked: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, asked)
        .await
        .map_err(|_| Error::TimedOut)?
}
