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
//!    access token (RFC 9068). Groups that it does not name may come from introspection, or from `userinfo`.
//! 5. `principal` makes a [`Principal`] of it. Nothing else can.
//! 6. The token must be for this very target, and what it is bound to must have been shown by this very request: `binding`
//!    compares the certificate of the connection, `dpop` checks the proof. Only then is the principal anybody's.
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
mod issuer;
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

use crate::config::{Audience, Dpop, Issuer};

use dpop::ProofChecker;
use introspection::Introspection;
use issuer::TrustedIssuer;
use keys::Timing;
use presented::presented;
use token::Jws;
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
        let issuer = self.issuer(&principal.who.issuer)?;
        issuer.introspection.as_ref()?;
        let token = access_token(headers)?;
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
            && let Some(issuer) = self.issuer(&hit.principal.who.issuer)
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
        let confirmed = issuer.confirms(token, &claims, now).await?;
        let said = confirmed.as_ref().map(|confirmed| confirmed.said.as_ref());
        Ok(Verified {
            principal: Arc::new(issuer.principal(claims, said, token, now).await?),
            key: Some(key),
            until: confirmed.map(|confirmed| confirmed.until),
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
