//! Tokens that their issuer is asked about.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tapedeck_config::SecretSource;

use super::issuer::Broken;
use super::{AUDIENCE, SigningKey, TestIssuer, authenticate, claims, plain, start, trusting, with};
use crate::config::{Introspected, Introspection, Issuer};
use crate::identity::{AuthError, Authenticator};

const OPAQUE: &str = "8xLOxBtZp8";
const KEEP: Duration = Duration::from_secs(30);

fn asked(issuer: &TestIssuer, tokens: Introspected) -> Issuer {
    let mut configured = plain(issuer);
    configured.introspection = Some(Introspection {
        client_id: "tape:deck".to_owned(),
        client_secret: SecretSource::Env("SECRET".to_owned()),
        secret: SecretString::from("se cret"),
        endpoint: None,
        tokens,
        keep: KEEP,
    });
    configured
}

/// What an honest issuer says of an opaque token.
fn active(issuer: &TestIssuer) -> Value {
    with(
        claims(issuer, start()),
        json!({ "active": true, "token_type": "Bearer" }),
    )
}

async fn opaque() -> (TestIssuer, Authenticator) {
    let issuer = TestIssuer::start(&[&SigningKey::ed25519("k1")]).await;
    let authenticator = trusting(&[asked(&issuer, Introspected::Opaque)]);
    (issuer, authenticator)
}

/// The word for what becomes of an opaque token of which the issuer says that.
async fn outcome(said: Value) -> &'static str {
    let (issuer, authenticator) = opaque().await;
    let said = with(active(&issuer), said);
    issuer.state().tokens.insert(OPAQUE.to_owned(), said);
    match authenticate(&authenticator, OPAQUE, start()).await {
        Ok(_) => "accepted",
        Err(error) => error.label(),
    }
}

#[tokio::test]
async fn an_opaque_token_stands_for_whom_its_issuer_says() {
    let (issuer, authenticator) = opaque().await;
    let said = active(&issuer);
    issuer.state().tokens.insert(OPAQUE.to_owned(), said);
    let principal = authenticate(&authenticator, OPAQUE, start()).await.expect("active");
    assert_eq!(
        (
            principal.who.issuer.as_str(),
            principal.who.subject.as_str(),
            principal.tenant.as_str()
        ),
        (issuer.url.as_str(), "alice", "acme")
    );
    assert_eq!(principal.who.groups, ["/engineering", "admins"]);
    assert_eq!(principal.who.client_id.as_deref(), Some("inspector"));

    // As RFC 7662, section 2.1, has it, with a login whose parts are encoded (RFC 6749, section 2.3.1).
    let state = issuer.state();
    let [(path, login, form)] = state.questions.as_slice() else {
        panic!("{:?}", state.questions);
    };
    assert_eq!(path, "/introspect");
    assert_eq!(login, "Basic dGFwZSUzQWRlY2s6c2UrY3JldA==");
    assert_eq!(form, "token=8xLOxBtZp8&token_type_hint=access_token");
}

#[tokio::test]
async fn what_an_issuer_says_is_judged_by_the_rules_of_tokens() {
    let now = start().unix();
    for (said, becomes) in [
        (json!({}), "accepted"),
        (json!({ "token_type": null, "iss": null }), "accepted"),
        (
            json!({ "token_type": "bearer", "typ": "Bearer", "aud": ["x", AUDIENCE] }),
            "accepted",
        ),
        (json!({ "active": false }), "inactive"),
        (json!({ "active": null }), "provider_unreachable"),
        (json!({ "active": "true" }), "provider_unreachable"),
        (json!({ "aud": "elsewhere" }), "wrong_audience"),
        (json!({ "aud": null }), "wrong_audience"),
        (json!({ "iss": "https://elsewhere.example" }), "unknown_issuer"),
        (json!({ "exp": now }), "expired"),
        (json!({ "exp": null }), "missing_claim"),
        (json!({ "nbf": now + 61 }), "not_yet_valid"),
        (json!({ "sub": null }), "missing_claim"),
        (json!({ "token_type": "refresh_token" }), "id_token"),
        (json!({ "typ": "Refresh" }), "id_token"),
        (json!({ "token_use": "refresh_token" }), "id_token"),
        (json!({ "cnf": { "x5t#S256": "A".repeat(43) } }), "other_certificate"),
        (json!({ "cnf": { "jkt": "thumbprint" } }), "dpop_bound"),
        (json!({ "cnf": { "jwk": {} } }), "sender_constrained"),
    ] {
        assert_eq!(outcome(said.clone()).await, becomes, "{said}");
    }
}

#[tokio::test]
async fn an_answer_counts_for_a_short_time_and_never_beyond_the_token() {
    let (issuer, authenticator) = opaque().await;
    let said = with(active(&issuer), json!({ "exp": start().unix() + 40 }));
    issuer.state().tokens.insert(OPAQUE.to_owned(), said);
    let after = async |seconds: u64| {
        let known = authenticate(&authenticator, OPAQUE, start().after(seconds)).await;
        (known.map(drop), issuer.state().questions.len())
    };
    assert_eq!(after(0).await, (Ok(()), 1));
    assert_eq!(after(29).await, (Ok(()), 1));
    assert_eq!(after(30).await, (Ok(()), 2));
    assert_eq!(
        after(40).await,
        (Err(AuthError::Expired), 2),
        "although the answer is young"
    );

    issuer.state().tokens.clear();
    assert_eq!(after(59).await, (Err(AuthError::Expired), 2));
    assert_eq!(after(60).await, (Err(AuthError::Inactive), 3));
    assert_eq!(after(89).await, (Err(AuthError::Inactive), 3), "so does a no");
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_not_the_clients_fault() {
    for broken in [Broken::Unavailable, Broken::LoginRefused] {
        let (issuer, authenticator) = opaque().await;
        let said = active(&issuer);
        issuer.state().tokens.insert(OPAQUE.to_owned(), said);
        // Its endpoint is known by then.
        assert!(authenticate(&authenticator, "unknown", start()).await.is_err());
        issuer.state().broken = Some(broken);
        let refused = authenticate(&authenticator, OPAQUE, start()).await.unwrap_err();
        assert_eq!(refused, AuthError::ProviderUnreachable);
    }
}

#[tokio::test]
async fn no_token_goes_to_an_issuer_that_is_not_configured_for_it() {
    let key = SigningKey::ed25519("k1");
    let (first, second) = (TestIssuer::start(&[&key]).await, TestIssuer::start(&[&key]).await);
    // Nobody is asked about opaque tokens: the first not at all, the second only about its own.
    let authenticator = trusting(&[plain(&first), asked(&second, Introspected::Jwt)]);
    let refused = authenticate(&authenticator, OPAQUE, start()).await.unwrap_err();
    assert_eq!(refused.label(), "malformed");
    let of_first = key.access_token(&claims(&first, start()));
    assert!(authenticate(&authenticator, &of_first, start()).await.is_ok());
    // A signature comes before any question: what somebody made up is not passed on.
    let forged = SigningKey::ed25519("k1").access_token(&claims(&second, start()));
    assert_eq!(
        authenticate(&authenticator, &forged, start()).await.unwrap_err(),
        AuthError::BadSignature
    );
    assert!(first.state().questions.is_empty() && second.state().questions.is_empty());

    // Only about opaque ones: a JWT, its own or another's, is judged by its signature.
    let authenticator = trusting(&[plain(&first), asked(&second, Introspected::Opaque)]);
    assert!(authenticate(&authenticator, &of_first, start()).await.is_ok());
    let of_second = key.access_token(&claims(&second, start()));
    assert!(authenticate(&authenticator, &of_second, start()).await.is_ok());
    let long = "x".repeat(16 * 1024 + 1);
    assert_eq!(
        authenticate(&authenticator, &long, start()).await.unwrap_err(),
        AuthError::TooLong
    );
    assert!(second.state().questions.is_empty());
    assert_eq!(
        authenticate(&authenticator, OPAQUE, start()).await.unwrap_err(),
        AuthError::Inactive
    );
    assert_eq!((first.state().questions.len(), second.state().questions.len()), (0, 1));
}

#[tokio::test]
async fn a_signed_token_that_is_revoked_is_refused_as_soon_as_the_answer_is_old() {
    let key = SigningKey::ed25519("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let authenticator = trusting(&[asked(&issuer, Introspected::All)]);
    let token = key.access_token(&claims(&issuer, start()));
    let after = async |seconds: u64| {
        let known = authenticate(&authenticator, &token, start().after(seconds)).await;
        known.map(drop)
    };
    issuer
        .state()
        .tokens
        .insert(token.clone(), json!({ "active": true, "sub": "alice" }));
    assert_eq!(after(0).await, Ok(()));
    issuer.state().tokens.clear();
    assert_eq!(after(29).await, Ok(()));
    assert_eq!(after(30).await, Err(AuthError::Inactive));
    issuer
        .state()
        .tokens
        .insert(token.clone(), json!({ "active": true, "sub": "mallory" }));
    assert_eq!(after(60).await, Err(AuthError::OtherSubject));
    // Beside it, opaque ones.
    let said = active(&issuer);
    issuer.state().tokens.insert(OPAQUE.to_owned(), said);
    assert!(authenticate(&authenticator, OPAQUE, start()).await.is_ok());
}

#[tokio::test]
async fn groups_that_a_token_does_not_name_may_stand_in_what_its_issuer_says_of_it() {
    let key = SigningKey::ed25519("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let authenticator = trusting(&[asked(&issuer, Introspected::Jwt)]);
    let groups = async |jti: &str, groups: Value, said: Value| {
        let claims = with(claims(&issuer, start()), json!({ "jti": jti, "groups": groups }));
        let token = key.access_token(&claims);
        let said = with(json!({ "active": true }), said);
        issuer.state().tokens.insert(token.clone(), said);
        let principal = authenticate(&authenticator, &token, start()).await.expect("active");
        principal.who.groups.clone()
    };
    let said = json!({ "sub": "alice", "groups": ["ops"] });
    assert_eq!(groups("1", Value::Null, said.clone()).await, ["ops"]);
    assert_eq!(
        groups("2", json!(["own"]), said).await,
        ["own"],
        "what the issuer has signed counts first"
    );
    let nobodys = json!({ "groups": ["ops"] });
    assert!(
        groups("3", Value::Null, nobodys).await.is_empty(),
        "of which subject is not said"
    );
}
