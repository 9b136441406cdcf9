//! `[[issuer]]`: who may issue tokens, for whom, and what their claims mean.

use std::ops::Range;

use serde_json::{Map, Value};
use tapedeck_asker::issuer::is_loopback;
use tapedeck_config::{OneOrMany, Reader};
use url::Url;

use super::{Introspection, raw::RawIssuer};

/// The tenant of issuers that name none.
const DEFAULT_TENANT: &str = "default";

/// An issuer of access tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The issuer identifier exactly as written: it is compared byte for byte with `iss`, with the issuer's own
    /// metadata, and repeated in ours (RFC 8414, section 3.3; RFC 9728, section 3.3).
    pub url: String,
    /// A token's `aud` must contain one of these; at least one.
    pub audiences: Vec<String>,
    /// Where a token's groups stand; default `groups`.
    pub groups_claim: ClaimPath,
    /// Where the groups of tokens come from that have no such claim; default nowhere.
    pub groups_from: GroupsFrom,
    /// How the issuer is asked whether tokens are good, if it is.
    pub introspection: Option<Introspection>,
    /// Which tenant the issuer's users belong to.
    pub tenant: Tenant,
    /// Where the issuer stands in the file.
    pub(super) span: Range<usize>,
}

/// Where groups come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupsFrom {
    /// The token, or the issuer's word about it, alone.
    #[default]
    Token,
    /// The issuer's userinfo endpoint, where the token names none.
    Userinfo,
}

/// Which tenant a token's subject belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenant {
    /// Always this one.
    Fixed(String),
    /// The one that this claim names; a token without it is refused.
    Claim(ClaimPath),
}

/// The way to a claim: a name, or names joined by dots for a claim within claims, `realm_access.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    fn new(path: String) -> Result<Self, &'static str> {
        if path.split('.').any(str::is_empty) {
            Err("there is an empty name between its dots")
        } else {
            Ok(Self(path))
        }
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The claim, if the token has it. A claim whose own name holds dots, such as `https://acme.example/groups`, is
    /// found under its whole name; so is a nested one, `resource_access.my.client.roles`.
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        find(claims, &self.0)
    }
}

fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        path.match_indices('.')
            .find_map(|(dot, _)| find(claims.get(&path[..dot])?.as_object()?, &path[dot + 1..]))
    })
}

impl Issuer {
    pub(super) fn build(raw: RawIssuer<'_>, reader: &Reader) -> Option<Self> {
        let url = raw.url.and_then(identifier).required_at(
            "the issuer's identifier, exactly as in its tokens' `iss`, such as \"https://login.example.com\"",
        );
        let audience = raw.audience.required(
            "what tokens for this proxy have in `aud`: the URL of a target, or what the issuer was told to put there",
        );
        let groups_claim = raw
            .groups_claim
            .and_then(ClaimPath::new)
            .or(ClaimPath("groups".to_owned()));
        let groups_from = raw.groups_from.and_then(groups_from).or(GroupsFrom::default());
        let introspection = raw.introspection.and_then(|raw| Introspection::build(raw, reader));
        if raw.tenant.is_present() && raw.tenant_claim.is_present() {
            reader.problem(
                raw.tenant_claim.span(),
                "`tenant` and `tenant_claim` are both given; keep one",
            );
        }
        let fixed = raw.tenant.optional().map(Tenant::Fixed);
        let claim = raw.tenant_claim.and_then(ClaimPath::new).optional().map(Tenant::Claim);
        let tenant = fixed
            .or(claim)
            .unwrap_or_else(|| Tenant::Fixed(DEFAULT_TENANT.to_owned()));
        let (url, OneOrMany(audiences)) = (url?, audience?);
        Some(Self {
            url: url.value,
            audiences,
            groups_claim,
            groups_from,
            introspection,
            tenant,
            span: url.span,
        })
    }

    /// Whether it says the same as `other`, wherever in their files they stand.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // Every field by name: one that is added has to be thought of here.
        let Self {
            url,
            audiences,
            groups_claim,
            groups_from,
            introspection,
            tenant,
            span: _,
        } = self;
        (url, audiences, tenant) == (&other.url, &other.audiences, &other.tenant)
            && (groups_claim, groups_from) == (&other.groups_claim, &other.groups_from)
            && *introspection == other.introspection
    }

    /// An issuer that no file names.
    #[cfg(test)]
    pub(crate) fn for_test(url: &str, audience: &str, groups_claim: &str, tenant: Tenant) -> Self {
        Self {
            url: url.to_owned(),
            audiences: vec![audience.to_owned()],
            groups_claim: ClaimPath(groups_claim.to_owned()),
            groups_from: GroupsFrom::Token,
            introspection: None,
            tenant,
            span: 0..0,
        }
    }
}

fn groups_from(written: String) -> Result<GroupsFrom, String> {
    match written.as_str() {
        "token" => Ok(GroupsFrom::Token),
        "userinfo" => Ok(GroupsFrom::Userinfo),
        _ => Err(format!("{written:?} must be \"token\" or \"userinfo\"")),
    }
}

/// An issuer identifier (RFC 8414, section 2), https, or http on this machine itself: whoever can answer in the
/// issuer's place hands out keys, and with them every identity.
fn identifier(written: String) -> Result<String, String> {
    let url = Url::parse(&written).map_err(|error| format!("{written:?} is not a URL: {error}"))?;
    let good_scheme = url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url);
    if !good_scheme {
        return Err(format!(
            "{written:?} must be an https URL (http only on this machine itself)"
        ));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("an issuer has no user, password, query or fragment (RFC 8414, section 2)".to_owned());
    }
    if written.ends_with("/.well-known/openid-configuration") {
        return Err("this is the issuer's metadata; write the issuer itself, without /.well-known/…".to_owned());
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ClaimPath;

    #[test]
    fn a_claim_is_found_by_its_path_and_by_its_whole_name() {
        let claims = json!({
            "groups": ["top"],
            "https://acme.example/groups": ["url"],
            "realm_access": { "roles": ["nested"] },
            "resource_access": { "my.client": { "roles": ["dotted"] } },
        });
        let claims = claims.as_object().expect("an object");
        let find = |path: &str| {
            ClaimPath(path.to_owned())
                .find(claims)
                .and_then(|found| found[0].as_str())
        };
        assert_eq!(find("groups"), Some("top"));
        assert_eq!(find("https://acme.example/groups"), Some("url"));
        assert_eq!(find("realm_access.roles"), Some("nested"));
        assert_eq!(find("resource_access.my.client.roles"), Some("dotted"));
        assert_eq!(find("resource_access.other.roles"), None);
        assert_eq!(find("groups.roles"), None, "an array holds no claims");
    }
}
