//! Groups that stand in no token.

use serde_json::{Value, json};

use super::issuer::Broken;
use super::{SigningKey, TestIssuer, authenticate, claims, plain, start, trusting, with};
use crate::config::GroupsFrom;
use crate::identity::{AuthError, Authenticator};

async fn asking() -> (TestIssuer, std::sync::Arc<SigningKey>, Authenticator) {
    let key = SigningKey::ed25519("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    let mut configured = plain(&issuer);
    configured.groups_from = GroupsFrom::Userinfo;
    let authenticator = trusting(&[configured]);
    (issuer, key, authenticator)
}

/// A token that names no groups, or these.
fn token(issuer: &TestIssuer, key: &SigningKey, groups: Value) -> String {
    key.access_token(&with(claims(issuer, start()), json!({ "groups": groups })))
}

#[tokio::test]
async fn groups_that_the_token_does_not_name_come_from_userinfo_and_are_remembered() {
    let (issuer, key, authenticator) = asking().await;
    let token = token(&issuer, &key, Value::Null);
    let said = json!({ "sub": "alice", "groups": ["ops", { "value": "scim" }] });
    issuer.state().subjects.insert(token.clone(), said);
    for after in [0, 60, 3000] {
        let principal = authenticate(&authenticator, &token, start().after(after))
            .await
            .expect("known");
        assert_eq!(principal.who.groups, ["ops", "scim"]);
    }
    let questions = issuer.state().questions.clone();
    assert_eq!(
        questions,
        [("/userinfo".to_owned(), format!("Bearer {token}"), String::new())]
    );
}

#[tokio::test]
async fn a_token_that_names_its_groups_or_is_bound_is_shown_to_nobody() {
    let (issuer, key, authenticator) = asking().await;
    for groups in [json!([]), json!(["ops"])] {
        let token = token(&issuer, &key, groups.clone());
        let principal = authenticate(&authenticator, &token, start()).await.expect("known");
        assert_eq!(json!(principal.who.groups), groups);
    }
    let bound = json!({ "groups": null, "cnf": { "x5t#S256": "A".repeat(43) } });
    let bound = key.access_token(&with(claims(&issuer, start()), bound));
    let refused = authenticate(&authenticator, &bound, start()).await.unwrap_err();
    assert_eq!(refused, AuthError::OtherCertificate);
    // Not asked for at all.
    let elsewhere = trusting(&[plain(&issuer)]);
    let principal = authenticate(&elsewhere, &token(&issuer, &key, Value::Null), start()).await;
    assert!(principal.expect("known").who.groups.is_empty());
    assert!(issuer.state().questions.is_empty());
}

#[tokio::test]
async fn what_is_said_of_somebody_else_does_not_count_and_silence_is_no_answer() {
    for (said, refused) in [
        (
            Some(json!({ "sub": "bob", "groups": ["ops"] })),
            AuthError::OtherSubject,
        ),
        (Some(json!({ "groups": ["ops"] })), AuthError::OtherSubject),
        (Some(json!(["ops"])), AuthError::ProviderUnreachable),
        (None, AuthError::Inactive),
    ] {
        let (issuer, key, authenticator) = asking().await;
        let token = token(&issuer, &key, Value::Null);
        if let Some(said) = &said {
            issuer.state().subjects.insert(token.clone(), said.clone());
        }
        assert_eq!(
            authenticate(&authenticator, &token, start()).await.unwrap_err(),
            refused,
            "{said:?}"
        );
    }
    let (issuer, key, authenticator) = asking().await;
    let with_groups = token(&issuer, &key, json!([]));
    assert!(
        authenticate(&authenticator, &with_groups, start()).await.is_ok(),
        "its keys are known by then"
    );
    issuer.state().broken = Some(Broken::Unavailable);
    let without = token(&issuer, &key, Value::Null);
    assert_eq!(
        authenticate(&authenticator, &without, start()).await.unwrap_err(),
        AuthError::ProviderUnreachable
    );
}
