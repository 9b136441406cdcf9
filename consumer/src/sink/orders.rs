use std::time::Instant;

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use super::pieces::literal;
use super::{Sink, SinkError};
use crate::orders::{Erasure, Hold, Orders, Scope};

#[derive(Row, Deserialize)]
struct ErasureRow {
    #[serde(with = "clickhouse::serde::uuid")]
    erasure_id: Uuid,
    tenant: String,
    issuer: String,
    subject: String,
    before: i64,
}

#[derive(Row, Deserialize)]
struct HoldRow {
    #[serde(with = "clickhouse::serde::uuid")]
    hold_id: Uuid,
    tenant: String,
    issuer: String,
    subject: String,
    #[serde(with = "clickhouse::serde::uuid")]
    session_id: Uuid,
    reason: String,
}

impl Sink {
    /// The erasures that are still to be honoured in loading, and the holds.
    ///
    /// # Errors
    /// As any query.
    pub async fn orders(&self) -> Result<Orders, SinkError> {
        let asked = Instant::now();
        let erasures = self.erasures("honoured_until > now64(6)").await?;
        Ok(Orders::new(erasures, self.holds().await?, asked))
    }

    /// All erasures, whether or not they are still to be honoured in loading.
    ///
    /// # Errors
    /// As any query.
    pub async fn all_erasures(&self) -> Result<Vec<Erasure>, SinkError> {
        self.erasures("1").await
    }

    async fn erasures(&self, condition: &str) -> Result<Vec<Erasure>, SinkError> {
        let sql = format!(
            "SELECT erasure_id, tenant, issuer, subject, toUnixTimestamp64Micro(erased_before) AS before \
             FROM erasures FINAL WHERE {condition} ORDER BY erasure_id"
        );
        let rows = self.timed(self.client().query(&sql).fetch_all::<ErasureRow>()).await?;
        let erasure = |row: ErasureRow| Erasure {
            id: row.erasure_id,
            tenant: row.tenant,
            issuer: row.issuer,
            subject: row.subject,
            before: row.before,
        };
        Ok(rows.into_iter().map(erasure).collect())
    }

    /// The holds that have not been released.
    ///
    /// # Errors
    /// As any query.
    pub async fn holds(&self) -> Result<Vec<Hold>, SinkError> {
        let sql = "SELECT hold_id, tenant, issuer, subject, session_id, reason FROM active_holds ORDER BY hold_id";
        let rows = self.timed(self.client().query(sql).fetch_all::<HoldRow>()).await?;
        Ok(rows.into_iter().map(HoldRow::into_hold).collect())
    }
}

impl HoldRow {
    fn into_hold(self) -> Hold {
        let scope = match (self.subject.is_empty(), self.session_id.is_nil()) {
            (false, _) => Scope::Subject(self.issuer, self.subject),
            (true, false) => Scope::Session(self.session_id),
            (true, true) => Scope::Tenant(self.tenant),
        };
        Hold {
            id: self.hold_id,
            scope,
            reason: self.reason,
        }
    }
}

impl Scope {
    /// The rows of `frames` that it is about.
    pub(super) fn condition(&self) -> String {
        match self {
            Self::Tenant(tenant) => format!("tenant = {}", literal(tenant)),
            Self::Subject(issuer, subject) => {
                format!("(issuer = {} AND subject = {})", literal(issuer), literal(subject))
            }
            Self::Session(session) => format!("session_id = toUUID('{session}')"),
        }
    }
}

impl Erasure {
    /// The rows of `frames` that it is about.
    pub(super) fn condition(&self) -> String {
        let mut condition = format!(
            "issuer = {} AND subject = {} AND time <= fromUnixTimestamp64Micro({})",
            literal(&self.issuer),
            literal(&self.subject),
            self.before
        );
        if !self.tenant.is_empty() {
            condition.push_str(&format!(" AND tenant = {}", literal(&self.tenant)));
        }
        condition
    }
}

/// The rows that none of these holds keeps.
pub(super) fn not_held(holds: &[Hold]) -> String {
    match holds.is_empty() {
        true => "1".to_owned(),
        false => {
            let held: Vec<String> = holds.iter().map(|hold| hold.scope.condition()).collect();
            format!("NOT ({})", held.join(" OR "))
        }
    }
}
