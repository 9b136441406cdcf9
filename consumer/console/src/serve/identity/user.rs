//! Somebody who is known.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::serve::config::{ClaimPath, Roles};

/// The most characters that are kept of a name or an address: they are for people to read.
const SHOWN: usize = 256;

/// Somebody whom the issuer vouches for. Only a verified ID token or access token makes one, or the seal of a session that
/// began with one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::serve) struct User {
    issuer: String,
    /// Not empty: a session without a caller is nobody's own.
    subject: String,
    name: Option<String>,
    email: Option<String>,
    groups: Vec<String>,
}

impl User {
    /// The user of verified claims; none where they name no subject.
    pub(super) fn new(issuer: &str, claims: &Map<String, Value>, groups: &ClaimPath) -> Option<Self> {
        let text = |name: &str| {
            let value = claims.get(name).and_then(Value::as_str);
            value.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let shown = |text: String| text.chars().take(SHOWN).collect::<String>();
        let groups = match groups.find(claims) {
            Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(group)) => vec![group.clone()],
            _ => Vec::new(),
        };
        Some(Self {
            issuer: issuer.to_owned(),
            subject: text("sub")?,
            name: text("name").or_else(|| text("preferred_username")).map(shown),
            email: text("email").map(shown),
            groups,
        })
    }

    /// Without the groups that no role names.
    pub(super) fn with_groups_of(mut self, roles: &Roles) -> Self {
        self.groups.retain(|group| roles.name(group));
        self
    }

    /// The issuer, byte for byte.
    pub(in crate::serve) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`.
    pub(in crate::serve) fn subject(&self) -> &str {
        &self.subject
    }

    pub(in crate::serve) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(in crate::serve) fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    pub(in crate::serve) fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Names the user among all issuers': no issuer holds a space.
    pub(in crate::serve) fn key(&self) -> String {
        format!("{} {}", self.issuer, self.subject)
    }

    #[cfg(test)]
    pub(in crate::serve) fn for_test(subject: &str, groups: &[&str]) -> Self {
        Self {
            issuer: "https://login.example".to_owned(),
            subject: subject.to_owned(),
            name: None,
            email: None,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        }
    }
}
