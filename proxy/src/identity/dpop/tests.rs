//! Requests with proofs, good ones and ones that are wrong in a single thing.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::AUTHORIZATION};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::key::HolderKey;
use super::{DPOP, DPOP_NONCE, ProofError};
use crate::config::Dpop;
use crate::identity::tests::{ANY, AUDIENCE, SigningKey, TestIssuer, claims, plain, start, trusting_with, with};
use crate::identity::{AuthError, Authenticator, Now, Principal, Shown};

/// A client with a key of its own, and a token that is bound to it.
struct Holder {
    authenticator: Authenticator,
    issuer: TestIssuer,
    issuing: Arc<SigningKey>,
    key: Arc<SigningKey>,
    alg: &'static str,
    token: String,
}

fn jkt(key: &SigningKey) -> String {
    HolderKey::parse(Some(&public(key))).expect("a public key").thumbprint
}

/// The key as a proof has it: without a name or a use.
fn public(key: &SigningKey) -> Value {
    with(key.jwk.clone(), json!({ "kid": null, "use": null }))
}

impl Holder {
    async fn of(key: Arc<SigningKey>, alg: &'static str, mode: Dpop) -> Self {
        let issuing = SigningKey::ed25519("k1");
        let issuer = TestIssuer::start(&[&issuing]).await;
        let bound = with(claims(&issuer, start()), json!({ "cnf": { "jkt": jkt(&key) } }));
        Self {
            authenticator: trusting_with(&[plain(&issuer)], mode),
            token: issuing.access_token(&bound),
            issuer,
            issuing,
            key,
            alg,
        }
    }

    async fn new() -> Self {
        Self::of(SigningKey::p256("holder"), "ES256", Dpop::Accepted).await
    }

    fn nonce(&self, now: Now) -> String {
        let nonce = self.authenticator.proofs.nonces.issue(now);
        nonce.to_str().expect("ASCII").to_owned()
    }

    /// What an honest client puts into a proof for a POST.
    fn claims(&self, now: Now, id: &str) -> Value {
        json!({
            "jti": id, "htm": "POST", "htu": AUDIENCE, "iat": now.unix(), "nonce": self.nonce(now),
            "ath": BASE64.encode(Sha256::digest(&self.token)),
        })
    }

    fn header(&self) -> Value {
        json!({ "typ": "dpop+jwt", "alg": self.alg, "jwk": public(&self.key) })
    }

    fn proof(&self, header: Value, claims: Value) -> String {
        self.key.token(
            &with(self.header(), header),
            &with(self.claims(start(), "proof-1"), claims),
        )
    }

    async fn sends(&self, authorization: &str, proofs: &[&str], now: Now) -> Result<Arc<Principal>, AuthError> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).expect("ASCII"));
        for proof in proofs {
            headers.append(DPOP, HeaderValue::from_str(proof).expect("ASCII"));
        }
        let shown = Shown {
            headers: &headers,
            method: &Method::POST,
            resource: AUDIENCE,
            audience: &ANY,
            certificate: None,
        };
        self.authenticator.authenticate_at(shown, now).await
    }

    /// Sends the token with this proof.
    async fn proves(&self, proof: &str) -> Result<(), AuthError> {
        let authorization = format!("DPoP {}", self.token);
        self.sends(&authorization, &[proof], start()).await.map(drop)
    }

    /// Why a proof with these changes to an honest one is refused, which itself is accepted.
    async fn reason(&self, header: Value, claims: Value) -> ProofError {
        let refused = self.proves(&self.proof(header, claims)).await;
        assert_eq!(
            self.proves(&self.proof(json!({}), json!({}))).await,
            Ok(()),
            "without the changes"
        );
        match refused {
            Err(AuthError::Proof(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_with_a_proof_of_its_key_is_accepted_whatever_the_algorithm() {
    for (key, alg) in [
        (SigningKey::p256("h"), "ES256"),
        (SigningKey::p384("h"), "ES384"),
        (SigningKey::ed25519("h"), "EdDSA"),
        (SigningKey::rsa("h"), "RS256"),
        (SigningKey::rsa("h"), "PS256"),
    ] {
        let holder = Holder::of(key, alg, Dpop::Accepted).await;
        for (scheme, id) in [("DPoP", "1"), ("dpop", "2")] {
            let proof = holder.proof(json!({}), json!({ "jti": id }));
            let authorization = format!("{scheme} {}", holder.token);
            let principal = holder.sends(&authorization, &[&proof], start()).await.expect(alg);
            assert_eq!(principal.bound_to.key.as_deref(), Some(jkt(&holder.key).as_str()));
        }
    }
}

#[tokio::test]
async fn a_proof_for_anything_else_is_refused() {
    let now = start().unix();
    for (claims, why) in [
        (json!({ "htm": "GET" }), ProofError::Method),
        (json!({ "htm": "post" }), ProofError::Method),
        (json!({ "htm": null }), ProofError::Method),
        (json!({ "htu": "https://mcp.example/other/mcp" }), ProofError::Url),
        (json!({ "htu": "https://evil.example/demo/mcp" }), ProofError::Url),
        (json!({ "htu": "http://mcp.example/demo/mcp" }), ProofError::Url),
        (json!({ "htu": null }), ProofError::Url),
        (json!({ "htu": [AUDIENCE] }), ProofError::Url),
        (
            json!({ "ath": BASE64.encode(Sha256::digest("another")) }),
            ProofError::Token,
        ),
        (json!({ "ath": null }), ProofError::Token),
        (json!({ "iat": now - 301 }), ProofError::Time),
        (json!({ "iat": now + 301 }), ProofError::Time),
        (json!({ "iat": null }), ProofError::Time),
        (json!({ "iat": "now" }), ProofError::Time),
        (json!({ "nonce": null }), ProofError::Nonce),
        (json!({ "nonce": "made-up" }), ProofError::Nonce),
    ] {
        assert_eq!(
            Holder::new().await.reason(json!({}), claims.clone()).await,
            why,
            "{claims}"
        );
    }
    for id in [json!(null), json!(""), json!(7), json!("x".repeat(257))] {
        let why = Holder::new().await.reason(json!({}), json!({ "jti": id })).await;
        assert!(matches!(why, ProofError::Malformed(_)), "{why:?}");
    }
}

#[tokio::test]
async fn a_clock_that_is_a_little_off_is_no_reason() {
    let now = start().unix();
    for (id, iat) in [("1", now - 300), ("2", now + 300)] {
        let holder = Holder::new().await;
        assert_eq!(
            holder
                .proves(&holder.proof(json!({}), json!({ "jti": id, "iat": iat })))
                .await,
            Ok(())
        );
    }
}

#[tokio::test]
async fn a_nonce_is_given_for_a_minute_and_a_proof_counts_once() {
    let holder = Holder::new().await;
    let authorization = format!("DPoP {}", holder.token);
    let proof = |id: &str| holder.proof(json!({}), json!({ "jti": id }));
    let send = async |proof: &str, after: u64| {
        let sent = holder.sends(&authorization, &[proof], start().after(after)).await;
        sent.map(drop)
    };
    let (first, second, third) = (proof("1"), proof("2"), proof("3"));
    assert_eq!(send(&first, 0).await, Ok(()));
    assert_eq!(send(&first, 0).await, Err(AuthError::Proof(ProofError::Replayed)));
    assert_eq!(send(&first, 60).await, Err(AuthError::Proof(ProofError::Replayed)));
    assert_eq!(send(&second, 60).await, Ok(()));
    assert_eq!(
        send(&third, 61).await,
        Err(AuthError::Proof(ProofError::Nonce)),
        "a minute has passed"
    );
    assert_eq!(
        send(&first, 61).await,
        Err(AuthError::Proof(ProofError::Nonce)),
        "and is no use ever again"
    );

    // Who means to prove something is given a nonce, and nobody else is.
    let headers = |name, value: &str| HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("ASCII"))]);
    assert!(
        holder
            .authenticator
            .nonce_for(&headers(AUTHORIZATION, "DPoP x"))
            .is_some()
    );
    assert!(holder.authenticator.nonce_for(&headers(DPOP, "x")).is_some());
    assert!(
        holder
            .authenticator
            .nonce_for(&headers(AUTHORIZATION, "Bearer x"))
            .is_none()
    );
    assert_eq!(DPOP_NONCE.as_str(), "dpop-nonce");
}

#[tokio::test]
async fn a_proof_that_no_public_key_of_an_accepted_algorithm_has_signed_is_refused() {
    let holder = Holder::new().await;
    let public = public(&holder.key);
    let private = with(public.clone(), json!({ "d": "AA" }));
    let other = SigningKey::p256("other");
    for (header, why) in [
        (json!({ "alg": "none" }), "dpop_alg"),
        (
            json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": "c2VjcmV0" } }),
            "dpop_alg",
        ),
        (json!({ "alg": "ES512" }), "dpop_alg"),
        (json!({ "alg": null }), "dpop_alg"),
        (json!({ "alg": "ES384" }), "dpop_signature"),
        (json!({ "alg": "EdDSA" }), "dpop_signature"),
        (json!({ "jwk": private }), "dpop_key"),
        (json!({ "jwk": { "kty": "oct", "k": "c2VjcmV0" } }), "dpop_key"),
        (json!({ "jwk": null }), "dpop_key"),
        (json!({ "jwk": null, "kid": "k1" }), "dpop_key"),
        (json!({ "jwk": super::tests::public(&other) }), "dpop_signature"),
        (json!({ "typ": "JWT" }), "dpop_malformed"),
        (json!({ "typ": "at+jwt" }), "dpop_malformed"),
        (json!({ "typ": null }), "dpop_malformed"),
        (json!({ "crit": ["b64"] }), "dpop_malformed"),
    ] {
        let holder = Holder::new().await;
        assert_eq!(holder.reason(header.clone(), json!({})).await.label(), why, "{header}");
    }
    // Signed, and by a good key, but not by the one that the token is bound to.
    let claims = holder.claims(start(), "proof-2");
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": super::tests::public(&other) });
    let stolen = holder.proves(&other.token(&header, &claims)).await;
    assert_eq!(stolen, Err(AuthError::Proof(ProofError::OtherKey)));
}

#[tokio::test]
async fn there_is_one_proof_and_it_is_strictly_a_jwt() {
    let holder = Holder::new().await;
    let authorization = format!("DPoP {}", holder.token);
    let good = holder.proof(json!({}), json!({}));
    let sent = async |proofs: &[&str]| holder.sends(&authorization, proofs, start()).await.map(drop);
    assert_eq!(sent(&[]).await, Err(AuthError::Proof(ProofError::Missing)));
    let twice = holder.key.token_of_text(
        &holder.header().to_string(),
        &holder
            .claims(start(), "1")
            .to_string()
            .replacen('{', "{\"htm\":\"GET\",", 1),
    );
    let long = holder.proof(json!({}), json!({ "padding": "x".repeat(8192) }));
    let mut changed = good.clone().into_bytes();
    let last = changed.len() - 2;
    changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("ASCII");
    for (proofs, why) in [
        (&[good.as_str(), good.as_str()][..], "dpop_malformed"),
        (&["proof"], "dpop_malformed"),
        (&[twice.as_str()], "dpop_malformed"),
        (&[long.as_str()], "dpop_malformed"),
        (&[changed.as_str()], "dpop_signature"),
        (&[holder.token.as_str()], "dpop_malformed"),
    ] {
        assert_eq!(sent(proofs).await.unwrap_err().label(), why, "{proofs:?}");
    }
    assert_eq!(sent(&[&good]).await, Ok(()));
}

#[tokio::test]
async fn a_bound_token_is_never_only_borne_and_one_that_is_not_bound_has_no_proof() {
    let holder = Holder::new().await;
    let proof = holder.proof(json!({}), json!({}));
    let bearer = format!("Bearer {}", holder.token);
    assert_eq!(
        holder.sends(&bearer, &[], start()).await.unwrap_err(),
        AuthError::ProofRequired
    );
    assert_eq!(
        holder.sends(&bearer, &[&proof], start()).await.unwrap_err(),
        AuthError::ProofRequired,
        "not even beside a proof"
    );
    let unbound = holder.issuing.access_token(&claims(&holder.issuer, start()));
    let refused = holder.sends(&format!("DPoP {unbound}"), &[&proof], start()).await;
    assert_eq!(refused.unwrap_err(), AuthError::NotBound);
    assert!(holder.sends(&format!("Bearer {unbound}"), &[], start()).await.is_ok());
    assert_eq!(
        holder.proves(&proof).await,
        Ok(()),
        "nothing of that has used the proof"
    );
}

#[tokio::test]
async fn what_is_off_is_not_known_and_what_is_required_is_asked_of_everybody() {
    let off = Holder::of(SigningKey::p256("h"), "ES256", Dpop::Off).await;
    let proof = off.proof(json!({}), json!({}));
    assert_eq!(off.proves(&proof).await, Err(AuthError::Missing));
    let borne = off.sends(&format!("Bearer {}", off.token), &[&proof], start()).await;
    assert_eq!(borne.unwrap_err(), AuthError::SenderConstrained);
    let headers = HeaderMap::from_iter([(DPOP, HeaderValue::from_static("x"))]);
    assert!(off.authenticator.nonce_for(&headers).is_none());

    let required = Holder::of(SigningKey::p256("h"), "ES256", Dpop::Required).await;
    assert_eq!(required.proves(&required.proof(json!({}), json!({}))).await, Ok(()));
    let unbound = required.issuing.access_token(&claims(&required.issuer, start()));
    let borne = required.sends(&format!("Bearer {unbound}"), &[], start()).await;
    assert_eq!(borne.unwrap_err(), AuthError::DpopRequired);
}

#[tokio::test]
async fn a_proof_that_was_used_stays_used_under_another_configuration() {
    let mut holder = Holder::new().await;
    let (used, unused) = (
        holder.proof(json!({}), json!({})),
        holder.proof(json!({}), json!({ "jti": "2" })),
    );
    assert_eq!(holder.proves(&used).await, Ok(()));
    let issuers = [plain(&holder.issuer)];
    holder.authenticator = holder.authenticator.renewed(&issuers, Dpop::Required, None);
    assert_eq!(holder.proves(&used).await, Err(AuthError::Proof(ProofError::Replayed)));
    assert_eq!(holder.proves(&unused).await, Ok(()), "nonces stay good");
}

#[test]
fn a_flood_of_proofs_is_not_the_clients_fault() {
    let flood = AuthError::Proof(ProofError::TooMany);
    assert_eq!(flood.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(AuthError::Proof(ProofError::Nonce).status(), StatusCode::UNAUTHORIZED);
}
