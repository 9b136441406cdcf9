//! Tokens of an authorization server for a target: the proxy's own (RFC 6749, section 4.4), or one in exchange for the
//! user's (RFC 8693).
//!
//! A token is kept until shortly before it expires. While one is being asked for, others who need the same one wait for
//! it: a thousand calls of one user are one request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use openidconnect::reqwest;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tapedeck_config::{Environment, SecretError};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::CredentialError;
use super::stored::Stored;
use crate::config::{Grant, OAuth};

/// How long the authorization server may take to accept a connection, and to answer.
const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// How long a token counts whose lifetime is not told.
const LIFETIME: Duration = Duration::from_secs(60);

/// So much before it expires a token is not used any more: a request takes time to arrive, and clocks differ.
const MARGIN: Duration = Duration::from_secs(30);

/// The most users whose tokens are kept.
const MOST: usize = 16_384;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Tokens cannot be asked for at all. Found at start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// There is no HTTP client.
    #[error("no HTTP client for the token endpoint: {0}")]
    Http(#[from] reqwest::Error),
    /// The proxy's own secret is gone since the configuration was read.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The SHA-256 of the user's own token; none for the proxy's own.
type Holder = Option<[u8; 32]>;

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// Asks for tokens, and keeps them.
pub(super) struct Tokens {
    oauth: OAuth,
    secret: Stored,
    http: reqwest::Client,
    slots: Mutex<HashMap<Holder, Slot>>,
}

struct Token {
    secret: SecretString,
    until: Instant,
}

/// RFC 6749, section 5.1.
#[derive(Deserialize)]
struct Granted {
    access_token: Wiped,
    token_type: Option<String>,
    expires_in: Option<u64>,
}

/// A secret in an answer.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Wiped(SecretString);

impl From<String> for Wiped {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// RFC 6749, section 5.2.
#[derive(Deserialize)]
struct Denied {
    error: String,
}

impl Tokens {
    pub(super) fn new(oauth: &OAuth) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            // What is sent there is secret: it goes where the configuration says, or nowhere.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .tls_built_in_root_certs(false);
        for root in rustls_native_certs::load_native_certs().certs {
            // A root that this TLS library cannot use is one that it does not trust.
            if let Ok(root) = reqwest::Certificate::from_der(&root) {
                builder = builder.add_root_certificate(root);
            }
        }
        Ok(Self {
            secret: Stored::new(
                oauth.client_secret.clone(),
                oauth.client_secret.text(&Environment::Process)?,
            ),
            http: builder.build()?,
            oauth: oauth.clone(),
            slots: Mutex::default(),
        })
    }

    /// A token of the proxy itself.
    pub(super) async fn own(&self) -> Result<SecretString, CredentialError> {
        self.token(None, None).await
    }

    /// A token in exchange for the user's, which expires then: the new one is not used for longer.
    pub(super) async fn exchanged(&self, token: &str, expires: SystemTime) -> Result<SecretString, CredentialError> {
        let left = expires.duration_since(SystemTime::now()).unwrap_or_default();
        self.token(Some(token), Some(left)).await
    }

    /// The token that was got for this one is not used again.
    pub(super) fn forget(&self, token: Option<&str>) {
        self.slots().remove(&holder(token));
    }

    async fn token(&self, subject: Option<&str>, at_most: Option<Duration>) -> Result<SecretString, CredentialError> {
        let slot = self.slot(holder(subject));
        let mut kept = slot.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(token.secret.clone());
        }
        *kept = None;
        let asked = Instant::now();
        let granted = self.ask(subject).await?;
        let told = granted.expires_in.map_or(LIFETIME, Duration::from_secs);
        let lifetime = at_most.map_or(told, |most| told.min(most));
        let token = kept.insert(Token {
            secret: granted.access_token.0,
            until: asked + lifetime.saturating_sub(MARGIN.min(lifetime / 4)),
        });
        Ok(token.secret.clone())
    }

    /// Asks the authorization server.
    async fn ask(&self, subject: Option<&str>) -> Result<Granted, CredentialError> {
        let unavailable = |error: reqwest::Error| CredentialError::Unavailable(error.without_url().to_string());
        let request = self
            .http
            .post(self.oauth.token_url.clone())
            .header(AUTHORIZATION, self.login()?)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(self.form(subject));
        let mut answer = request.send().await.map_err(unavailable)?;
        let status = answer.status();
        // Room for all of it from the start: a vector that grows leaves copies that nothing wipes.
        let mut body = Zeroizing::new(Vec::with_capacity(LONGEST_ANSWER));
        while let Some(chunk) = answer.chunk().await.map_err(unavailable)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(CredentialError::Unavailable(
                    "the answer is longer than 64 KiB".to_owned(),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        read(status, &body)
    }

    fn form(&self, subject: Option<&str>) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match (self.oauth.grant, subject) {
            (Grant::TokenExchange, Some(token)) => {
                form.append_pair("grant_type", EXCHANGE)
                    .append_pair("subject_token", token)
                    .append_pair("subject_token_type", ACCESS_TOKEN)
                    .append_pair("requested_token_type", ACCESS_TOKEN);
            }
            _ => {
                form.append_pair("grant_type", "client_credentials");
            }
        }
        let optional = [
            ("scope", &self.oauth.scope),
            ("audience", &self.oauth.audience),
            ("resource", &self.oauth.resource),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        form.finish()
    }

    fn login(&self) -> Result<HeaderValue, CredentialError> {
        basic_login(&self.oauth.client_id, self.secret.secret().expose_secret())
            .ok_or_else(|| CredentialError::Unavailable("the client's id and secret are no header field".to_owned()))
    }

    fn slot(&self, holder: Holder) -> Slot {
        let mut slots = self.slots();
        if slots.len() >= MOST && !slots.contains_key(&holder) {
            // What somebody is waiting for, or still counts, stays.
            let now = Instant::now();
            let counts = |slot: &Slot| match slot.try_lock() {
                Ok(kept) => kept.as_ref().is_some_and(|token| now < token.until),
                Err(_) => true,
            };
            slots.retain(|_, slot| counts(slot));
            if slots.len() >= MOST {
                slots.clear();
            }
        }
        Arc::clone(slots.entry(holder).or_default())
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Holder, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// HTTP Basic for a client of an authorization server: id and secret are encoded before they are joined (RFC 6749, section
/// 2.3.1). None: they do not fit into a header field.
pub(crate) fn basic_login(id: &str, secret: &str) -> Option<HeaderValue> {
    let encode = |text: &str| Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let (id, secret) = (encode(id), encode(secret));
    let login = Zeroizing::new(format!("{}:{}", *id, *secret));
    let field = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(login.as_bytes())));
    let mut value = HeaderValue::from_str(&field).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn holder(token: Option<&str>) -> Holder {
    token.map(|token| Sha256::digest(token.as_bytes()).into())
}

/// What the token endpoint's answer means. Nothing of it but a well-formed error code is repeated.
fn read(status: StatusCode, body: &[u8]) -> Result<Granted, CredentialError> {
    if status.is_success() {
        let granted: Granted = serde_json::from_slice(body)
            .map_err(|_| CredentialError::Unavailable("the answer has no access token".to_owned()))?;
        let is_bearer = granted
            .token_type
            .as_deref()
            .is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        return match is_bearer {
            true => Ok(granted),
            false => Err(CredentialError::Unavailable("the token is no bearer token".to_owned())),
        };
    }
    let is_code =
        |code: &String| code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let code = serde_json::from_slice(body)
        .map(|Denied { error }| error)
        .ok()
        .filter(is_code);
    match code {
        Some(code) if status.is_client_error() => Err(CredentialError::Refused(code)),
        _ => Err(CredentialError::Unavailable(format!(
            "the token endpoint answers {}",
            status.as_u16()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> Result<String, String> {
        let status = StatusCode::from_u16(status).expect("a status");
        read(status, body.as_bytes())
            .map(|granted| granted.access_token.0.expose_secret().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_is_a_token_or_a_reason_that_repeats_nothing_of_it() {
        assert_eq!(
            said(200, r#"{"access_token":"secret","token_type":"bearer"}"#),
            Ok("secret".to_owned())
        );
        assert!(said(200, r#"{"access_token":"secret","token_type":"DPoP"}"#).is_err());
        assert!(said(200, "secret").expect_err("no JSON").contains("no access token"));
        assert!(
            said(400, r#"{"error":"invalid_grant"}"#)
                .expect_err("no")
                .contains("invalid_grant")
        );
        let odd = said(400, r#"{"error":"Secret <b>"}"#).expect_err("no");
        assert!(odd.contains("answers 400") && !odd.contains("Secret"), "{odd}");
        assert!(
            said(503, r#"{"error":"invalid_grant"}"#)
                .expect_err("away")
                .contains("answers 503")
        );
    }
}
