//! An issuer's public keys: fetched by discovery, asked for again from time to time and when a token names an unknown
//! one, kept while the issuer is away.

mod fetch;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use openidconnect::{JsonWebKey, SignatureVerificationError, core::CoreJsonWebKey};
use sha2::{Digest, Sha256};
use tapedeck_asker::issuer::{Client, is_secure};
use tokio::sync::Mutex;
use url::Url;

use super::{AuthError, token::Jws};
use crate::config::ClaimPath;

/// The most keys that are tried on a token that names none (`kid` is optional: RFC 7515, section 4.1.4).
const MOST_TRIED: usize = 16;

/// When keys are asked for, and how long they count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Between two askings while all is well. A key that the issuer withdraws is refused this much later at most, with
    /// every token that it signed, remembered ones included.
    pub(super) refresh_every: Duration,
    /// The least time between two askings, whatever tokens name. Also the pause after a failure.
    pub(super) at_most_every: Duration,
    /// How long keys count while the issuer cannot be reached.
    pub(super) keep: Duration,
}

impl Timing {
    pub(super) const DEFAULT: Self = Self {
        refresh_every: Duration::from_secs(5 * 60),
        at_most_every: Duration::from_secs(10),
        keep: Duration::from_secs(60 * 60),
    };
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    /// The issuer's identifier, byte for byte.
    url: String,
    client: Client,
    timing: Timing,
    current: RwLock<Option<Arc<KeySet>>>,
    /// Held while the issuer is asked, so that one request asks and the others wait for its answer.
    asking: Mutex<Option<Asked>>,
}

/// The last time the issuer was asked.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Instant,
    answered: bool,
}

impl IssuerKeys {
    pub(super) fn new(url: String, client: Client, timing: Timing) -> Self {
        Self {
            url,
            client,
            timing,
            current: RwLock::default(),
            asking: Mutex::default(),
        }
    }

    /// What the issuer said last, however long ago.
    pub(super) fn known(&self) -> Option<Arc<KeySet>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keys that count at `now`: those known, unless there are none or they are too old, which asks the issuer.
    pub(super) async fn usable(self: &Arc<Self>, now: Instant) -> Result<Arc<KeySet>, AuthError> {
        if let Some(keys) = self.known_at(now) {
            return Ok(keys);
        }
        self.ask(now).await;
        self.known_at(now).ok_or(AuthError::ProviderUnreachable)
    }

    /// Keys after one that they did not contain: the issuer is asked again, at most every `at_most_every`.
    pub(super) async fn newer(self: &Arc<Self>, now: Instant) -> Result<Arc<KeySet>, AuthError> {
        if self.ask(now).await {
            self.usable(now).await
        } else {
            Err(AuthError::ProviderUnreachable)
        }
    }

    fn known_at(&self, now: Instant) -> Option<Arc<KeySet>> {
        self.known()
            .filter(|keys| now.saturating_duration_since(keys.fetched) < self.timing.keep)
    }

    /// Asks the issuer, unless that was done less than `at_most_every` ago, and answers whether the last asking
    /// succeeded. Runs to its end in a task of its own: a client that goes away must not be able to hinder it, and so
    /// keep others from learning a new key.
    async fn ask(self: &Arc<Self>, now: Instant) -> bool {
        let this = Arc::clone(self);
        tokio::spawn(async move { this.ask_once(now).await })
            .await
            .unwrap_or(false)
    }

    async fn ask_once(&self, now: Instant) -> bool {
        let mut asking = self.asking.lock().await;
        if let Some(last) = *asking
            && now.saturating_duration_since(last.at) < self.timing.at_most_every
        {
            return last.answered;
        }
        let answered = match fetch::keys(&self.client, &self.url, now).await {
            Ok(keys) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
                true
            }
            Err(error) => {
                tracing::warn!(issuer = %self.url, %error, "the issuer's keys could not be fetched");
                false
            }
        };
        *asking = Some(Asked { at: now, answered });
        answered
    }
}

/// Asks for the keys at once and then for ever: every `refresh_every`, or `at_most_every` after a failure.
pub(super) async fn keep_fresh(keys: Arc<IssuerKeys>) {
    loop {
        let answered = keys.ask(Instant::now()).await;
        let pause = if answered {
            keys.timing.refresh_every
        } else {
            keys.timing.at_most_every
        };
        tokio::time::sleep(pause).await;
    }
}

/// What an issuer said at one time.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// Scopes that the issuer offers.
    scopes: Vec<String>,
    /// The issuer's metadata, byte for byte.
    metadata: Bytes,
    endpoints: Endpoints,
    fetched: Instant,
}

/// Where the issuer answers questions about tokens, as its metadata say (RFC 8414, section 2; OpenID Connect Discovery,
/// section 3). A URL to which nothing secret may be sent is none.
#[derive(Debug, Default)]
struct Endpoints {
    introspection: Option<Url>,
    userinfo: Option<Url>,
}

impl Endpoints {
    fn of(metadata: &[u8]) -> Self {
        let metadata: serde_json::Value = serde_json::from_slice(metadata).unwrap_or_default();
        let endpoint = |name: &str| Url::parse(metadata.get(name)?.as_str()?).ok().filter(is_secure);
        Self {
            introspection: endpoint("introspection_endpoint"),
            userinfo: endpoint("userinfo_endpoint"),
        }
    }
}

#[derive(Debug)]
struct Key {
    jwk: CoreJsonWebKey,
    thumbprint: KeyThumbprint,
}

/// Which key: SHA-256 of its JWK as published, so that a key under a used `kid` is another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyThumbprint([u8; 32]);

impl KeyThumbprint {
    #[cfg(test)]
    pub(super) fn for_test() -> Self {
        Self([0; 32])
    }
}

impl KeySet {
    pub(super) fn new(keys: Vec<CoreJsonWebKey>, scopes: Vec<String>, metadata: Bytes, fetched: Instant) -> Self {
        let key = |jwk: CoreJsonWebKey| {
            let json = serde_json::to_vec(&jwk).expect("a JWK that was read from JSON is JSON");
            Key {
                jwk,
                thumbprint: KeyThumbprint(Sha256::digest(json).into()),
            }
        };
        Self {
            keys: keys.into_iter().map(key).collect(),
            scopes,
            endpoints: Endpoints::of(&metadata),
            metadata,
            fetched,
        }
    }

    /// The issuer's metadata, byte for byte as it published them.
    pub(super) fn metadata(&self) -> &Bytes {
        &self.metadata
    }

    /// Where the issuer says whether a token is still good (RFC 7662).
    pub(super) fn introspection(&self) -> Option<&Url> {
        self.endpoints.introspection.as_ref()
    }

    /// Where the issuer says who a token's subject is (OpenID Connect Core, section 5.3).
    pub(super) fn userinfo(&self) -> Option<&Url> {
        self.endpoints.userinfo.as_ref()
    }

    /// Whether the issuer publishes this key.
    pub(super) fn contains(&self, thumbprint: &KeyThumbprint) -> bool {
        self.keys.iter().any(|key| key.thumbprint == *thumbprint)
    }

    /// The scope that puts groups into tokens, as far as can be told: one with the name of the claim.
    pub(super) fn scope_for(&self, groups: &ClaimPath) -> Option<&str> {
        self.scopes
            .iter()
            .map(String::as_str)
            .find(|scope| *scope == groups.as_str())
    }

    /// The key that signed the token. A key must be of the type that the token's algorithm needs, and meant for it
    /// where it says what it is meant for (`use`, `alg`; RFC 7517, section 4).
    pub(super) fn verify(&self, jws: &Jws<'_>) -> Result<KeyThumbprint, AuthError> {
        let named = |key: &&Key| jws.kid.is_none() || key.jwk.key_id() == jws.kid.as_ref();
        let mut reason = AuthError::UnknownKey;
        for key in self.keys.iter().filter(named).take(MOST_TRIED) {
            match key.jwk.verify_signature(&jws.alg, jws.signing_input, &jws.signature) {
                Ok(()) => return Ok(key.thumbprint),
                Err(SignatureVerificationError::CryptoError(_)) => reason = AuthError::BadSignature,
                Err(_) if reason == AuthError::UnknownKey => reason = AuthError::KeyMismatch,
                Err(_) => {}
            }
        }
        Err(reason)
    }
}
