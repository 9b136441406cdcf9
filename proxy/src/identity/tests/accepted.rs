//! Tokens that are accepted, and what becomes of them.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::json;

use super::{AUDIENCE, SigningKey, TestIssuer, authenticate, claims, one_issuer, plain, start, trusting, wall, with};
use crate::{
    config::{Allow, Issuer, Tenant},
    identity::{AuthError, verified::TokenDigest},
};

#[tokio::test]
async fn every_algorithm_of_the_list_verifies() {
    let keys = [
        SigningKey::rsa("rsa"),
        SigningKey::p256("p256"),
        SigningKey::p384("p384"),
        SigningKey::ed25519("ed"),
    ];
    let issuer = TestIssuer::start(&keys.each_ref().map(|key| &**key)).await;
    let authenticator = trusting(&[plain(&issuer)]);
    let [rsa, p256, p384, ed] = &keys;
    let cases = [
        ("RS256", rsa),
        ("RS384", rsa),
        ("RS512", rsa),
        ("PS256", rsa),
        ("PS384", rsa),
        ("PS512", rsa),
        ("ES256", p256),
        ("ES384", p384),
        ("EdDSA", ed),
    ];
    for (alg, key) in cases {
        let header = json!({ "typ": "at+jwt", "alg": alg, "kid": key.jwk["kid"] });
        let token = key.token(&header, &claims(&issuer, start()));
        let principal = authenticate(&authenticator, &token, start()).await;
        assert_eq!(
            principal.map(|p| p.who.subject.clone()),
            Ok("alice".to_owned()),
            "{alg}"
        );
    }
}

#[tokio::test]
async fn every_way_to_write_the_type_is_understood() {
    let (issuer, key, authenticator) = one_issuer().await;
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/at+jwt",
        "JWT",
        "jwt",
    ] {
        let token = key.token(
            &json!({ "typ": typ, "alg": "EdDSA", "kid": "k1" }),
            &claims(&issuer, start()),
        );
        assert!(authenticate(&authenticator, &token, start()).await.is_ok(), "{typ}");
    }
    let keycloak = with(claims(&issuer, start()), json!({ "typ": "Bearer" }));
    let token = key.token(&json!({ "typ": "JWT", "alg": "EdDSA", "kid": "k1" }), &keycloak);
    assert!(authenticate(&authenticator, &token, start()).await.is_ok());
}

#[tokio::test]
async fn a_token_that_names_no_key_is_tried_on_all() {
    let (first, second) = (SigningKey::ed25519("k1"), SigningKey::ed25519("k2"));
    let issuer = TestIssuer::start(&[&first, &second]).await;
    let authenticator = trusting(&[plain(&issuer)]);
    let header = json!({ "typ": "at+jwt", "alg": "EdDSA" });
    let token = second.token(&header, &claims(&issuer, start()));
    assert!(authenticate(&authenticator, &token, start()).await.is_ok());
    let foreign = SigningKey::ed25519("k3").token(&header, &claims(&issuer, start()));
    assert_eq!(
        authenticate(&authenticator, &foreign, start()).await.unwrap_err(),
        AuthError::BadSignature
    );
}

#[tokio::test]
async fn the_principal_is_what_the_token_says() {
    let (issuer, key, authenticator) = one_issuer().await;
    let token = key.access_token(&claims(&issuer, start()));
    let principal = authenticate(&authenticator, &token, start()).await.expect("accepted");
    assert_eq!(principal.who.issuer, issuer.url);
    assert_eq!(
        (principal.who.subject.as_str(), principal.tenant.as_str()),
        ("alice", "acme")
    );
    assert_eq!(principal.who.name.as_deref(), Some("Alice"));
    assert_eq!(principal.who.email.as_deref(), Some("alice@example.com"));
    assert_eq!(principal.who.groups, ["/engineering", "admins"]);
    assert_eq!(principal.who.client_id.as_deref(), Some("inspector"));
    assert_eq!(principal.who.token_id.as_deref(), Some("token-1"));
    assert_eq!(principal.who.token_session.as_deref(), Some("session-1"));
    assert_eq!(principal.expires, wall(start().unix() + 3600));
}

#[tokio::test]
async fn groups_and_tenant_come_from_the_configured_claims() {
    let key = SigningKey::ed25519("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let by_claim = |groups| {
        let tenant = Issuer::for_test("", "", "org.id", Tenant::Fixed(String::new())).groups_claim;
        Issuer::for_test(&issuer.url, AUDIENCE, groups, Tenant::Claim(tenant))
    };
    let authenticator = trusting(&[by_claim("realm_access.roles")]);
    let changes = json!({
        "groups": null, "azp": "other", "client_id": null, "name": null, "preferred_username": "al",
        "realm_access": { "roles": ["ops", { "value": "scim" }, 7] }, "org": { "id": "globex" },
        "aud": ["elsewhere", AUDIENCE],
    });
    let token = key.access_token(&with(claims(&issuer, start()), changes));
    let principal = authenticate(&authenticator, &token, start()).await.expect("accepted");
    assert_eq!(principal.who.groups, ["ops", "scim"]);
    assert_eq!(
        (principal.tenant.as_str(), principal.who.name.as_deref()),
        ("globex", Some("al"))
    );
    assert_eq!(principal.who.client_id.as_deref(), Some("other"));
    let without = key.access_token(&claims(&issuer, start()));
    let refused = authenticate(&authenticator, &without, start()).await.unwrap_err();
    assert_eq!(refused, AuthError::MissingClaim("the tenant's"));
}

#[tokio::test]
async fn each_issuer_answers_for_its_own_tokens_only() {
    let (key_a, key_b) = (SigningKey::ed25519("k1"), SigningKey::ed25519("k1"));
    let (a, b) = (TestIssuer::start(&[&key_a]).await, TestIssuer::start(&[&key_b]).await);
    let authenticator = trusting(&[plain(&a), plain(&b)]);
    for (issuer, key) in [(&a, &key_a), (&b, &key_b)] {
        let principal = authenticate(&authenticator, &key.access_token(&claims(issuer, start())), start()).await;
        assert_eq!(principal.expect("accepted").who.issuer, issuer.url);
    }
    let forged = key_b.access_token(&claims(&a, start()));
    assert_eq!(
        authenticate(&authenticator, &forged, start()).await.unwrap_err(),
        AuthError::BadSignature
    );
}

#[tokio::test]
async fn a_verified_token_is_remembered_until_it_expires_and_a_refused_one_is_not() {
    let (issuer, key, authenticator) = one_issuer().await;
    let token = key.access_token(&claims(&issuer, start()));
    let first = authenticate(&authenticator, &token, start()).await.expect("accepted");
    let again = authenticate(&authenticator, &token, start().after(60))
        .await
        .expect("accepted");
    assert!(Arc::ptr_eq(&first, &again), "the second time costs no signature");
    // Asked again within the hour that its keys are kept for, so that only the expiry can be the reason.
    let end = crate::identity::Now {
        wall: start().after(3600).wall,
        ..start()
    };
    assert_eq!(
        authenticate(&authenticator, &token, end).await.unwrap_err(),
        AuthError::Expired
    );

    let refused = key.access_token(&with(claims(&issuer, start()), json!({ "aud": "elsewhere" })));
    assert!(authenticate(&authenticator, &refused, start()).await.is_err());
    assert!(
        authenticator
            .verified
            .find(&TokenDigest::of(&refused), start().wall)
            .is_none()
    );
}

#[tokio::test]
async fn groups_decide_which_targets_a_principal_may_use() {
    let (issuer, key, authenticator) = one_issuer().await;
    let token = key.access_token(&claims(&issuer, start()));
    let principal = authenticate(&authenticator, &token, start()).await.expect("accepted");
    let mut target = crate::config::tests::target();
    let mut may = |allow: Allow| {
        target.allow = allow;
        principal
            .authorize(&target)
            .map(|proof| (proof.principal().who.subject.clone(), proof.target().name.clone()))
    };
    let groups = |names: &[&str]| Allow::Groups(names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>());
    let proof = ("alice".to_owned(), "demo".to_owned());
    assert_eq!(may(Allow::Authenticated), Ok(proof.clone()));
    assert_eq!(may(groups(&["other", "admins"])), Ok(proof));
    assert_eq!(
        may(groups(&["engineering"])).unwrap_err().label(),
        "forbidden",
        "the slash is part of the name"
    );
}
