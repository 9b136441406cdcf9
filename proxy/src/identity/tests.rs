//! Identity against a real issuer: an HTTP server on 127.0.0.1 with keys made here.

mod accepted;
mod challenges;
mod issuer;
mod mutated;
mod outages;
mod refused;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::{
    AuthError, Authenticator, Now, Principal,
    keys::{self, Timing},
};
use crate::config::{Issuer, Tenant};
use issuer::{SigningKey, TestIssuer};

const AUDIENCE: &str = "https://mcp.example/demo/mcp";

/// Far longer than a test takes: only the clock that a test moves makes the issuer be asked again.
const TIMING: Timing = Timing {
    refresh_every: Duration::from_secs(100_000),
    at_most_every: Duration::from_secs(600),
    keep: Duration::from_secs(3600),
};

/// The time that tests start at: the real one on the monotonic clock, a round one on the wall.
fn start() -> Now {
    Now {
        wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        monotonic: Instant::now(),
    }
}

impl Now {
    fn after(self, seconds: u64) -> Self {
        let passed = Duration::from_secs(seconds);
        Self {
            wall: self.wall + passed,
            monotonic: self.monotonic + passed,
        }
    }

    fn unix(self) -> u64 {
        self.wall.duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
    }
}

fn trusting(issuers: &[Issuer]) -> Authenticator {
    Authenticator::with(issuers, keys::client(Vec::new()).expect("a client"), TIMING)
}

fn plain(issuer: &TestIssuer) -> Issuer {
    Issuer::for_test(&issuer.url, AUDIENCE, "groups", Tenant::Fixed("acme".to_owned()))
}

/// What an honest issuer puts into an access token, for an hour.
fn claims(issuer: &TestIssuer, now: Now) -> Value {
    json!({
        "iss": issuer.url, "aud": AUDIENCE, "sub": "alice", "iat": now.unix(), "exp": now.unix() + 3600,
        "client_id": "inspector", "jti": "token-1", "sid": "session-1", "name": "Alice", "email": "alice@example.com",
        "groups": ["/engineering", "admins"],
    })
}

/// `base` with the members of `changes` set, or removed where they are null.
fn with(mut base: Value, changes: Value) -> Value {
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
    authenticator.authenticate_at(&headers(token), now).await
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
