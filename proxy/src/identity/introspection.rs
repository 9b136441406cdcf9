//! Asking an issuer whether a token is good: OAuth 2.0 Token Introspection (RFC 7662).

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use tapedeck_asker::issuer::Client;
use tapedeck_asker::strict_json;
use url::form_urlencoded;

use super::AuthError;
use super::answers::Answers;
use super::asking::Desk;
use super::claims::says_another_kind;
use super::keys::IssuerKeys;
use super::verified::TokenDigest;
use crate::config;
use crate::upstream::{Stored, basic_login};

/// What an issuer says of a token.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// It is good, and these are its claims.
    Active(Arc<Map<String, Value>>),
    /// It is not, or not any more, or is none of the issuer's.
    Inactive,
}

/// One issuer, as who is asked about its tokens.
pub(super) struct Introspection {
    /// The issuer's identifier.
    issuer: String,
    config: config::Introspection,
    secret: Stored,
    desk: Desk,
    keys: Arc<IssuerKeys>,
    answers: Answers<Said>,
}

impl std::fmt::Debug for Introspection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Introspection").field(&self.issuer).finish()
    }
}

impl Introspection {
    pub(super) fn new(issuer: &str, config: &config::Introspection, client: Client, keys: Arc<IssuerKeys>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            secret: Stored::new(config.client_secret.clone(), config.secret.clone()),
            config: config.clone(),
            desk: Desk::new(client),
            keys,
            answers: Answers::new(config.keep),
        }
    }

    /// How long an answer counts, and how often one is asked for while a stream is open.
    pub(super) fn keep(&self) -> Duration {
        self.config.keep
    }

    /// What the issuer says of a token, as of no longer ago than `oldest`; and when it was asked.
    pub(super) async fn said(&self, token: &str, oldest: Duration, now: Instant) -> Result<(Said, Instant), AuthError> {
        self.answers
            .get(TokenDigest::of(token), oldest, now, self.ask(token, now))
            .await
    }

    async fn ask(&self, token: &str, now: Instant) -> Result<Said, AuthError> {
        let endpoint = match &self.config.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => match self.keys.usable(now).await?.introspection() {
                Some(endpoint) => endpoint.clone(),
                None => return Err(self.useless("its metadata name no introspection_endpoint; give `endpoint`")),
            },
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("token_type_hint", "access_token")
            .finish();
        let login = basic_login(&self.config.client_id, self.secret.secret().expose_secret());
        let login = login.ok_or_else(|| self.useless("client id and secret are no header field"))?;
        let request = self
            .desk
            .client()
            .request(Method::POST, endpoint)
            .header(AUTHORIZATION, login)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .body(form)
            .build()
            .map_err(|_| self.useless("no request can be made of its endpoint"))?;
        let answer = self.desk.ask("introspection", &self.issuer, request).await?;
        if answer.status != StatusCode::OK {
            // 401: the proxy's own login is wrong. Nothing is known of the token.
            return Err(self.useless(&format!("it answers {}", answer.status.as_u16())));
        }
        let claims = strict_json::object(&answer.body).ok_or_else(|| self.useless("its answer is no JSON object"))?;
        match claims.get("active") {
            Some(Value::Bool(true)) => Ok(Said::Active(Arc::new(claims))),
            Some(Value::Bool(false)) => Ok(Said::Inactive),
            _ => Err(self.useless("its answer does not say whether the token is active")),
        }
    }

    /// The operator has to mend something; the client has done nothing wrong.
    fn useless(&self, why: &str) -> AuthError {
        tracing::warn!(issuer = %self.issuer, %why, "tokens cannot be introspected");
        AuthError::ProviderUnreachable
    }
}

/// Whether active claims are those of an access token of this issuer: what the signed form of a token says by its `typ`.
pub(super) fn is_access_token(claims: &Map<String, Value>, issuer: &str) -> Result<(), AuthError> {
    if claims.get("iss").is_some_and(|named| named.as_str() != Some(issuer)) {
        return Err(AuthError::UnknownIssuer);
    }
    let kind = claims.get("token_type");
    let is_access = |kind: &Value| {
        kind.as_str().is_some_and(|kind| {
            ["bearer", "dpop", "access_token"]
                .iter()
                .any(|one| kind.eq_ignore_ascii_case(one))
        })
    };
    if !kind.is_none_or(is_access) || says_another_kind(claims) {
        return Err(AuthError::NotAccessToken);
    }
    Ok(())
}
