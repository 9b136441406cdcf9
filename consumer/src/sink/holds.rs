use uuid::Uuid;

use super::orders::not_held;
use super::{Sink, SinkError};
use crate::orders::{Hold, Scope};

impl Sink {
    /// Notes a hold. What is loaded from now on is copied as it is loaded.
    ///
    /// # Errors
    /// As any statement.
    pub async fn place_hold(&self, hold: &Hold, by: &str) -> Result<(), SinkError> {
        let none = String::new();
        let (tenant, issuer, subject, session) = match &hold.scope {
            Scope::Tenant(tenant) => (tenant, &none, &none, Uuid::nil()),
            Scope::Subject(issuer, subject) => (&none, issuer, subject, Uuid::nil()),
            Scope::Session(session) => (&none, &none, &none, *session),
        };
        let sql = "INSERT INTO holds (hold_id, tenant, issuer, subject, session_id, reason, placed_by, placed) \
             SELECT toUUID(?), ?, ?, ?, toUUID(?), ?, ?, now64(6)";
        let query = self.client().query(sql).bind(hold.id.to_string());
        let query = query.bind(tenant).bind(issuer).bind(subject).bind(session.to_string());
        self.timed(query.bind(&hold.reason).bind(by).execute()).await
    }

    /// Copies what is loaded already, and says how many frames of it are held now. Once or several times is the same.
    ///
    /// # Errors
    /// As any statement.
    pub async fn copy_held(&self, hold: &Hold) -> Result<u64, SinkError> {
        let scope = hold.scope.condition();
        let copy = format!(
            "INSERT INTO frames_held SELECT * FROM frames WHERE {scope} AND kind != 'undecodable' AND redaction != 'erased'"
        );
        let copy = self.client().query_raw(&copy);
        let copy = copy
            .with_setting("max_partitions_per_insert_block", "0")
            .with_setting("async_insert", "0");
        // As long as it takes: a tenant's whole past may be copied.
        copy.execute().await?;
        let count = format!("SELECT count() FROM frames_held FINAL WHERE {scope}");
        self.timed(self.client().query_raw(&count).fetch_one::<u64>()).await
    }

    /// Notes that a hold is released. False: there is none of that id, or it was released before.
    ///
    /// # Errors
    /// As any statement.
    pub async fn release_hold(&self, hold: Uuid, by: &str) -> Result<bool, SinkError> {
        let active = self.holds().await?.iter().any(|one| one.id == hold);
        if active {
            let sql = "INSERT INTO holds SELECT hold_id, tenant, issuer, subject, session_id, reason, placed_by, placed, \
                 now64(6), ? FROM active_holds WHERE hold_id = toUUID(?)";
            self.timed(self.client().query(sql).bind(by).bind(hold.to_string()).execute())
                .await?;
        }
        Ok(active)
    }

    /// Deletes the copies that a released hold kept and no other keeps, by a mutation that is waited for. Says how many
    /// are left.
    ///
    /// # Errors
    /// As any statement.
    pub async fn drop_held(&self, scope: &Scope, others: &[Hold]) -> Result<u64, SinkError> {
        let delete = format!(
            "ALTER TABLE frames_held DELETE WHERE {} AND {}",
            scope.condition(),
            not_held(others)
        );
        // As long as it takes: parts are rewritten.
        let delete = self.client().query_raw(&delete).with_setting("mutations_sync", "2");
        delete.execute().await?;
        let count = "SELECT count() FROM frames_held FINAL";
        self.timed(self.client().query(count).fetch_one::<u64>()).await
    }
}
