//! Who is calling: from the `Authorization` header field to a [`Principal`].
//!
//! # Life of a token
//!
//! 1. [`Authenticator::authenticate`] takes the one bearer token from the header fields. It is looked up among the
//!    tokens that verified before, by its hash; a hit counts only while the token has not expired and its issuer still
//!    publishes the key that signed it.
//! 2. `token` parses it strictly: a compact JWS of known algorithm and type, no name twice, no critical extension.
//! 3. The configured issuer is chosen by the token's own `iss`; `keys` has that issuer's public keys, and asks for them
//!    again when the token names one that is not among them.
//! 4. The signature is verified, then what the token says: audience, times, subject, and that it is an access token
//!    (RFC 9068), meant for whoever bears it.
//! 5. `principal` makes a [`Principal`] of it. Nothing else can.
//! 6. [`Principal::authorize`] weighs the principal's groups against a target and answers [`Authorized`], the proof
//!    that the call may be forwarded.
//!
//! Anything else is an [`AuthError`] or [`Forbidden`], and [`challenge`] says it to the client.

pub mod challenge;
mod keys;
mod principal;
mod refusal;
mod strict_json;
#[cfg(test)]
mod tests;
mod token;
mod verified;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, header::AUTHORIZATION};
use tokio_util::task::AbortOnDropHandle;

use crate::config::Issuer;

use keys::{IssuerKeys, Timing};
use token::Jws;
use verified::{TokenDigest, Verified, VerifiedTokens};

pub use keys::ClientError;
pub use principal::{Authorized, Forbidden, Principal};
pub use refusal::AuthError;

/// How far an issuer's clock may be ahead of ours (`nbf`, `iat`). There is no such grace after `exp`: a client whose
/// token is refused gets another, and a token that has expired is not accepted by anyone else either.
const LEEWAY: Duration = Duration::from_secs(60);

/// Verifies access tokens of the configured issuers. One per configuration; cheap to share.
#[derive(Debug)]
pub struct Authenticator {
    /// Shared with the configurations before and after, where nothing about an issuer has changed.
    issuers: Vec<Arc<TrustedIssuer>>,
    verified: VerifiedTokens,
    client: keys::Client,
    timing: Timing,
}

#[derive(Debug)]
struct TrustedIssuer {
    config: Issuer,
    keys: Arc<IssuerKeys>,
    /// Asks for the keys from time to time; ends with the authenticator.
    _refresh: AbortOnDropHandle<()>,
}

/// The two clocks, read together: tests move them.
#[derive(Clone, Copy, Debug)]
struct Now {
    wall: SystemTime,
    monotonic: Instant,
}

impl Authenticator {
    /// Starts to fetch the issuers' keys, on the current tokio runtime, and goes on as long as the authenticator lives.
    /// An issuer that is away does not hinder the start: its tokens are refused as [`AuthError::ProviderUnreachable`]
    /// until it answers.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be made: TLS cannot be set up.
    pub fn start(issuers: &[Issuer]) -> Result<Self, ClientError> {
        Ok(Self::with(
            issuers,
            keys::client(keys::native_roots())?,
            Timing::DEFAULT,
        ))
    }

    fn with(issuers: &[Issuer], client: keys::Client, timing: Timing) -> Self {
        let issuers = issuers
            .iter()
            .map(|issuer| Arc::new(TrustedIssuer::begin(issuer, &client, timing)));
        Self {
            issuers: issuers.collect(),
            verified: VerifiedTokens::default(),
            client,
            timing,
        }
    }

    /// Another, for `issuers`. Those that are as they were keep their keys and the tokens that verified; of one that has
    /// changed nothing is taken over: what its tokens stand for may be something else now.
    pub fn renewed(&self, issuers: &[Issuer]) -> Self {
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
            client: self.client.clone(),
            timing: self.timing,
        }
    }

    /// The principal that the request's bearer token stands for. A token in the query string or the body is not looked
    /// at.
    ///
    /// # Errors
    ///
    /// Why there is none. Nothing of the token is in the error.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Principal>, AuthError> {
        self.authenticate_at(
            headers,
            Now {
                wall: SystemTime::now(),
                monotonic: Instant::now(),
            },
        )
        .await
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

    async fn authenticate_at(&self, headers: &HeaderMap, now: Now) -> Result<Arc<Principal>, AuthError> {
        let token = bearer(headers)?;
        let digest = TokenDigest::of(token);
        if let Some(hit) = self.verified.find(&digest, now.wall)
            && let Some(issuer) = self.issuer(&hit.principal.issuer)
            && issuer.keys.usable(now.monotonic).await?.contains(&hit.key)
        {
            return Ok(hit.principal);
        }

        let jws = Jws::parse(token)?;
        let issuer = jws
            .issuer()
            .and_then(|url| self.issuer(url))
            .ok_or(AuthError::UnknownIssuer)?;
        let keys = issuer.keys.usable(now.monotonic).await?;
        let (keys, key) = match keys.verify(&jws) {
            // Perhaps the issuer has changed its keys since we last asked.
            Err(AuthError::UnknownKey) => {
                let keys = issuer.keys.newer(now.monotonic).await?;
                let key = keys.verify(&jws)?;
                (keys, key)
            }
            verified => (keys, verified?),
        };
        let claims = jws.claims_for(&issuer.config, now.wall)?;
        let scope = keys.scope_for(&issuer.config.groups_claim);
        let principal = Arc::new(Principal::new(&issuer.config, claims, scope)?);
        self.verified.insert(
            digest,
            Verified {
                principal: Arc::clone(&principal),
                key,
            },
            now.wall,
        );
        Ok(principal)
    }

    /// The configured issuer with exactly this identifier.
    fn issuer(&self, url: &str) -> Option<&TrustedIssuer> {
        let found = self.issuers.iter().find(|issuer| issuer.config.url == url);
        found.map(Arc::as_ref)
    }
}

impl TrustedIssuer {
    /// Begins to fetch its keys.
    fn begin(issuer: &Issuer, client: &keys::Client, timing: Timing) -> Self {
        let keys = Arc::new(IssuerKeys::new(issuer.url.clone(), client.clone(), timing));
        let refresh = tokio::spawn(keys::keep_fresh(Arc::clone(&keys)));
        Self {
            config: issuer.clone(),
            keys,
            _refresh: AbortOnDropHandle::new(refresh),
        }
    }
}

/// The bearer token of the `Authorization` header field (RFC 6750, section 2.1). Credentials of another scheme count as
/// no token.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, AuthError> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let field = fields.next().ok_or(AuthError::Missing)?;
    if fields.next().is_some() {
        // Two identities in one request: which one counts must not depend on who reads it.
        return Err(AuthError::Ambiguous);
    }
    let field = field
        .to_str()
        .map_err(|_| AuthError::Malformed("the header field is not visible ASCII"))?;
    let (scheme, token) = field.split_once(' ').unwrap_or((field, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::Missing);
    }
    match token.trim_matches(' ') {
        "" => Err(AuthError::Malformed("the token is empty")),
        token => Ok(token),
    }
}
