//! `credential`: what the proxy itself shows to a target. The client's token never goes there.

use std::fmt;
use std::path::PathBuf;

use http::{
    HeaderName, HeaderValue,
    header::{self, AUTHORIZATION},
};
use secrecy::{ExposeSecret, SecretString};
use tapedeck_asker::issuer::is_loopback;
use tapedeck_config::{Reader, SecretSource};
use url::Url;
use zeroize::Zeroizing;

use super::raw::{Prefix, RawCredential, RawOAuth};

/// Header fields that the transport or the protocol sets on every request, so that no credential can live in them.
const TAKEN: &[HeaderName] = &[
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ORIGIN,
];

/// One header field that is added to every request to a target. Debug shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The field's name; default `authorization`.
    pub header: HeaderName,
    /// What stands before the secret; default `Bearer ` in `authorization`, else nothing.
    pub prefix: String,
    /// Where the secret comes from.
    pub secret: CredentialSource,
}

/// Where a target's secret comes from.
#[derive(Clone)]
pub enum CredentialSource {
    /// One for all users.
    Shared {
        /// Where it is held. A file is read again when it changes.
        source: SecretSource,
        /// What was there at the start. Fits into a header field.
        secret: SecretString,
    },
    /// One for each user, in a file of its own: `DIR/ISSUER/SUBJECT`, both percent-encoded.
    PerUser(PathBuf),
    /// A token of an authorization server.
    OAuth(OAuth),
}

/// How tokens for a target are got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth {
    /// By which grant.
    pub grant: Grant,
    /// The token endpoint: https, or http on this machine itself.
    pub token_url: Url,
    /// The proxy's own id there.
    pub client_id: String,
    /// Where the proxy's own secret there is held. A file is read again when it changes.
    pub client_secret: SecretSource,
    /// `scope` of the request.
    pub scope: Option<String>,
    /// `audience` of the request (RFC 8693, section 2.1; others take it, too).
    pub audience: Option<String>,
    /// `resource` of the request (RFC 8707).
    pub resource: Option<String>,
}

/// How a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// As the proxy itself (RFC 6749, section 4.4): one token for all users.
    ClientCredentials,
    /// In exchange for the user's own (RFC 8693): the target sees the user.
    TokenExchange,
}

/// Equal where a secret comes from the same place: what is there now is looked at while it is used.
impl PartialEq for CredentialSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Shared { source, .. }, Self::Shared { source: other, .. }) => source == other,
            (Self::PerUser(folder), Self::PerUser(other)) => folder == other,
            (Self::OAuth(oauth), Self::OAuth(other)) => oauth == other,
            (Self::Shared { .. } | Self::PerUser(_) | Self::OAuth(_), _) => false,
        }
    }
}

impl Eq for CredentialSource {}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared { source, .. } => source.fmt(f),
            Self::PerUser(folder) => f.debug_tuple("PerUser").field(folder).finish(),
            Self::OAuth(oauth) => oauth.fmt(f),
        }
    }
}

impl Credential {
    pub(super) fn build(raw: RawCredential<'_>, reader: &Reader) -> Option<Self> {
        let header = raw.header.and_then(header_name).or(AUTHORIZATION);
        let usual = if header == AUTHORIZATION { "Bearer " } else { "" };
        let prefix = raw
            .prefix
            .and_then(|prefix| prefix_for(prefix, &header))
            .or(usual.to_owned());
        let given = [
            ("env", raw.env.is_present()),
            ("file", raw.file.is_present()),
            ("users", raw.users.is_present()),
            ("oauth", raw.oauth.is_some()),
        ];
        let given: Vec<&str> = given
            .iter()
            .filter(|(_, there)| *there)
            .map(|(name, _)| *name)
            .collect();
        let secret = match given.as_slice() {
            ["env"] => raw
                .env
                .and_then(|name| shared(SecretSource::Env(name), &prefix, reader))
                .optional(),
            ["file"] => raw
                .file
                .and_then(|path| shared(SecretSource::File(path), &prefix, reader))
                .optional(),
            ["users"] => raw.users.and_then(folder).optional().map(CredentialSource::PerUser),
            ["oauth"] => raw
                .oauth
                .and_then(|raw| OAuth::build(raw, reader))
                .map(CredentialSource::OAuth),
            several => {
                let found = match several {
                    [] => "none of `env`, `file`, `users` and `oauth`".to_owned(),
                    [one, other] => format!("both `{one}` and `{other}`"),
                    more => format!("`{}`", more.join("`, `")),
                };
                reader.problem(
                    raw.span,
                    format!("`credential` has {found}; give one, which says where the secret comes from"),
                );
                None
            }
        };
        Some(Self {
            header,
            prefix,
            secret: secret?,
        })
    }
}

impl OAuth {
    fn build(raw: RawOAuth<'_>, reader: &Reader) -> Option<Self> {
        let grant = raw
            .grant
            .and_then(|name| match name.as_str() {
                "client_credentials" => Ok(Grant::ClientCredentials),
                "token_exchange" => Ok(Grant::TokenExchange),
                _ => Err(format!(
                    "{name:?} is neither \"client_credentials\" nor \"token_exchange\""
                )),
            })
            .required("\"client_credentials\", or \"token_exchange\" for tokens that name the user");
        let token_url = raw
            .token_url
            .and_then(|url: Url| {
                // Tokens and secrets go there.
                match url.scheme() == "https" || is_loopback(&url) {
                    true => Ok(url),
                    false => Err("only https will do, except on this machine itself"),
                }
            })
            .required("the authorization server's token endpoint");
        let client_id = raw.client_id.required("the proxy's own id at the authorization server");
        let client_secret = raw
            .client_secret
            .and_then(|source: SecretSource| match source.text(reader.environment()) {
                Ok(_) => Ok(source),
                Err(error) => Err(error.to_string()),
            })
            .required("where the proxy's own secret there is held: { env = \"NAME\" } or { file = \"path\" }");
        Some(Self {
            grant: grant?,
            token_url: token_url?,
            client_id: client_id?,
            client_secret: client_secret?,
            scope: raw.scope.optional(),
            audience: raw.audience.optional(),
            resource: raw.resource.optional(),
        })
    }
}

fn header_name(name: String) -> Result<HeaderName, String> {
    let header: HeaderName = name
        .parse()
        .map_err(|_| format!("{name:?} is not the name of a header field"))?;
    if TAKEN.contains(&header) || header.as_str().starts_with("mcp-") || header.as_str().starts_with("proxy-") {
        return Err(format!(
            "{name:?} is set by the protocol itself; choose another header field"
        ));
    }
    Ok(header)
}

fn prefix_for(Prefix(prefix): Prefix, header: &HeaderName) -> Result<String, String> {
    if header == AUTHORIZATION && !prefix.is_empty() && !prefix.ends_with(' ') {
        return Err(format!(
            "a scheme is followed by a space: write {:?}",
            format!("{prefix} ")
        ));
    }
    Ok(prefix)
}

fn folder(path: PathBuf) -> Result<PathBuf, String> {
    match std::fs::read_dir(&path) {
        Ok(_) => Ok(path),
        Err(error) => Err(format!("the folder {} cannot be read: {error}", path.display())),
    }
}

/// A secret that fits into a header field. Nothing of it is repeated in an error.
fn shared(source: SecretSource, prefix: &str, reader: &Reader) -> Result<CredentialSource, String> {
    let secret = source.text(reader.environment()).map_err(|error| error.to_string())?;
    let value = Zeroizing::new(format!("{prefix}{}", secret.expose_secret()));
    if HeaderValue::from_str(&value).is_err() {
        return Err(format!(
            "{source} holds characters that cannot stand in a header field, such as a line break"
        ));
    }
    Ok(CredentialSource::Shared { source, secret })
}
