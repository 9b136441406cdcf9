//! Who is calling: from the `Authorization` header field to a [`Principal`].
//!
//! # Life of a token
//!
//! 1. [`Authenticator::authenticate`] takes the one access token from the header fields, and how it is shown: borne, or
//!    with a proof of its holder's key. It is looked up among the tokens that verified before, by its hash; a hit counts
//!    only while the token has not expired and its issuer still publishes the key that signed it, or has said a moment
//!    ago that the token is active.
//! 2. A token that is no JWT is shown to the one issuer that is configured for that (`introspection`), and to no other.
//! 3. A JWT is parsed strictly by `token`: a compact JWS of known algorithm and type, no name twice, no critical
//!    extension. The configured issuer is chosen by its own `iss`; `keys` has that issuer's public keys, and asks for
//!    them again when the token names one that is not among them. The signature is verified.
//! 4. What the token, or the issuer's answer, says is judged by `claims`: audience, times, subject, and that it is an
//!    access token (RFC 9068). Groups that it does not name may come from `userinfo`.
//! 5. `principal` makes a [`Principal`] of it. Nothing else can.
//! 6. The token must be for this very target, and what it is bound to must have been shown by this very request: `binding` compares the certificate of the
//!    connection, `dpop` checks the proof. Only then is the principal anybody's.
//! 7. [`Principal::authorize`] weighs the principal's groups against a target and answers [`Authorized`], the proof
//!    that the call may be forwarded.
//! 8. While an exchange goes on, a `watch` asks the issuer from time to time whether the token is still good.
//!
//! Anything else is an [`AuthError`] or [`Forbidden`], and [`challenge`] says it to the client.

mod answers;
mod asking;
mod binding;
mod certificate;
pub mod challenge;
mod claims;
mod dpop;
mod introspection;
mod keys;
mod presented;
mod principal;
mod refusal;
#[cfg(test)]
mod tests;
mod token;
mod userinfo;
mod verified;
mod watch;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use secrecy::SecretSlice;
use tapedeck_asker::issuer::{Client, native_roots};
use tapedeck_asker::jws;
use tokio_util::task::AbortOnDropHandle;

use crate::config::{Audience, Dpop, GroupsFrom, Issuer};

use claims::AccessClaims;
use dpop::ProofChecker;
use introspection::{Introspection, Said, is_access_token};
use keys::{IssuerKeys, KeyThumbprint, Timing};
use presented::presented;
use token::Jws;
use userinfo::Userinfo;
use verified::{TokenDigest, Verified, VerifiedTokens};

pub use binding::Binding;
pub use certificate::CertificateThumbprint;
pub(crate) use dpop::DPOP_NONCE;
pub use dpop::ProofError;
pub(crate) use presented::access_token;
pub use principal::{Authorized, Forbidden, Principal};
pub use refusal::AuthError;
pub use tapedeck_asker::issuer::ClientError;
pub(crate) use watch::{Lapse, Watch};

/// How far an issuer's clock may be ahead of ours (`nbf`, `iat`). There is no such grace after `exp`: a client whose
/// token is refused gets another, and a token that has expired is not accepted by anyone else either.
const LEEWAY: Duration = Duration::from_secs(60);

/// Verifies access tokens of the configured issuers. One per configuration; cheap to share.
#[derive(Debug)]
pub struct Authenticator {
    /// Shared with the configurations before and after, where nothing about an issuer has changed.
    issuers: Vec<Arc<TrustedIssuer>>,
    verified: VerifiedTokens,
    proofs: ProofChecker,
    client: Client,
    timing: Timing,
}

#[derive(Debug)]
struct TrustedIssuer {
    config: Issuer,
    keys: Arc<IssuerKeys>,
    /// There where the issuer is asked whether tokens are good.
    introspection: Option<Arc<Introspection>>,
    /// There where groups come from.
    userinfo: Option<Userinfo>,
    /// Asks for the keys from time to time; ends with the authenticator.
    _refresh: AbortOnDropHandle<()>,
}

/// What a request shows of who makes it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Its header fields.
    pub headers: &'a HeaderMap,
    /// Its method.
    pub method: &'a Method,
    /// The target's resource identifier, which is the URL that clients know it by.
    pub resource: &'a str,
    /// Which tokens are for the target.
    pub audience: &'a Audience,
    /// The certificate of the client's connection.
    pub certificate: Option<CertificateThumbprint>,
}

/// The two clocks, read together: tests move them.
#[derive(Clone, Copy, Debug)]
struct Now {
    wall: SystemTime,
    monotonic: Instant,
}

impl Now {
    fn read() -> Self {
        Self {
            wall: SystemTime::now(),
            monotonic: Instant::now(),
        }
    }
}

impl Authenticator {
    /// Starts to fetch the issuers' keys, on the current tokio runtime, and goes on as long as the authenticator lives.
    /// An issuer that is away does not hinder the start: its tokens are refused as [`AuthError::ProviderUnreachable`]
    /// until it answers. `shared_keys` are those that all replicas have, at least one: nonces are made with the first.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be made: TLS cannot be set up.
    pub fn start(issuers: &[Issuer], dpop: Dpop, shared_keys: &[SecretSlice<u8>]) -> Result<Self, ClientError> {
        let proofs = ProofChecker::new(dpop, shared_keys);
        let client = Client::new(native_roots())?;
        Ok(Self::with(issuers, client, Timing::DEFAULT, proofs))
    }

    fn with(issuers: &[Issuer], client: Client, timing: Timing, proofs: ProofChecker) -> Self {
        let issuers = issuers
            .iter()
            .map(|issuer| Arc::new(TrustedIssuer::begin(issuer, &client, timing)));
        Self {
            issuers: issuers.collect(),
            verified: VerifiedTokens::default(),
            proofs,
            client,
            timing,
        }
    }

    /// Another, for `issuers`. Those that are as they were keep their keys, what they said and the tokens that verified; of
    /// one that has changed nothing is taken over: what its tokens stand for may be something else now. Proofs that were
    /// used stay used. `shared_keys` are others than before, if they are.
    pub fn renewed(&self, issuers: &[Issuer], dpop: Dpop, shared_keys: Option<&[SecretSlice<u8>]>) -> Self {
        let unchanged = |issuer: &Issuer| self.issuers.iter().find(|one| one.config.is_same(issuer));
        let renewed: Vec<Arc<TrustedIssuer>> = issuers
            .iter()
            .map(|issuer| match unchanged(issuer) {
                Some(known) => Arc::clone(known),
                None => Arc::new(TrustedIssuer::begin(issuer, &self.client, self.timing)),
            })
            .collect();
        let is_kept = |url: &str| issuers.iter().any(|one| one.url == url && unchanged(one).is_some());
        Self {
            verified: self.verified.of_issuers(is_kept),
            issuers: renewed,
            proofs: self.proofs.renewed(dpop, shared_keys),
            client: self.client.clone(),
            timing: self.timing,
        }
    }

    /// The principal that the request's token stands for, whose keys, where it is bound to any, the request has shown. A
    /// token in the query string or the body is not looked at.
    ///
    /// # Errors
    ///
    /// Why there is none. Nothing of the token is in the error.
    pub async fn authenticate(&self, shown: Shown<'_>) -> Result<Arc<Principal>, AuthError> {
        self.authenticate_at(shown, Now::read()).await
    }

    /// A nonce for the answer to a request that proves a key, or means to (RFC 9449, section 8); none for others.
    pub fn nonce_for(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let scheme = presented(headers).ok().map(|(scheme, _)| scheme);
        self.proofs.nonce_for(headers, scheme, Now::read())
    }

    /// Watches over the token of an authenticated request while its exchange goes on; none where its issuer is not asked
    /// whether tokens are still good.
    pub(crate) fn watch(&self, principal: &Principal, headers: &HeaderMap) -> Option<Watch> {
        let token = access_token(headers)?;
        let issuer = self.issuer(&principal.issuer)?;
        let introspection = if self.is_opaque(token) {
            issuer.introspection.as_ref()
        } else {
            issuer.introspects_jwts()
        };
        Some(Watch::new(Arc::clone(introspection?), token))
    }

    /// Scopes that make the issuers' tokens carry groups, as far as the issuers say so: for challenges and metadata.
    pub fn scopes(&self) -> Vec<String> {
        let mut scopes: Vec<String> = self
            .issuers
            .iter()
            .filter_map(|issuer| {
                issuer
                    .keys
                    .known()?
                    .scope_for(&issuer.config.groups_claim)
                    .map(str::to_owned)
            })
            .collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }

    /// The first issuer's metadata as it published them, for clients that look for an authorization server at the proxy's
    /// own origin (MCP 2025-03-26). None until the issuer has answered.
    pub fn authorization_server(&self) -> Option<Bytes> {
        Some(self.issuers.first()?.keys.known()?.metadata().clone())
    }

    async fn authenticate_at(&self, shown: Shown<'_>, now: Now) -> Result<Arc<Principal>, AuthError> {
        let (scheme, token) = presented(shown.headers)?;
        self.proofs.admits(scheme)?;
        let principal = self.principal(token, now).await?;
        if !principal.audiences.iter().any(|one| shown.audience.accepts(one)) {
            return Err(AuthError::WrongAudience);
        }
        principal.bound_to.allows(shown.certificate)?;
        self.proofs.check(scheme, token, &principal.bound_to, shown, now)?;
        Ok(principal)
    }

    /// Who the token stands for, whoever shows it.
    async fn principal(&self, token: &str, now: Now) -> Result<Arc<Principal>, AuthError> {
        let digest = TokenDigest::of(token);
        if let Some(hit) = self.verified.find(&digest, now.wall)
            && let Some(issuer) = self.issuer(&hit.principal.issuer)
            && hit.until.is_none_or(|until| now.monotonic < until)
            && issuer.publishes(hit.key, now).await?
        {
            return Ok(hit.principal);
        }
        // Boxed: an exchange may last for hours, with room for what most of them never wait for.
        let verified = match self.introspects_opaque() {
            Some((issuer, introspection)) if !jws::is_compact(token) => {
                Box::pin(issuer.vouches(introspection, token, now)).await?
            }
            _ => Box::pin(self.signed(token, now)).await?,
        };
        let principal = Arc::clone(&verified.principal);
        self.verified.insert(digest, verified, now.wall);
        Ok(principal)
    }

    /// A token that its issuer has signed.
    async fn signed(&self, token: &str, now: Now) -> Result<Verified, AuthError> {
        let jws = Jws::parse(token)?;
        let issuer = jws
            .issuer()
            .and_then(|url| self.issuer(url))
            .ok_or(AuthError::UnknownIssuer)?;
        let keys = issuer.keys.usable(now.monotonic).await?;
        let key = match keys.verify(&jws) {
            // Perhaps the issuer has changed its keys since we last asked.
            Err(AuthError::UnknownKey) => issuer.keys.newer(now.monotonic).await?.verify(&jws)?,
            verified => verified?,
        };
        let claims = jws.claims_for(&issuer.config, now.wall)?;
        let until = issuer.confirms(token, &claims, now).await?;
        Ok(Verified {
            principal: Arc::new(issuer.principal(claims, token, now).await?),
            key: Some(key),
            until,
        })
    }

    /// The configured issuer with exactly this identifier.
    fn issuer(&self, url: &str) -> Option<&TrustedIssuer> {
        let found = self.issuers.iter().find(|issuer| issuer.config.url == url);
        found.map(Arc::as_ref)
    }

    fn is_opaque(&self, token: &str) -> bool {
        self.introspects_opaque().is_some() && !jws::is_compact(token)
    }

    /// The one issuer that is shown tokens of which nobody can tell whose they are.
    fn introspects_opaque(&self) -> Option<(&TrustedIssuer, &Introspection)> {
        self.issuers.iter().find_map(|issuer| {
            let asked = issuer.config.introspection.as_ref()?.tokens.are_opaque();
            Some((issuer.as_ref(), issuer.introspection.as_deref().filter(|_| asked)?))
        })
    }
}

impl TrustedIssuer {
    /// Begins to fetch its keys.
    fn begin(issuer: &Issuer, client: &Client, timing: Timing) -> Self {
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
    async fn publishes(&self, key: Option<KeyThumbprint>, now: Now) -> Result<bool, AuthError> {
        match key {
            Some(key) => Ok(self.keys.usable(now.monotonic).await?.contains(&key)),
            None => Ok(true),
        }
    }

    fn introspects_jwts(&self) -> Option<&Arc<Introspection>> {
        let asked = self.config.introspection.as_ref()?.tokens.are_jwts();
        self.introspection.as_ref().filter(|_| asked)
    }

    /// A token of which only the issuer knows what it stands for.
    async fn vouches(&self, introspection: &Introspection, token: &str, now: Now) -> Result<Verified, AuthError> {
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
            principal: Arc::new(self.principal(claims, token, now).await?),
            key: None,
            until: Some(at + keep),
        })
    }

    /// Until when the issuer's word that a token it has signed is still good counts; none if it is not asked.
    async fn confirms(&self, token: &str, claims: &AccessClaims<'_>, now: Now) -> Result<Option<Instant>, AuthError> {
        let Some(introspection) = self.introspects_jwts() else {
            return Ok(None);
        };
        let keep = introspection.keep();
        match introspection.said(token, keep, now.monotonic).await? {
            (Said::Inactive, _) => Err(AuthError::Inactive),
            (Said::Active(said), _) if said.get("sub").is_some_and(|sub| claims.all.get("sub") != Some(sub)) => {
                Err(AuthError::OtherSubject)
            }
            (Said::Active(_), at) => Ok(Some(at + keep)),
        }
    }

    async fn principal(&self, claims: AccessClaims<'_>, token: &str, now: Now) -> Result<Principal, AuthError> {
        let names_groups = self.config.groups_claim.find(claims.all).is_some();
        let elsewhere = match &self.userinfo {
            // Whoever only passes a bound token on could not ask with it.
            Some(userinfo) if !names_groups && claims.binding == Binding::default() => {
                userinfo.groups(token, claims.subject()?, now.monotonic).await?
            }
            _ => None,
        };
        let known = self.keys.known();
        let scope = known
            .as_ref()
            .and_then(|keys| keys.scope_for(&self.config.groups_claim));
        Principal::new(&self.config, claims, scope, elsewhere.as_deref())
    }
}
