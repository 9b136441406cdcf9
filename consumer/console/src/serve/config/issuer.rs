//! `[issuer]`: who signs people in, and how their groups are told.

use secrecy::SecretString;
use serde_json::{Map, Value};
use tapedeck_asker::issuer::is_loopback;
use tapedeck_config::{OneOrMany, SecretSource, Section};
use url::Url;

/// The OpenID provider.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The issuer identifier exactly as written: it is compared byte for byte with `iss`. The same as in the proxy's
    /// configuration, since a user's own sessions are found by issuer and subject.
    pub url: String,
    /// The console's own id there.
    pub client_id: String,
    /// Its secret; without one it is a public client, which PKCE allows.
    pub client_secret: Option<SecretString>,
    /// What is asked for beside `openid`; default `profile` and `email`.
    pub scopes: Vec<String>,
    /// Where a user's groups stand; default `groups`.
    pub groups_claim: ClaimPath,
    /// The public client as which people's programs sign in; without it they register themselves.
    pub program_client_id: Option<String>,
    /// What bearer tokens for the console have in `aud`. Empty: none are accepted.
    pub audiences: Vec<String>,
}

impl Issuer {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let url = section.field("url").and_then(identifier).required(
            "the issuer's identifier, exactly as in its tokens' `iss`, such as \"https://login.example.com\"",
        );
        let client_id = section
            .field("client_id")
            .required("the console's client id at the issuer");
        let environment = section.reader().environment();
        let client_secret = section
            .field::<SecretSource>("client_secret")
            .and_then(|source| source.text(environment))
            .optional();
        let scopes = section
            .field("scopes")
            .or(vec!["profile".to_owned(), "email".to_owned()]);
        let groups_claim = section
            .field("groups_claim")
            .and_then(ClaimPath::new)
            .or(ClaimPath("groups".to_owned()));
        let program_client_id = section.field("program_client_id").optional();
        let audiences = section
            .field::<OneOrMany<String>>("audience")
            .optional()
            .map_or_else(Vec::new, |OneOrMany(all)| all);
        Some(Self {
            url: url?,
            client_id: client_id?,
            client_secret,
            scopes,
            groups_claim,
            program_client_id,
            audiences,
        })
    }
}

/// The way to a claim: a name, or names joined by dots for a claim within claims, `realm_access.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    fn new(path: String) -> Result<Self, &'static str> {
        match path.split('.').any(str::is_empty) {
            true => Err("there is an empty name between its dots"),
            false => Ok(Self(path)),
        }
    }

    /// The claim, if it is there. One whose own name holds dots is found under its whole name.
    pub(in crate::serve) fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        find(claims, &self.0)
    }
}

fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        path.match_indices('.')
            .find_map(|(dot, _)| find(claims.get(&path[..dot])?.as_object()?, &path[dot + 1..]))
    })
}

/// An issuer identifier (OpenID Connect Discovery, section 3): https, or http on this machine itself.
fn identifier(written: String) -> Result<String, String> {
    let url = Url::parse(&written).map_err(|error| format!("{written:?} is not a URL: {error}"))?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err(format!(
            "{written:?} must be an https URL (http only on this machine itself)"
        ));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("an issuer has no user, password, query or fragment".to_owned());
    }
    Ok(written)
}
