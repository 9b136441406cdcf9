//! What a target is shown in the place of the client's own token.
//!
//! Secrets are kept as [`SecretString`], which is wiped when it goes and has no `Debug` that shows it. A header field is
//! made of one for each request, marked as sensitive.

mod oauth;
mod stored;
mod users;

use std::path::PathBuf;

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::config::{Credential, CredentialSource, Grant};
use crate::identity::{Authorized, access_token};
use oauth::Tokens;

pub(crate) use oauth::{ClientError, basic_login};
pub(crate) use stored::Stored;

/// Why a target cannot be shown anything; so it is sent nothing. Nothing in it is a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    /// The operator has given this user none.
    #[error("there is no credential of this user for the target")]
    NotForUser,
    /// The authorization server's answer is no: its error code (RFC 6749, section 5.2).
    #[error("the authorization server refuses a token for the target: {0}")]
    Refused(String),
    /// The authorization server or a file cannot be read; worth another try.
    #[error("the credential for the target cannot be had: {0}")]
    Unavailable(String),
}

/// The credential of one target.
pub(in crate::upstream) struct HeldCredential {
    header: HeaderName,
    prefix: String,
    source: Source,
}

enum Source {
    Shared(Stored),
    PerUser(PathBuf),
    OAuth(Grant, Box<Tokens>),
}

impl HeldCredential {
    pub(super) fn new(credential: &Credential) -> Result<Self, ClientError> {
        let source = match &credential.secret {
            CredentialSource::Shared { source, secret } => Source::Shared(Stored::new(source.clone(), secret.clone())),
            CredentialSource::PerUser(folder) => Source::PerUser(folder.clone()),
            CredentialSource::OAuth(oauth) => Source::OAuth(oauth.grant, Box::new(Tokens::new(oauth)?)),
        };
        Ok(Self {
            header: credential.header.clone(),
            prefix: credential.prefix.clone(),
            source,
        })
    }

    /// The header field for a request of this caller, whose own header fields are `headers`.
    pub(super) async fn field(
        &self,
        may: &Authorized<'_>,
        headers: &HeaderMap,
    ) -> Result<(HeaderName, HeaderValue), CredentialError> {
        let secret = match &self.source {
            Source::Shared(stored) => stored.secret(),
            Source::PerUser(folder) => Box::pin(users::secret(folder, may.principal())).await?,
            Source::OAuth(Grant::ClientCredentials, tokens) => Box::pin(tokens.own()).await?,
            Source::OAuth(Grant::TokenExchange, tokens) => {
                Box::pin(tokens.exchanged(token_of(headers)?, may.principal().expires)).await?
            }
        };
        Ok((self.header.clone(), self.value(&secret)?))
    }

    /// The header field for every caller, where it is the same for all of them.
    pub(in crate::upstream) fn field_of_all(&self) -> Result<(HeaderName, HeaderValue), CredentialError> {
        match &self.source {
            Source::Shared(stored) => Ok((self.header.clone(), self.value(&stored.secret())?)),
            Source::PerUser(_) | Source::OAuth(..) => Err(CredentialError::Unavailable(
                "it differs from caller to caller, or is asked for".to_owned(),
            )),
        }
    }

    /// The target would not have what it was shown: a token that was got is not shown again.
    pub(super) fn turned_down(&self, headers: &HeaderMap) {
        match &self.source {
            Source::OAuth(Grant::ClientCredentials, tokens) => tokens.forget(None),
            Source::OAuth(Grant::TokenExchange, tokens) => tokens.forget(token_of(headers).ok()),
            Source::Shared(_) | Source::PerUser(_) => {}
        }
    }

    fn value(&self, secret: &SecretString) -> Result<HeaderValue, CredentialError> {
        let text = Zeroizing::new(format!("{}{}", self.prefix, secret.expose_secret()));
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            CredentialError::Unavailable("it holds characters that cannot stand in a header field".to_owned())
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The client's own token, for the authorization server only. The caller was authenticated by it a moment ago.
fn token_of(headers: &HeaderMap) -> Result<&str, CredentialError> {
    access_token(headers).ok_or_else(|| CredentialError::Unavailable("the caller has no token to exchange".to_owned()))
}
