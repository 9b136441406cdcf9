//! Who is calling, proven; and that they may use a target, proven.

use std::{sync::Arc, time::SystemTime};

use serde_json::Value;

use super::{AuthError, Binding, CertificateThumbprint, claims::AccessClaims};
use crate::config::{Allow, Issuer, Target, Tenant};

/// Who is calling. Only the verification of a token makes one, so whoever holds a principal holds the proof.
///
/// Everything in it is the issuer's word about the token's subject.
#[derive(Debug)]
pub struct Principal {
    /// As frames carry it, made once for all of them: the issuer, byte for byte as configured; `sub`, which is not empty;
    /// `name`, else `preferred_username`; `email`; the groups, as written in the token (Keycloak's leading slash stays), in
    /// its order; `client_id`, else `azp`; `jti`; `sid`; and the key that the token is bound to, without a certificate.
    pub who: Arc<tapedeck_schemas::Principal>,
    /// The tenant, by the issuer's configuration.
    pub tenant: String,
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
        let groups_scope = scope.filter(|_| groups.is_none()).map(str::to_owned);
        let who = tapedeck_schemas::Principal {
            issuer: issuer.url.clone(),
            subject: subject.to_owned(),
            name: text("name").or(text("preferred_username")).map(str::to_owned),
            email: text("email").map(str::to_owned),
            groups: groups.unwrap_or_default(),
            client_id: text("client_id").or(text("azp")).map(str::to_owned),
            token_id: text("jti").map(str::to_owned),
            token_session: text("sid").map(str::to_owned),
            key_thumbprint: claims.binding.key.as_ref().map(|key| format!("jkt:{key}")),
        };
        Ok(Self {
            who: Arc::new(who),
            tenant: tenant.to_owned(),
            groups_scope,
            expires: claims.expires,
            audiences: claims.audiences,
            bound_to: claims.binding,
        })
    }

    /// As frames of a request carry it that has shown this certificate.
    pub(crate) fn recorded(&self, certificate: Option<CertificateThumbprint>) -> Arc<tapedeck_schemas::Principal> {
        let Some(certificate) = certificate else {
            return Arc::clone(&self.who);
        };
        let mut who = tapedeck_schemas::Principal::clone(&self.who);
        who.key_thumbprint = Some(match who.key_thumbprint {
            Some(key) => format!("{key} x5t#S256:{certificate}"),
            None => format!("x5t#S256:{certificate}"),
        });
        Arc::new(who)
    }

    /// The proof that this principal may use the target.
    ///
    /// # Errors
    ///
    /// [`Forbidden`] when none of the principal's groups is allowed there.
    pub fn authorize<'a>(self: &'a Arc<Self>, target: &'a Target) -> Result<Authorized<'a>, Forbidden> {
        let allowed = match &target.allow {
            Allow::Authenticated => true,
            Allow::Groups(groups) => self.who.groups.iter().any(|group| groups.contains(group)),
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
        let who = tapedeck_schemas::Principal {
            issuer: "https://issuer.example".to_owned(),
            subject: subject.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..tapedeck_schemas::Principal::default()
        };
        Arc::new(Self {
            who: Arc::new(who),
            tenant: "default".to_owned(),
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
