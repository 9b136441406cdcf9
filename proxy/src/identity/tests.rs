//! Identity against a real issuer: an HTTP server on 127.0.0.1 with keys made here.

mod accepted;
mod audiences;
mod bound;
mod challenges;
mod introspected;
mod issuer;
mod mutated;
mod outages;
mod refused;
mod userinfo;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderValue, Method, header::AUTHORIZATION};
use secrecy::SecretSlice;
use serde_json::{Value, json};
use tapedeck_asker::issuer::Client;

use super::{AuthError, Authenticator, Now, Principal, Shown, dpop::ProofChecker, keys::Timing};
use crate::config::{Audience, Dpop, Issuer, Tenant};
pub(super) use issuer::{SigningKey, TestIssuer};

pub(super) const AUDIENCE: &str = "https://mcp.example/demo/mcp";

/// A target for which every token is that is for us at all.
pub(super) static ANY: Audience = Audience::AllBut(Vec::new());

/// The key that replicas share.
const SHARED_KEY: [u8; 32] = [7; 32];

/// Far longer than a test takes: only the clock that a test moves makes the issuer be asked again.
const TIMING: Timing = Timing {
    refresh_every: Duration::from_secs(100_000),
    at_most_every: Duration::from_secs(600),
    keep: Duration::from_secs(3600),
};

/// The time that tests start at: the real one on the monotonic clock, a round one on the wall.
pub(super) fn start() -> Now {
    Now {
        wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        monotonic: Instant::now(),
    }
}

impl Now {
    pub(super) fn after(self, seconds: u64) -> Self {
        let passed = Duration::from_secs(seconds);
        Self {
            wall: self.wall + passed,
            monotonic: self.monotonic + passed,
        }
    }

    pub(super) fn unix(self) -> u64 {
        self.wall.duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
    }
}

fn trusting(issuers: &[Issuer]) -> Authenticator {
    trusting_with(issuers, Dpop::Accepted)
}

pub(super) fn trusting_with(issuers: &[Issuer], dpop: Dpop) -> Authenticator {
    let client = Client::new(Vec::new()).expect("a client");
    Authenticator::with(issuers, client, TIMING, proofs(dpop))
}

fn proofs(dpop: Dpop) -> ProofChecker {
    ProofChecker::new(dpop, &[SecretSlice::from(SHARED_KEY.to_vec())])
}

pub(super) fn plain(issuer: &TestIssuer) -> Issuer {
    Issuer::for_test(&issuer.url, AUDIENCE, "groups", Tenant::Fixed("acme".to_owned()))
}

/// What an honest issuer puts into an access token, for an hour.
pub(super) fn claims(issuer: &TestIssuer, now: Now) -> Value {
    json!({
        "iss": issuer.url, "aud": AUDIENCE, "sub": "alice", "iat": now.unix(), "exp": now.unix() + 3600,
        "client_id": "inspector", "jti": "token-1", "sid": "session-1", "name": "Alice", "email": "alice@example.com",
        "groups": ["/engineering", "admins"],
    })
}

/// `base` with the members of `changes` set, or removed where they are null.
pub(super) fn with(mut base: Value, changes: Value) -> Value {
    let members = base.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    base
}

fn headers(token: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a token is visible ASCII");
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}

async fn authenticate(authenticator: &Authenticator, token: &str, now: Now) -> Result<Arc<Principal>, AuthError> {
    authenticator.authenticate_at(shown(&headers(token)), now).await
}

/// A POST with these header fields, over a connection without a certificate.
fn shown(headers: &HeaderMap) -> Shown<'_> {
    Shown {
        headers,
        method: &Method::POST,
        resource: AUDIENCE,
        audience: &ANY,
        certificate: None,
    }
}

/// An issuer with one Ed25519 key, and who trusts it.
async fn one_issuer() -> (TestIssuer, Arc<SigningKey>, Authenticator) {
    let key = SigningKey::ed25519("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let authenticator = trusting(&[plain(&issuer)]);
    (issuer, key, authenticator)
}

fn wall(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}
