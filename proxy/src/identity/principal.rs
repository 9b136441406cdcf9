//! Who is calling, proven; and that they may use a target, proven.

use std::{sync::Arc, time::SystemTime};

use serde_json::Value;

use super::{AuthError, Binding, claims::AccessClaims};
use crate::config::{Allow, Issuer, Target, Tenant};

/// Who is calling. Only the verification of a token makes one, so whoever holds a principal holds the proof.
///
/// Everything in it is the issuer's word about the token's subject.
#[derive(Debug)]
pub struct Principal {
    /// The issuer, byte for byte as configured.
    pub issuer: String,
    /// `sub`: who, within the issuer. Not empty.
    pub subject: String,
    /// The tenant, by the issuer's configuration.
    pub tenant: String,
    /// `name`, else `preferred_username`: for people to read.
    pub name: Option<String>,
    /// `email`, as the issuer claims it.
    pub email: Option<String>,
    /// The groups, as written in the token (Keycloak's leading slash stays), in its order.
    pub groups: Vec<String>,
    /// `client_id`, else `azp`: the application that the token was issued to.
    pub client_id: Option<String>,
    /// `jti`: the token's own id.
    pub token_id: Option<String>,
    /// `sid`: the session at the issuer that the token came from.
    pub token_session: Option<String>,
    /// `exp`: when the token ends.
    pub expires: SystemTime,
    /// `aud`: whom the token is for, as far as its issuer's configuration names them. A request that has this principal is
    /// to a target that is among them.
    pub audiences: Vec<String>,
    /// `cnf`: the keys that the token is bound to. A request that has this principal has shown them.
    pub bound_to: Binding,
    /// The scope that would have put groups into the token, where the token has none and the issuer offers one.
    groups_scope: Option<String>,
}

impl Principal {
    /// The principal that verified claims stand for. `scope` makes the issuer's tokens carry groups, if the issuer
    /// offers such a one. `elsewhere` are the groups that the issuer names beside the token, where the token names none.
    pub(super) fn new(
        issuer: &Issuer,
        claims: AccessClaims<'_>,
        scope: Option<&str>,
        elsewhere: Option<&[String]>,
    ) -> Result<Self, AuthError> {
        let text = |name: &str| {
            claims
                .all
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let subject = claims.subject()?;
        let tenant = match &issuer.tenant {
            Tenant::Fixed(tenant) => tenant.as_str(),
            // Without its tenant a caller would share sessions with others of the same issuer.
            Tenant::Claim(path) => path
                .find(claims.all)
                .and_then(Value::as_str)
                .filter(|tenant| !tenant.is_empty())
                .ok_or(AuthError::MissingClaim("the tenant's"))?,
        };
        let groups = issuer.groups_claim.find(claims.all).map(names);
        let groups = groups.or_else(|| elsewhere.map(<[String]>::to_vec));
        Ok(Self {
            issuer: issuer.url.clone(),
            subject: subject.to_owned(),
            tenant: tenant.to_owned(),
            name: text("name").or(text("preferred_username")).map(str::to_owned),
            email: text("email").map(str::to_owned),
            groups_scope: if groups.is_none() {
                scope.map(str::to_owned)
            } else {
                None
            },
            groups: groups.unwrap_or_default(),
            client_id: text("client_id").or(text("azp")).map(str::to_owned),
            token_id: text("jti").map(str::to_owned),
            token_session: text("sid").map(str::to_owned),
            expires: claims.expires,
            audiences: claims.audiences,
            bound_to: claims.binding,
        })
    }

    /// The proof that this principal may use the target.
    ///
    /// # Errors
    ///
    /// [`Forbidden`] when none of the principal's groups is allowed there.
    pub fn authorize<'a>(self: &'a Arc<Self>, target: &'a Target) -> Result<Authorized<'a>, Forbidden> {
        let allowed = match &target.allow {
            Allow::Authenticated => true,
            Allow::Groups(groups) => self.groups.iter().any(|group| groups.contains(group)),
        };
        if allowed {
            Ok(Authorized {
                principal: self,
                target,
            })
        } else {
            Err(Forbidden {
                scope: self.groups_scope.clone(),
            })
        }
    }

    /// A principal that no token stands for.
    #[cfg(test)]
    pub(crate) fn for_test(subject: &str, groups: &[&str], expires: SystemTime) -> Arc<Self> {
        Arc::new(Self {
            issuer: "https://issuer.example".to_owned(),
            subject: subject.to_owned(),
            tenant: "default".to_owned(),
            name: None,
            email: None,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            client_id: None,
            token_id: None,
            token_session: None,
            expires,
            audiences: Vec::new(),
            bound_to: Binding::default(),
            groups_scope: None,
        })
    }
}

/// The names of groups in a claim: an array of strings, of SCIM groups (`value`; RFC 9068, section 2.2.3.1, and RFC
/// 7643, section 4.1.2), or one string. Anything else names no group.
pub(super) fn names(claim: &Value) -> Vec<String> {
    let name = |item: &Value| match item {
        Value::String(name) => Some(name.clone()),
        Value::Object(group) => group.get("value").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    match claim {
        Value::Array(items) => items.iter().filter_map(name).collect(),
        Value::String(name) => vec![name.clone()],
        _ => Vec::new(),
    }
}

/// The proof that a principal may use a target: made only by [`Principal::authorize`].
#[derive(Clone, Copy, Debug)]
pub struct Authorized<'a> {
    principal: &'a Arc<Principal>,
    target: &'a Target,
}

impl<'a> Authorized<'a> {
    /// Who may.
    pub fn principal(&self) -> &'a Arc<Principal> {
        self.principal
    }

    /// What they may use.
    pub fn target(&self) -> &'a Target {
        self.target
    }
}

/// A principal's groups do not allow the target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("none of the caller's groups may use this target")]
pub struct Forbidden {
    /// The scope that would help, if one would: the token names no groups at all, and its issuer offers this scope,
    /// which puts them there.
    pub scope: Option<String>,
}

impl Forbidden {
    /// The reason as a word, the same in every release: for metrics and records.
    pub fn label(&self) -> &'static str {
        if self.scope.is_some() {
            "insufficient_scope"
        } else {
            "forbidden"
        }
    }
}
