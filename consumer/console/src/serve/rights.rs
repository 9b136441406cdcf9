//! Rights: what a user's groups are worth, and the condition that this puts into every query. This is the one place.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::config::Roles;
use super::identity::User;
use super::problem::Problem;

/// The right that a look used, by its name in the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// Own sessions.
    Viewer,
    /// Named tenants.
    Auditor,
    /// Everything.
    Administrator,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }
}

/// What a signed-in user may see. Only [`Scope::of`] makes one, and no query can be made without one.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    user: Arc<User>,
    roles: Vec<Role>,
    sight: Sight,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Sight {
    Everything,
    Some {
        /// Sessions of the user's own issuer and subject.
        own: bool,
        tenants: Vec<String>,
    },
}

/// Tenants whose recordings a user may see whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tenants {
    /// Whichever there are.
    All,
    /// These; at least one.
    Named(Vec<String>),
}

/// Proof that the user is an administrator: for what belongs to no tenant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Administrator(());

impl Scope {
    /// What the user's groups are worth.
    ///
    /// # Errors
    /// [`Problem::Forbidden`] where they are worth nothing.
    pub(super) fn of(user: Arc<User>, roles: &Roles) -> Result<Self, Problem> {
        let is_in = |groups: &[String]| groups.iter().any(|group| user.groups().contains(group));
        let mut held = Vec::new();
        if is_in(&roles.viewers) {
            held.push(Role::Viewer);
        }
        let mut tenants = Vec::new();
        for auditor in roles.auditors.iter().filter(|auditor| is_in(&auditor.groups)) {
            tenants.extend(auditor.tenants.iter().cloned());
        }
        tenants.sort();
        tenants.dedup();
        if !tenants.is_empty() {
            held.push(Role::Auditor);
        }
        if is_in(&roles.administrators) {
            held.push(Role::Administrator);
        }
        let sight = match held.last() {
            None => return Err(Problem::Forbidden("none of your groups gives you a right here")),
            Some(Role::Administrator) => Sight::Everything,
            Some(_) => Sight::Some {
                own: held.contains(&Role::Viewer),
                tenants,
            },
        };
        Ok(Self {
            user,
            roles: held,
            sight,
        })
    }

    /// The user whose scope this is.
    pub(super) fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// All rights, the least first; at least one.
    pub(super) fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The condition on the access log, under the alias `t`: one's own looks; of others, looks at sessions of one's tenants.
    /// A row without a session has no tenant, which is not the tenant that has no name.
    pub(super) fn condition_on_access(&self) -> &'static str {
        match &self.sight {
            Sight::Everything => "1",
            Sight::Some { tenants, .. } if tenants.is_empty() => {
                "(t.issuer = {scope_issuer:String} AND t.subject = {scope_subject:String})"
            }
            Sight::Some { .. } => {
                "((t.issuer = {scope_issuer:String} AND t.subject = {scope_subject:String}) \
                 OR (t.tenant IN {scope_tenants:Array(String)} AND t.session_id != toUUID('00000000-0000-0000-0000-000000000000')))"
            }
        }
    }

    /// The greatest right.
    pub(super) fn role(&self) -> Role {
        *self.roles.last().expect("Scope::of makes none without a role")
    }

    /// The tenants whose sessions an auditor may see; none for others.
    pub(super) fn tenants(&self) -> &[String] {
        match &self.sight {
            Sight::Everything => &[],
            Sight::Some { tenants, .. } => tenants,
        }
    }

    /// # Errors
    /// [`Problem::Forbidden`] for everybody else.
    pub(super) fn administrator(&self) -> Result<Administrator, Problem> {
        match self.sight {
            Sight::Everything => Ok(Administrator(())),
            Sight::Some { .. } => Err(Problem::Forbidden("this is for administrators")),
        }
    }

    /// # Errors
    /// [`Problem::Forbidden`] for those who may see their own sessions only.
    pub(super) fn auditor(&self) -> Result<(), Problem> {
        match self.audited(None) {
            Ok(_) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// The tenants that the user audits, or the named one.
    ///
    /// # Errors
    /// [`Problem::Forbidden`] for those who may see their own sessions only, and for others' tenants.
    pub(super) fn audited(&self, tenant: Option<String>) -> Result<Tenants, Problem> {
        match (&self.sight, tenant) {
            (Sight::Everything, None) => Ok(Tenants::All),
            (Sight::Everything, Some(tenant)) => Ok(Tenants::Named(vec![tenant])),
            (Sight::Some { tenants, .. }, None) if !tenants.is_empty() => Ok(Tenants::Named(tenants.clone())),
            (Sight::Some { tenants, .. }, Some(tenant)) if tenants.contains(&tenant) => {
                Ok(Tenants::Named(vec![tenant]))
            }
            (Sight::Some { .. }, _) => Err(Problem::Forbidden(
                "this is for auditors of the tenant and for administrators",
            )),
        }
    }

    /// The condition on a relation with the columns `tenant`, `issuer` and `subject`, under the alias `t` or `f`: constant
    /// text, over parameters that every `Select` binds.
    pub(super) fn condition(&self, alias: Alias) -> &'static str {
        match (&self.sight, alias) {
            (Sight::Everything, _) => "1",
            (Sight::Some { own: true, tenants }, Alias::T) if tenants.is_empty() => {
                "(t.issuer = {scope_issuer:String} AND t.subject = {scope_subject:String})"
            }
            (Sight::Some { own: true, tenants }, Alias::F) if tenants.is_empty() => {
                "(f.issuer = {scope_issuer:String} AND f.subject = {scope_subject:String})"
            }
            (Sight::Some { own: false, .. }, Alias::T) => "t.tenant IN {scope_tenants:Array(String)}",
            (Sight::Some { own: false, .. }, Alias::F) => "f.tenant IN {scope_tenants:Array(String)}",
            (Sight::Some { own: true, .. }, Alias::T) => {
                "((t.issuer = {scope_issuer:String} AND t.subject = {scope_subject:String}) \
                 OR t.tenant IN {scope_tenants:Array(String)})"
            }
            (Sight::Some { own: true, .. }, Alias::F) => {
                "((f.issuer = {scope_issuer:String} AND f.subject = {scope_subject:String}) \
                 OR f.tenant IN {scope_tenants:Array(String)})"
            }
        }
    }
}

/// The relation that a condition is about, by its alias in the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alias {
    /// What is selected from.
    T,
    /// `frames` in a subquery.
    F,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::config::Auditor;

    fn roles() -> Roles {
        let auditor = |group: &str, tenant: &str| Auditor {
            groups: vec![group.to_owned()],
            tenants: vec![tenant.to_owned()],
        };
        Roles {
            viewers: vec!["staff".to_owned()],
            auditors: vec![auditor("audit-a", "a"), auditor("audit-b", "b")],
            administrators: vec!["admins".to_owned()],
        }
    }

    fn scope(groups: &[&str]) -> Result<Scope, Problem> {
        Scope::of(Arc::new(User::for_test("alice", groups)), &roles())
    }

    #[test]
    fn groups_that_nobody_named_are_worth_nothing() {
        assert!(matches!(scope(&[]), Err(Problem::Forbidden(_))));
        assert!(matches!(scope(&["visitors", "STAFF"]), Err(Problem::Forbidden(_))));
    }

    #[test]
    fn rights_add_up_and_the_greatest_names_the_role() {
        let viewer = scope(&["staff"]).expect("a viewer");
        assert!(viewer.condition(Alias::T).contains("scope_subject") && !viewer.condition(Alias::T).contains("tenant"));
        let auditor = scope(&["audit-b", "audit-a"]).expect("an auditor");
        assert_eq!(
            (auditor.role(), auditor.tenants()),
            (Role::Auditor, &["a".to_owned(), "b".to_owned()][..])
        );
        assert!(!auditor.condition(Alias::T).contains("scope_subject"));
        let both = scope(&["audit-a", "staff"]).expect("both");
        assert!(
            both.condition(Alias::T).contains("scope_subject") && both.condition(Alias::T).contains("scope_tenants")
        );
        let all = scope(&["audit-a", "staff", "admins"]).expect("an administrator");
        assert_eq!((all.role(), all.condition(Alias::F)), (Role::Administrator, "1"));
    }

    #[test]
    fn of_the_access_log_everybody_sees_their_own_looks_and_auditors_those_at_sessions_of_their_tenants() {
        let viewer = scope(&["staff"]).expect("a viewer");
        assert!(!viewer.condition_on_access().contains("tenant"));
        let auditor = scope(&["audit-a"]).expect("an auditor");
        let condition = auditor.condition_on_access();
        assert!(
            condition.contains("scope_subject") && condition.contains("t.session_id != "),
            "{condition}"
        );
        assert_eq!(scope(&["admins"]).expect("an administrator").condition_on_access(), "1");
    }

    #[test]
    fn values_are_searched_for_by_auditors_in_their_tenants_and_by_administrators_in_all() {
        assert!(scope(&["staff"]).expect("a viewer").auditor().is_err());
        let auditor = scope(&["staff", "audit-a"]).expect("an auditor");
        assert_eq!(auditor.audited(None), Ok(Tenants::Named(vec!["a".to_owned()])));
        assert!(auditor.audited(Some("a".to_owned())).is_ok());
        assert!(auditor.audited(Some("b".to_owned())).is_err());
        let all = scope(&["admins"]).expect("an administrator");
        assert_eq!(all.audited(None), Ok(Tenants::All));
        assert!(all.audited(Some("b".to_owned())).is_ok());
    }

    #[test]
    fn only_administrators_are_administrators() {
        assert!(scope(&["staff", "audit-a"]).expect("a user").administrator().is_err());
        assert!(scope(&["admins"]).expect("a user").administrator().is_ok());
    }
}
