//! Groups that stand in no token: from the issuer's userinfo endpoint (OpenID Connect Core, section 5.3).

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Method, StatusCode};
use tapedeck_asker::issuer::Client;
use tapedeck_asker::strict_json;
use zeroize::Zeroizing;

use super::AuthError;
use super::answers::Answers;
use super::asking::Desk;
use super::keys::IssuerKeys;
use super::principal::names;
use super::verified::TokenDigest;
use crate::config::ClaimPath;

/// How long the groups of one token count: until it expires, and no longer than this.
const KEEP: Duration = Duration::from_secs(60 * 60);

/// None: the issuer names no groups for this token.
type Groups = Option<Arc<[String]>>;

/// One issuer, as who is asked about the subjects of its tokens.
#[derive(Debug)]
pub(super) struct Userinfo {
    /// The issuer's identifier.
    issuer: String,
    groups_claim: ClaimPath,
    desk: Desk,
    keys: Arc<IssuerKeys>,
    answers: Answers<Groups>,
}

impl Userinfo {
    pub(super) fn new(issuer: &str, groups_claim: &ClaimPath, client: Client, keys: Arc<IssuerKeys>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            groups_claim: groups_claim.clone(),
            desk: Desk::new(client),
            keys,
            answers: Answers::new(KEEP),
        }
    }

    /// The groups of the subject of this token, which is good and bound to no key: whoever has not that key could not ask
    /// with it.
    pub(super) async fn groups(&self, token: &str, subject: &str, now: Instant) -> Result<Groups, AuthError> {
        let groups = self
            .answers
            .get(TokenDigest::of(token), KEEP, now, self.ask(token, subject, now))
            .await?;
        Ok(groups.0)
    }

    async fn ask(&self, token: &str, subject: &str, now: Instant) -> Result<Groups, AuthError> {
        let keys = self.keys.usable(now).await?;
        let endpoint = keys
            .userinfo()
            .ok_or_else(|| self.useless("its metadata name no userinfo_endpoint"))?;
        let field = Zeroizing::new(format!("Bearer {token}"));
        let mut field = HeaderValue::from_str(&field).map_err(|_| AuthError::Malformed("not visible ASCII"))?;
        field.set_sensitive(true);
        let request = self
            .desk
            .client()
            .request(Method::GET, endpoint.clone())
            .header(AUTHORIZATION, field)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .build()
            .map_err(|_| self.useless("no request can be made of its endpoint"))?;
        let answer = self.desk.ask("userinfo", &self.issuer, request).await?;
        match answer.status {
            StatusCode::OK => {}
            // The issuer does not know the token any more (RFC 6750, section 3.1).
            StatusCode::UNAUTHORIZED => return Err(AuthError::Inactive),
            // It was issued without the scope `openid`: nobody is told anything, which names no groups.
            StatusCode::FORBIDDEN => return Ok(None),
            status => return Err(self.useless(&format!("it answers {}", status.as_u16()))),
        }
        let claims = strict_json::object(&answer.body).ok_or_else(|| self.useless("its answer is no JSON object"))?;
        // Or it is somebody else's (OpenID Connect Core, section 5.3.4).
        if claims.get("sub").and_then(serde_json::Value::as_str) != Some(subject) {
            return Err(AuthError::OtherSubject);
        }
        Ok(self.groups_claim.find(&claims).map(|claim| names(claim).into()))
    }

    /// The operator has to mend something; the client has done nothing wrong.
    fn useless(&self, why: &str) -> AuthError {
        tracing::warn!(issuer = %self.issuer, %why, "no groups can be had from userinfo");
        AuthError::ProviderUnreachable
    }
}
