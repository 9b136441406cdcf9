//! One configured issuer: its keys, and whom it is asked about.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use tapedeck_asker::issuer::Client;
use tokio_util::task::AbortOnDropHandle;

use super::claims::AccessClaims;
use super::introspection::{Introspection, Said, is_access_token};
use super::keys::{self, IssuerKeys, KeyThumbprint, Timing};
use super::principal::{Principal, names};
use super::userinfo::Userinfo;
use super::verified::Verified;
use super::{AuthError, Binding, Now, token};
use crate::config::{GroupsFrom, Issuer};

/// An issuer whose tokens count. Shared with the configurations before and after, where nothing about it has changed.
#[derive(Debug)]
pub(super) struct TrustedIssuer {
    pub(super) config: Issuer,
    pub(super) keys: Arc<IssuerKeys>,
    /// There where the issuer is asked whether tokens are good.
    pub(super) introspection: Option<Arc<Introspection>>,
    /// There where groups come from.
    userinfo: Option<Userinfo>,
    /// Asks for the keys from time to time; ends with the authenticator.
    _refresh: AbortOnDropHandle<()>,
}

impl TrustedIssuer {
    /// Begins to fetch its keys.
    pub(super) fn begin(issuer: &Issuer, client: &Client, timing: Timing) -> Self {
        let keys = Arc::new(IssuerKeys::new(issuer.url.clone(), client.clone(), timing));
        let refresh = tokio::spawn(keys::keep_fresh(Arc::clone(&keys)));
        let introspection = issuer.introspection.as_ref().map(|introspection| {
            let (client, keys) = (client.clone(), Arc::clone(&keys));
            Arc::new(Introspection::new(&issuer.url, introspection, client, keys))
        });
        let userinfo = (issuer.groups_from == GroupsFrom::Userinfo)
            .then(|| Userinfo::new(&issuer.url, &issuer.groups_claim, client.clone(), Arc::clone(&keys)));
        Self {
            config: issuer.clone(),
            keys,
            introspection,
            userinfo,
            _refresh: AbortOnDropHandle::new(refresh),
        }
    }

    /// Whether the issuer publishes the key that signed a token; one that it did not sign needs none.
    pub(super) async fn publishes(&self, key: Option<KeyThumbprint>, now: Now) -> Result<bool, AuthError> {
        match key {
            Some(key) => Ok(self.keys.usable(now.monotonic).await?.contains(&key)),
            None => Ok(true),
        }
    }

    pub(super) fn introspects_jwts(&self) -> Option<&Arc<Introspection>> {
        let asked = self.config.introspection.as_ref()?.tokens.are_jwts();
        self.introspection.as_ref().filter(|_| asked)
    }

    /// A token of which only the issuer knows what it stands for.
    pub(super) async fn vouches(
        &self,
        introspection: &Introspection,
        token: &str,
        now: Now,
    ) -> Result<Verified, AuthError> {
        if token.len() > token::LONGEST {
            return Err(AuthError::TooLong);
        }
        let keep = introspection.keep();
        let (said, at) = introspection.said(token, keep, now.monotonic).await?;
        let Said::Active(said) = said else {
            return Err(AuthError::Inactive);
        };
        is_access_token(&said, &self.config.url)?;
        let claims = AccessClaims::judge(&said, &self.config, now.wall)?;
        Ok(Verified {
            principal: Arc::new(self.principal(claims, None, token, now).await?),
            key: None,
            until: Some(at + keep),
        })
    }

    /// The issuer's word that a token it has signed is still good; none if it is not asked.
    pub(super) async fn confirms(
        &self,
        token: &str,
        claims: &AccessClaims<'_>,
        now: Now,
    ) -> Result<Option<Confirmed>, AuthError> {
        let Some(introspection) = self.introspects_jwts() else {
            return Ok(None);
        };
        let keep = introspection.keep();
        match introspection.said(token, keep, now.monotonic).await? {
            (Said::Inactive, _) => Err(AuthError::Inactive),
            (Said::Active(said), _) if said.get("sub").is_some_and(|sub| claims.all.get("sub") != Some(sub)) => {
                Err(AuthError::OtherSubject)
            }
            (Said::Active(said), at) => Ok(Some(Confirmed { said, until: at + keep })),
        }
    }

    /// Who the token is about. `said`: what the issuer says beside a token that it has signed.
    pub(super) async fn principal(
        &self,
        claims: AccessClaims<'_>,
        said: Option<&Map<String, Value>>,
        token: &str,
        now: Now,
    ) -> Result<Principal, AuthError> {
        let groups_claim = &self.config.groups_claim;
        let elsewhere = match groups_claim.find(claims.all) {
            Some(_) => None,
            // Of the same subject, and said so: what is said of nobody is of nobody.
            None => match said
                .filter(|said| said.get("sub") == claims.all.get("sub"))
                .and_then(|said| groups_claim.find(said))
            {
                Some(claim) => Some(names(claim).into()),
                None => self.groups_from_userinfo(&claims, token, now).await?,
            },
        };
        let known = self.keys.known();
        let scope = known.as_ref().and_then(|keys| keys.scope_for(groups_claim));
        Principal::new(&self.config, claims, scope, elsewhere.as_deref())
    }

    async fn groups_from_userinfo(
        &self,
        claims: &AccessClaims<'_>,
        token: &str,
        now: Now,
    ) -> Result<Option<Arc<[String]>>, AuthError> {
        match &self.userinfo {
            // Whoever only passes a bound token on could not ask with it.
            Some(userinfo) if claims.binding == Binding::default() => {
                userinfo.groups(token, claims.subject()?, now.monotonic).await
            }
            _ => Ok(None),
        }
    }
}

/// An issuer's word on a token that it has signed.
pub(super) struct Confirmed {
    /// What it says of the token.
    pub(super) said: Arc<Map<String, Value>>,
    /// As long as this counts.
    pub(super) until: Instant,
}
