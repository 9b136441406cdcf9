//! Browsers' sessions that somebody has signed out of, on record for all replicas: a cookie that was kept is worth nothing.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clickhouse::error::Error;
use serde_json::json;
use tapedeck_clickhouse::{ConnectError, Endpoints};
use uuid::Uuid;

use crate::serve::config::Config;
use crate::serve::problem::Problem;

/// How long ClickHouse may take to say whether a session was ended, or to note it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The table `ended_browser_sessions`: read by the user who reads recordings, added to by the one who adds to the access log.
pub(super) struct EndedSessions {
    reads: Endpoints,
    adds: Endpoints,
}

impl fmt::Debug for EndedSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // There are passwords in the clients.
        f.write_str("EndedSessions(…)")
    }
}

impl EndedSessions {
    /// # Errors
    /// Where no TLS can be spoken with the roots that are configured.
    pub(super) fn new(config: &Config) -> Result<Self, ConnectError> {
        Ok(Self {
            reads: Endpoints::new(&config.clickhouse)?.with(|client| client.with_setting("readonly", "2")),
            adds: Endpoints::new(&config.access_log)?,
        })
    }

    /// Whether the session was ended, at any replica.
    ///
    /// # Errors
    /// [`Problem::Away`]: nobody knows.
    pub(super) async fn has(&self, id: Uuid) -> Result<bool, Problem> {
        let count = self.reads.ask(|client| async move {
            let query = client.query("SELECT count() FROM ended_browser_sessions WHERE id = {id:UUID}");
            let count = query.param("id", id.to_string()).fetch_one::<u64>();
            // Each endpoint has its time: one that says nothing must not use up another's.
            tokio::time::timeout(PATIENCE, count)
                .await
                .map_err(|_| Error::TimedOut)?
        });
        count.await.map(|rows| rows > 0).map_err(|error| away(&error))
    }

    /// Ends a session, which would have ended by itself at `until`. When this returns, every replica knows.
    ///
    /// # Errors
    /// [`Problem::Away`]: it may not have ended.
    pub(super) async fn add(&self, id: Uuid, until: SystemTime) -> Result<(), Problem> {
        let until = until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let line = Bytes::from(json!({ "id": id, "until": until }).to_string());
        // Twice is as good as once.
        let ended = self.adds.ask(|client| {
            let line = line.clone();
            async move {
                let mut insert = client
                    .insert_formatted_with("INSERT INTO ended_browser_sessions (id, until) FORMAT JSONEachRow")
                    .with_setting("async_insert", "0")
                    .with_timeouts(Some(PATIENCE), Some(PATIENCE));
                insert.send(line).await?;
                insert.end().await
            }
        });
        ended.await.map_err(|error| away(&error))
    }
}

fn away(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "who has signed out cannot be read or noted");
    Problem::Away("the database is away")
}
