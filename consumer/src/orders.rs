//! What people have ordered about recordings: erasures of subjects, and legal holds, which beat them.
//!
//! The loader reads both again every few seconds. Until Kafka holds no copy any more, a frame that an erasure names is
//! erased as it is loaded, so that loading the topic again brings nothing back.

use std::time::{Duration, Instant};

use tapedeck_schemas::Frame;
use uuid::Uuid;

/// How old what the loader knows of them may be when a batch begins. Whoever orders something waits for longer.
pub const RENEWAL: Duration = Duration::from_secs(2);

/// A tombstone: what was recorded of a caller until a moment is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Names it.
    pub id: Uuid,
    /// In this tenant only; empty: in all.
    pub tenant: String,
    /// The caller's `iss`.
    pub issuer: String,
    /// The caller's `sub`.
    pub subject: String,
    /// Frames up to this time, microseconds since 1970.
    pub before: i64,
}

/// What a hold keeps: exactly one of the three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of a tenant.
    Tenant(String),
    /// All of a caller: `iss` and `sub`.
    Subject(String, String),
    /// All of a session.
    Session(Uuid),
}

/// A legal hold that has not been released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Names it.
    pub id: Uuid,
    /// What it keeps.
    pub scope: Scope,
    /// Why, as given.
    pub reason: String,
}

/// All of them, as they were when they were read.
#[derive(Debug, Default)]
pub struct Orders {
    erasures: Vec<Erasure>,
    holds: Vec<Hold>,
    read: Option<Instant>,
}

impl Orders {
    /// As read just now; `asked` is when the question was sent.
    #[must_use]
    pub fn new(erasures: Vec<Erasure>, holds: Vec<Hold>, asked: Instant) -> Self {
        Self {
            erasures,
            holds,
            read: Some(asked),
        }
    }

    /// Whether they have to be read again.
    #[must_use]
    pub fn are_old(&self) -> bool {
        self.read.is_none_or(|read| read.elapsed() >= RENEWAL)
    }

    /// When they become old; `None` where they were never read.
    #[must_use]
    pub fn good_until(&self) -> Option<Instant> {
        self.read.map(|read| read + RENEWAL)
    }

    /// Whether a frame is to be erased. Its principal is the verified one: who a caller is, is never masked.
    #[must_use]
    pub fn erase(&self, frame: &Frame, session: Uuid) -> bool {
        let Some(principal) = frame.principal.as_deref() else {
            return false;
        };
        let is_named = |erasure: &Erasure| {
            erasure.subject == principal.subject
                && erasure.issuer == principal.issuer
                && (erasure.tenant.is_empty() || erasure.tenant == frame.tenant)
                && frame.time <= erasure.before
        };
        let is_held = |hold: &Hold| match &hold.scope {
            Scope::Tenant(tenant) => *tenant == frame.tenant,
            Scope::Subject(issuer, subject) => *issuer == principal.issuer && *subject == principal.subject,
            Scope::Session(held) => *held == session,
        };
        self.erasures.iter().any(is_named) && !self.holds.iter().any(is_held)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tapedeck_schemas::Principal;

    use super::*;

    fn frame(subject: &str, time: i64) -> Frame {
        Frame {
            tenant: "acme".to_owned(),
            time,
            principal: Some(Arc::new(Principal {
                issuer: "idp".to_owned(),
                subject: subject.to_owned(),
                ..Principal::default()
            })),
            ..Frame::default()
        }
    }

    fn orders(tenant: &str, holds: Vec<Scope>) -> Orders {
        let erasure = Erasure {
            id: Uuid::nil(),
            tenant: tenant.to_owned(),
            issuer: "idp".to_owned(),
            subject: "alice".to_owned(),
            before: 100,
        };
        let hold = |scope| Hold {
            id: Uuid::nil(),
            scope,
            reason: String::new(),
        };
        Orders::new(vec![erasure], holds.into_iter().map(hold).collect(), Instant::now())
    }

    #[test]
    fn an_erasure_takes_its_subjects_past_and_nothing_else() {
        let orders = orders("", Vec::new());
        assert!(orders.erase(&frame("alice", 100), Uuid::nil()));
        assert!(
            !orders.erase(&frame("alice", 101), Uuid::nil()),
            "what comes later is new"
        );
        assert!(!orders.erase(&frame("bob", 100), Uuid::nil()));
        assert!(!orders.erase(&Frame::default(), Uuid::nil()), "nobody's frame");
    }

    #[test]
    fn an_erasure_in_one_tenant_leaves_the_others() {
        assert!(orders("acme", Vec::new()).erase(&frame("alice", 1), Uuid::nil()));
        assert!(!orders("other", Vec::new()).erase(&frame("alice", 1), Uuid::nil()));
    }

    #[test]
    fn a_hold_beats_an_erasure() {
        let session = Uuid::from_u128(7);
        for scope in [
            Scope::Tenant("acme".to_owned()),
            Scope::Subject("idp".to_owned(), "alice".to_owned()),
            Scope::Session(session),
        ] {
            assert!(
                !orders("", vec![scope.clone()]).erase(&frame("alice", 1), session),
                "{scope:?}"
            );
        }
        let elsewhere = vec![
            Scope::Tenant("other".to_owned()),
            Scope::Subject("idp".to_owned(), "bob".to_owned()),
            Scope::Session(Uuid::from_u128(8)),
        ];
        assert!(orders("", elsewhere).erase(&frame("alice", 1), session));
    }
}
