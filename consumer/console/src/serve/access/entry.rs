//! One row of the access log.

use serde::Serialize;
use uuid::Uuid;

use super::Tenant;
use crate::serve::edge::Asker;
use crate::serve::identity::User;
use crate::serve::rights::Scope;

/// What somebody did, by its stable name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::serve) enum Action {
    View,
    Search,
    Replay,
    Tail,
    Export,
    SignIn,
    SignOut,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::serve) enum Outcome {
    Allowed,
    Refused,
    Failed,
}

/// What is looked at.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Look {
    pub(in crate::serve) action: Action,
    /// The tenant of what is looked at, where it is one.
    pub(in crate::serve) tenant: Tenant,
    /// The session, where it is one; else nil.
    pub(in crate::serve) session: Uuid,
    /// What else: a frame, an operation.
    pub(in crate::serve) object: String,
    /// The question's parameters, as JSON.
    pub(in crate::serve) filter: String,
}

impl Look {
    /// A look at many things, which the parameters choose.
    pub(in crate::serve) fn at(action: Action, object: &str, filter: &impl Serialize) -> Self {
        Self {
            action,
            tenant: Tenant::default(),
            session: Uuid::nil(),
            object: object.to_owned(),
            filter: serde_json::to_string(filter).unwrap_or_default(),
        }
    }

    /// A look at one session.
    pub(in crate::serve) fn into_session(mut self, session: Uuid) -> Self {
        self.session = session;
        self
    }

    /// Of that tenant.
    pub(in crate::serve) fn of_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = tenant;
        self
    }
}

/// A row, as `deploy/clickhouse` has the table; its time is ClickHouse's.
#[derive(Debug, Serialize)]
pub(in crate::serve) struct Entry<'a> {
    id: Uuid,
    issuer: &'a str,
    subject: &'a str,
    name: &'a str,
    email: &'a str,
    role: &'static str,
    action: Action,
    outcome: Outcome,
    reason: &'a str,
    tenant: &'a str,
    session_id: Uuid,
    object: &'a str,
    filter: &'a str,
    rows: u64,
    bytes: u64,
    client_address: String,
    user_agent: &'a str,
    request_id: Uuid,
}

impl<'a> Entry<'a> {
    /// The columns that are written.
    pub(super) const COLUMNS: &'static str = "id, issuer, subject, name, email, role, action, outcome, reason, tenant, \
        session_id, object, filter, rows, bytes, client_address, user_agent, request_id";

    /// Somebody with rights sees something.
    pub(in crate::serve) fn allowed(scope: &'a Scope, asker: &'a Asker, look: &'a Look, rows: u64, bytes: u64) -> Self {
        Self {
            role: scope.role().name(),
            tenant: &look.tenant.0,
            session_id: look.session,
            object: &look.object,
            filter: &look.filter,
            rows,
            bytes,
            ..Self::of(Some(scope.user()), asker, look.action, Outcome::Allowed, "")
        }
    }

    /// Anything else: a refusal, a failure, signing in or out; by a user, or by nobody who is known.
    pub(in crate::serve) fn of(
        user: Option<&'a User>,
        asker: &'a Asker,
        action: Action,
        outcome: Outcome,
        reason: &'a str,
    ) -> Self {
        Self {
            id: Uuid::now_v7(),
            issuer: user.map_or("", User::issuer),
            subject: user.map_or("", User::subject),
            name: user.and_then(User::name).unwrap_or_default(),
            email: user.and_then(User::email).unwrap_or_default(),
            role: "",
            action,
            outcome,
            reason,
            tenant: "",
            session_id: Uuid::nil(),
            object: asker.object(),
            filter: "",
            rows: 0,
            bytes: 0,
            client_address: asker.address().to_string(),
            user_agent: asker.user_agent(),
            request_id: asker.id(),
        }
    }

    /// That it did not end well, and why.
    pub(in crate::serve) fn failed(mut self, reason: &'a str) -> Self {
        (self.outcome, self.reason) = (Outcome::Failed, reason);
        self
    }

    /// So many refusals of those whom nobody knows, which have no rows of their own.
    pub(in crate::serve) fn of_refused_strangers(count: u64) -> Self {
        Self {
            id: Uuid::now_v7(),
            issuer: "",
            subject: "",
            name: "",
            email: "",
            role: "",
            action: Action::View,
            outcome: Outcome::Refused,
            reason: "unauthenticated",
            tenant: "",
            session_id: Uuid::nil(),
            object: "more refusals than have rows of their own",
            filter: "",
            rows: count,
            bytes: 0,
            client_address: String::new(),
            user_agent: "",
            request_id: Uuid::nil(),
        }
    }

    /// Which parameters, where that is worth keeping.
    pub(in crate::serve) fn with_filter(mut self, filter: &'a str) -> Self {
        self.filter = filter;
        self
    }
}
