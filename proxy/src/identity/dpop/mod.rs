//! Tokens that are good only together with a proof of their holder's key: DPoP (RFC 9449), as a resource server.
//!
//! A proof is a small JWT in the `DPoP` header field, made for one request: it names the method, the URL and the token,
//! carries a nonce of ours, and is signed with the key that the token is bound to (`cnf.jkt`). It counts once.

mod key;
mod nonce;
mod proof;
mod replays;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretSlice;

use super::presented::Scheme;
use super::{AuthError, Binding, Now, Shown};
use crate::config::Dpop;
use nonce::Nonces;
use proof::{DPOP, Proof, Wanted};
use replays::Replays;

/// The header field that hands out nonces (RFC 9449, section 8).
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Why a proof is none, or is not one for this request: one variant per reason. Holds nothing of the proof.
///
/// Displayed as a short ASCII sentence without quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// There is no `DPoP` header field.
    #[error("the DPoP proof is missing")]
    Missing,
    /// Not one JWT of the form that RFC 9449, section 4.2, gives it; the text says in what.
    #[error("the DPoP proof is malformed: {0}")]
    Malformed(&'static str),
    /// Its `alg` is not on the list.
    #[error("the DPoP proof is signed by an algorithm that is not accepted")]
    Algorithm,
    /// Its `jwk` is not a public key that is strong enough; the text says why.
    #[error("the key of the DPoP proof is of no use: {0}")]
    Key(&'static str),
    /// The signature is not that of its key.
    #[error("the signature of the DPoP proof is wrong")]
    Signature,
    /// `htm` is not the request's method.
    #[error("the DPoP proof is for another method")]
    Method,
    /// `htu` is not the URL of the target.
    #[error("the DPoP proof is for another URL")]
    Url,
    /// `iat` is missing or too far from now.
    #[error("the DPoP proof was not made now")]
    Time,
    /// `ath` is not the hash of the token.
    #[error("the DPoP proof is for another token")]
    Token,
    /// Its key is not the one that the token is bound to.
    #[error("the DPoP proof is of another key than the one of the token")]
    OtherKey,
    /// `nonce` is missing, not ours, or older than a minute. The answer has a new one: how every first request looks.
    #[error("the DPoP proof needs the nonce that is given here")]
    Nonce,
    /// Its `jti` came before.
    #[error("the DPoP proof was used before")]
    Replayed,
    /// More proofs came in a minute than can be remembered. Not the client's doing: retry.
    #[error("too many DPoP proofs at once")]
    TooMany,
}

impl ProofError {
    /// The reason as a word, the same in every release: for metrics and records.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing => "dpop_missing",
            Self::Malformed(_) => "dpop_malformed",
            Self::Algorithm => "dpop_alg",
            Self::Key(_) => "dpop_key",
            Self::Signature => "dpop_signature",
            Self::Method => "dpop_method",
            Self::Url => "dpop_url",
            Self::Time => "dpop_time",
            Self::Token => "dpop_token",
            Self::OtherKey => "dpop_other_key",
            Self::Nonce => "dpop_nonce",
            Self::Replayed => "dpop_replayed",
            Self::TooMany => "dpop_too_many",
        }
    }
}

/// Checks proofs. One per process: what it remembers of them is not shared with other replicas.
#[derive(Debug)]
pub(super) struct ProofChecker {
    mode: Dpop,
    nonces: Arc<Nonces>,
    replays: Arc<Replays>,
}

impl ProofChecker {
    /// `keys` are those that all replicas share.
    pub(super) fn new(mode: Dpop, keys: &[SecretSlice<u8>]) -> Self {
        Self {
            mode,
            nonces: Arc::new(Nonces::new(keys)),
            replays: Arc::default(),
        }
    }

    /// Another, which knows the proofs that were used. `keys`: others than before, if they are.
    pub(super) fn renewed(&self, mode: Dpop, keys: Option<&[SecretSlice<u8>]>) -> Self {
        let nonces = keys.map(|keys| Arc::new(Nonces::new(keys)));
        Self {
            mode,
            nonces: nonces.unwrap_or_else(|| Arc::clone(&self.nonces)),
            replays: Arc::clone(&self.replays),
        }
    }

    /// A nonce for the answer to a request that has a proof, or means to.
    pub(super) fn nonce_for(&self, headers: &HeaderMap, scheme: Option<Scheme>, now: Now) -> Option<HeaderValue> {
        let wants_one = scheme == Some(Scheme::Dpop) || headers.contains_key(DPOP);
        (self.mode != Dpop::Off && wants_one).then(|| self.nonces.issue(now))
    }

    /// Whether a scheme may be used at all; said before the token is looked at.
    pub(super) fn admits(&self, scheme: Scheme) -> Result<(), AuthError> {
        match (self.mode, scheme) {
            // As any scheme that is not known.
            (Dpop::Off, Scheme::Dpop) => Err(AuthError::Missing),
            (Dpop::Required, Scheme::Bearer) => Err(AuthError::DpopRequired),
            _ => Ok(()),
        }
    }

    /// Whether the request shows the key that its token is bound to. A token that is bound to none is borne (RFC 9449,
    /// section 7.1: the scheme `DPoP` is not for it), and one that is bound is never only borne (section 7.2).
    pub(super) fn check(
        &self,
        scheme: Scheme,
        token: &str,
        binding: &Binding,
        shown: Shown<'_>,
        now: Now,
    ) -> Result<(), AuthError> {
        let bound = match (&binding.key, scheme) {
            (None, Scheme::Bearer) => return Ok(()),
            (None, Scheme::Dpop) => return Err(AuthError::NotBound),
            (Some(_), _) if self.mode == Dpop::Off => return Err(AuthError::SenderConstrained),
            (Some(_), Scheme::Bearer) => return Err(AuthError::ProofRequired),
            (Some(bound), Scheme::Dpop) => bound,
        };
        self.prove(token, bound, shown, now).map_err(AuthError::Proof)
    }

    fn prove(&self, token: &str, bound: &str, shown: Shown<'_>, now: Now) -> Result<(), ProofError> {
        let wanted = Wanted {
            method: shown.method,
            url: shown.resource,
            token,
            now: now.wall,
        };
        let proof = Proof::of(shown.headers, wanted)?;
        if proof.thumbprint != bound {
            return Err(ProofError::OtherKey);
        }
        if !proof.nonce.is_some_and(|nonce| self.nonces.is_good(&nonce, now)) {
            return Err(ProofError::Nonce);
        }
        // Last: what is refused for another reason must not be taken for used.
        self.replays.take(&proof.thumbprint, &proof.id, now.monotonic)
    }
}
