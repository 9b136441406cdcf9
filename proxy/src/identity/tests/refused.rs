//! Every reason to refuse a token.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::{SigningKey, TestIssuer, authenticate, claims, one_issuer, plain, start, trusting, with};
use crate::identity::{AuthError, ProofError};

/// The reason why a token with these changes to an honest one is refused.
async fn reason(header: Value, changes: Value) -> AuthError {
    let (issuer, key, authenticator) = one_issuer().await;
    let header = with(json!({ "typ": "JWT", "alg": "EdDSA", "kid": "k1" }), header);
    let claims = claims(&issuer, start());
    let honest = key.token(&json!({ "typ": "JWT", "alg": "EdDSA", "kid": "k1" }), &claims);
    assert!(
        authenticate(&authenticator, &honest, start()).await.is_ok(),
        "without the changes it is accepted"
    );
    let token = key.token(&header, &with(claims, changes));
    authenticate(&authenticator, &token, start())
        .await
        .expect_err("must be refused")
}

async fn reason_for_headers(values: &[&str]) -> AuthError {
    let (_issuer, _key, authenticator) = one_issuer().await;
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(
            AUTHORIZATION,
            HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
        );
    }
    authenticator
        .authenticate(super::shown(&headers))
        .await
        .expect_err("must be refused")
}

#[tokio::test]
async fn a_request_without_one_bearer_token_is_refused() {
    assert_eq!(reason_for_headers(&[]).await, AuthError::Missing);
    assert_eq!(reason_for_headers(&["Basic dXNlcjpwYXNz"]).await, AuthError::Missing);
    assert_eq!(
        reason_for_headers(&["Bearer a.b.c", "Bearer a.b.c"]).await,
        AuthError::Ambiguous
    );
    for malformed in ["Bearer", "Bearer  ", "Bearer é"] {
        assert_eq!(
            reason_for_headers(&[malformed]).await.label(),
            "malformed",
            "{malformed}"
        );
    }
}

#[tokio::test]
async fn a_token_that_is_no_strict_jws_is_refused() {
    let (issuer, key, authenticator) = one_issuer().await;
    let good = key.access_token(&claims(&issuer, start()));
    let header = r#"{"typ":"at+jwt","alg":"EdDSA","kid":"k1"}"#;
    let text = claims(&issuer, start()).to_string();
    let twice = text.replacen('{', "{\"sub\":\"mallory\",", 1);
    let malformed = [
        "opaque".to_owned(),
        "a.b".to_owned(),
        format!("{good}."),
        format!("{good}.{good}"),
        format!("{good}="),
        good.replace('.', " ."),
        key.token_of_text("[]", &text),
        key.token_of_text(header, "\"claims\""),
        key.token_of_text(header, &twice),
        key.token_of_text(&header.replace("kid", "alg"), &text),
        key.token_of_text(&header.replace("\"k1\"", "7"), &text),
    ];
    for token in malformed {
        let refused = authenticate(&authenticator, &token, start()).await.unwrap_err();
        assert_eq!(refused.label(), "malformed", "{token}");
    }
    let long = with(claims(&issuer, start()), json!({ "groups": vec!["group"; 4096] }));
    let refused = authenticate(&authenticator, &key.access_token(&long), start())
        .await
        .unwrap_err();
    assert_eq!(refused, AuthError::TooLong);
}

#[tokio::test]
async fn an_algorithm_off_the_list_is_refused() {
    for alg in ["none", "None", "HS256", "HS512", "ES512", "ES256K", "RSA1_5", ""] {
        // Signed all the same, so that nothing but the name can be the reason.
        assert_eq!(
            reason(json!({ "alg": alg }), json!({})).await,
            AuthError::UnsupportedAlg,
            "{alg}"
        );
    }
    assert_eq!(
        reason(json!({ "alg": null }), json!({})).await,
        AuthError::UnsupportedAlg
    );
    assert_eq!(
        reason(json!({ "alg": ["EdDSA"] }), json!({})).await,
        AuthError::UnsupportedAlg
    );
}

#[tokio::test]
async fn an_algorithm_that_is_not_the_keys_is_refused() {
    for alg in ["ES256", "RS256", "PS512"] {
        let (issuer, key, authenticator) = one_issuer().await;
        let rsa = SigningKey::rsa("k1");
        let signer = if alg == "ES256" { SigningKey::p256("k1") } else { rsa };
        let token = signer.token(
            &json!({ "typ": "JWT", "alg": alg, "kid": key.jwk["kid"] }),
            &claims(&issuer, start()),
        );
        assert_eq!(
            authenticate(&authenticator, &token, start()).await.unwrap_err(),
            AuthError::KeyMismatch,
            "{alg}"
        );
    }
}

#[tokio::test]
async fn a_key_that_is_meant_for_something_else_is_refused() {
    let key = SigningKey::p256("k1");
    let cases = [
        (json!({ "use": "enc" }), AuthError::KeyMismatch),
        (json!({ "alg": "ES384" }), AuthError::KeyMismatch),
        // Not an algorithm of signatures at all: such a key is not taken from the set.
        (json!({ "alg": "ECDH-ES" }), AuthError::UnknownKey),
    ];
    for (meant, reason) in cases {
        let issuer = TestIssuer::start(&[&SigningKey::ed25519("another")]).await;
        issuer.state().keys.push(key.published_as(meant.clone()));
        let authenticator = trusting(&[plain(&issuer)]);
        let token = key.token(
            &json!({ "typ": "JWT", "alg": "ES256", "kid": "k1" }),
            &claims(&issuer, start()),
        );
        let refused = authenticate(&authenticator, &token, start()).await.unwrap_err();
        assert_eq!(refused, reason, "{meant}");
    }
}

#[tokio::test]
async fn a_short_rsa_key_and_a_symmetric_key_are_no_keys() {
    let (short, good) = (SigningKey::short_rsa("short"), SigningKey::ed25519("good"));
    let issuer = TestIssuer::start(&[&short, &good]).await;
    issuer
        .state()
        .keys
        .push(json!({ "kty": "oct", "kid": "oct", "k": "c2VjcmV0" }));
    let authenticator = trusting(&[plain(&issuer)]);
    for kid in ["short", "oct"] {
        let token = short.token(
            &json!({ "typ": "JWT", "alg": "RS256", "kid": kid }),
            &claims(&issuer, start()),
        );
        assert_eq!(
            authenticate(&authenticator, &token, start()).await.unwrap_err(),
            AuthError::UnknownKey,
            "{kid}"
        );
    }
}

#[tokio::test]
async fn keys_that_a_token_brings_along_do_not_count() {
    let (issuer, _key, authenticator) = one_issuer().await;
    let own = SigningKey::ed25519("own");
    let header = |kid: &str| json!({ "typ": "JWT", "alg": "EdDSA", "kid": kid, "jwk": own.jwk, "jku": issuer.url });
    let known = own.token(&header("k1"), &claims(&issuer, start()));
    assert_eq!(
        authenticate(&authenticator, &known, start()).await.unwrap_err(),
        AuthError::BadSignature
    );
    let unknown = own.token(&header("own"), &claims(&issuer, start()));
    assert_eq!(
        authenticate(&authenticator, &unknown, start()).await.unwrap_err(),
        AuthError::UnknownKey
    );
}

#[tokio::test]
async fn a_type_that_is_no_access_tokens_is_refused() {
    for typ in [
        json!(null),
        json!("logout+jwt"),
        json!("dpop+jwt"),
        json!("JOSE"),
        json!(7),
        json!("text/at+jwt"),
    ] {
        assert_eq!(
            reason(json!({ "typ": typ }), json!({})).await,
            AuthError::UnsupportedType,
            "{typ}"
        );
    }
    assert_eq!(
        reason(json!({ "crit": ["b64"], "b64": false }), json!({})).await,
        AuthError::CriticalExtension
    );
}

#[tokio::test]
async fn an_id_token_or_refresh_token_is_refused() {
    let signs = [
        json!({ "nonce": "n" }),
        json!({ "at_hash": "h" }),
        json!({ "c_hash": "h" }),
        json!({ "s_hash": "h" }),
        json!({ "events": {} }),
        json!({ "typ": "ID" }),
        json!({ "typ": "Refresh" }),
        json!({ "typ": "Offline" }),
        json!({ "typ": 7 }),
        json!({ "token_use": "id" }),
    ];
    for sign in signs {
        assert_eq!(
            reason(json!({}), sign.clone()).await,
            AuthError::NotAccessToken,
            "{sign}"
        );
    }
}

#[tokio::test]
async fn a_token_that_is_bound_to_its_holder_is_refused_when_it_is_only_borne() {
    for (cnf, refused) in [
        (json!({ "jkt": "thumbprint" }), AuthError::ProofRequired),
        (json!({ "x5t#S256": "A".repeat(43) }), AuthError::OtherCertificate),
        (json!({ "x5t#S256": "thumbprint" }), AuthError::SenderConstrained),
        (json!({ "jwk": {} }), AuthError::SenderConstrained),
        (json!(null), AuthError::SenderConstrained),
    ] {
        for typ in ["JWT", "at+jwt"] {
            // Not by `with`: null would remove it.
            let (issuer, key, authenticator) = one_issuer().await;
            let mut claims = claims(&issuer, start());
            claims["cnf"] = cnf.clone();
            let token = key.token(&json!({ "typ": typ, "alg": "EdDSA", "kid": "k1" }), &claims);
            let reason = authenticate(&authenticator, &token, start()).await.unwrap_err();
            assert_eq!(reason, refused, "{cnf}");
        }
    }
}

#[tokio::test]
async fn a_token_of_another_issuer_is_refused() {
    let (issuer, ..) = one_issuer().await;
    for other in [
        json!("https://elsewhere.example"),
        json!(format!("{}/", issuer.url)),
        json!(null),
        json!(7),
    ] {
        assert_eq!(
            reason(json!({}), json!({ "iss": other })).await,
            AuthError::UnknownIssuer,
            "{other}"
        );
    }
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    for aud in [
        json!("elsewhere"),
        json!([]),
        json!(["a", "b"]),
        json!(null),
        json!({}),
        json!("https://mcp.example"),
    ] {
        assert_eq!(
            reason(json!({}), json!({ "aud": aud })).await,
            AuthError::WrongAudience,
            "{aud}"
        );
    }
}

#[tokio::test]
async fn a_token_is_refused_outside_its_time() {
    let now = start().unix();
    assert_eq!(reason(json!({}), json!({ "exp": now })).await, AuthError::Expired);
    assert_eq!(reason(json!({}), json!({ "exp": now - 1 })).await, AuthError::Expired);
    assert_eq!(
        reason(json!({}), json!({ "nbf": now + 61 })).await,
        AuthError::NotYetValid
    );
    assert_eq!(
        reason(json!({}), json!({ "iat": now + 61 })).await,
        AuthError::NotYetValid
    );
    for exp in [json!(null), json!("soon"), json!(-1), json!(1e300), json!([])] {
        assert_eq!(
            reason(json!({}), json!({ "exp": exp })).await,
            AuthError::MissingClaim("exp"),
            "{exp}"
        );
    }
    let (issuer, key, authenticator) = one_issuer().await;
    let ahead = with(
        claims(&issuer, start()),
        json!({ "nbf": now + 60, "iat": now + 60, "exp": now as f64 + 0.5 }),
    );
    assert!(
        authenticate(&authenticator, &key.access_token(&ahead), start())
            .await
            .is_ok(),
        "clocks differ a little"
    );
}

#[tokio::test]
async fn a_token_without_a_subject_is_refused() {
    for sub in [json!(null), json!(""), json!(7)] {
        assert_eq!(
            reason(json!({}), json!({ "sub": sub })).await,
            AuthError::MissingClaim("sub"),
            "{sub}"
        );
    }
}

#[test]
fn every_reason_has_its_own_word() {
    let all = [
        AuthError::Missing,
        AuthError::Ambiguous,
        AuthError::Malformed("x"),
        AuthError::TooLong,
        AuthError::UnsupportedType,
        AuthError::UnsupportedAlg,
        AuthError::CriticalExtension,
        AuthError::UnknownIssuer,
        AuthError::UnknownKey,
        AuthError::KeyMismatch,
        AuthError::BadSignature,
        AuthError::WrongAudience,
        AuthError::Expired,
        AuthError::NotYetValid,
        AuthError::NotAccessToken,
        AuthError::SenderConstrained,
        AuthError::OtherCertificate,
        AuthError::ProofRequired,
        AuthError::NotBound,
        AuthError::DpopRequired,
        AuthError::Inactive,
        AuthError::OtherSubject,
        AuthError::MissingClaim("x"),
        AuthError::ProviderUnreachable,
    ];
    let proofs = [
        ProofError::Missing,
        ProofError::Malformed("x"),
        ProofError::Algorithm,
        ProofError::Key("x"),
        ProofError::Signature,
        ProofError::Method,
        ProofError::Url,
        ProofError::Time,
        ProofError::Token,
        ProofError::OtherKey,
        ProofError::Nonce,
        ProofError::Replayed,
        ProofError::TooMany,
    ];
    let all: Vec<AuthError> = all.into_iter().chain(proofs.map(AuthError::Proof)).collect();
    let labels: std::collections::HashSet<&str> = all.iter().map(AuthError::label).collect();
    assert_eq!(labels.len(), all.len());
    for error in all {
        let sentence = error.to_string();
        assert!(
            sentence.is_ascii() && !sentence.contains(['"', '\\']),
            "fit for a quoted string: {sentence}"
        );
    }
}
