//! What clients are told.

use serde_json::{Value, json};

use super::{SigningKey, TestIssuer, authenticate, claims, plain, start, trusting, with};
use crate::{
    config::tests::target,
    identity::{
        AuthError, Forbidden,
        challenge::{forbidden, resource_metadata, unauthorized},
    },
};

const METADATA: &str = "https://mcp.example/.well-known/oauth-protected-resource/demo/mcp";

fn challenge(error: AuthError, scopes: &[String]) -> Option<String> {
    unauthorized(&error, &target(), scopes).map(|value| value.to_str().expect("ASCII").to_owned())
}

#[test]
fn a_request_without_a_token_is_told_where_to_get_one_and_no_error() {
    let expected = format!("Bearer resource_metadata=\"{METADATA}\"");
    assert_eq!(challenge(AuthError::Missing, &[]), Some(expected));
}

#[test]
fn a_bad_token_is_told_what_is_wrong_with_it() {
    let expected = format!(
        "Bearer error=\"invalid_token\", error_description=\"the token has expired\", scope=\"groups\", \
         resource_metadata=\"{METADATA}\""
    );
    let scopes = ["groups".to_owned(), "sp\"oiled".to_owned(), String::new()];
    assert_eq!(challenge(AuthError::Expired, &scopes), Some(expected));
    assert!(
        challenge(AuthError::Ambiguous, &[])
            .expect("a challenge")
            .starts_with("Bearer error=\"invalid_request\"")
    );
}

#[test]
fn an_outage_of_the_issuer_is_no_challenge() {
    assert_eq!(challenge(AuthError::ProviderUnreachable, &[]), None);
    assert_eq!(
        AuthError::ProviderUnreachable.status(),
        http::StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(AuthError::Expired.status(), http::StatusCode::UNAUTHORIZED);
    assert_eq!(AuthError::Ambiguous.status(), http::StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_scope_is_asked_for_only_where_it_would_help() {
    let key = SigningKey::ed25519("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    issuer.state().scopes = vec!["openid", "groups"];
    let authenticator = trusting(&[plain(&issuer)]);
    let without = with(claims(&issuer, start()), json!({ "groups": null }));
    let principal = authenticate(&authenticator, &key.access_token(&without), start())
        .await
        .expect("accepted");
    let refused = principal.authorize(&target()).expect_err("no groups, no access");
    assert_eq!(
        refused,
        Forbidden {
            scope: Some("groups".to_owned())
        }
    );
    assert_eq!(refused.label(), "insufficient_scope");
    let value = forbidden(&refused, &target()).expect("a challenge");
    let expected = format!(
        "Bearer error=\"insufficient_scope\", error_description=\"none of the caller's groups may use this target\", \
         scope=\"groups\", resource_metadata=\"{METADATA}\""
    );
    assert_eq!(value, expected.as_str());
    assert_eq!(authenticator.scopes(), ["groups"]);

    let elsewhere = with(claims(&issuer, start()), json!({ "groups": ["elsewhere"] }));
    let principal = authenticate(&authenticator, &key.access_token(&elsewhere), start())
        .await
        .expect("accepted");
    let refused = principal.authorize(&target()).expect_err("other groups, no access");
    assert_eq!(
        forbidden(&refused, &target()),
        None,
        "asking again would change nothing"
    );
}

#[tokio::test]
async fn metadata_names_the_resource_and_its_issuers_byte_for_byte() {
    let issuer = TestIssuer::start(&[]).await;
    let metadata = resource_metadata(&target(), &[plain(&issuer)], &["groups".to_owned()]);
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let expected = json!({
        "resource": "https://mcp.example/demo/mcp",
        "authorization_servers": [issuer.url],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["groups"],
        "resource_name": "demo",
    });
    assert_eq!(metadata, expected);
}
