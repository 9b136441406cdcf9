//! What clients are told.

use serde_json::{Value, json};

use super::{SigningKey, TestIssuer, authenticate, claims, plain, start, trusting, with};
use crate::{
    config::{Dpop, tests::target},
    identity::{
        AuthError, Forbidden, ProofError,
        challenge::{Offer, forbidden, resource_metadata, unauthorized},
    },
};

const METADATA: &str = "https://mcp.example/.well-known/oauth-protected-resource/demo/mcp";

const ALGS: &str = "algs=\"ES256 ES384 EdDSA PS256 PS384 PS512 RS256 RS384 RS512\"";

fn offer(dpop: Dpop, scopes: &[String]) -> Offer {
    Offer {
        scopes: scopes.to_vec(),
        dpop,
        certificates: false,
    }
}

fn challenges(error: AuthError, dpop: Dpop) -> Vec<String> {
    let said = unauthorized(&error, &target(), &offer(dpop, &[]));
    said.iter()
        .map(|value| value.to_str().expect("ASCII").to_owned())
        .collect()
}

fn challenge(error: AuthError, scopes: &[String]) -> Option<String> {
    let said = unauthorized(&error, &target(), &offer(Dpop::Off, scopes));
    assert!(said.len() < 2);
    said.first().map(|value| value.to_str().expect("ASCII").to_owned())
}

#[test]
fn a_request_without_a_token_is_told_where_to_get_one_and_no_error() {
    let bearer = format!("Bearer resource_metadata=\"{METADATA}\"");
    let dpop = format!("DPoP {ALGS}, resource_metadata=\"{METADATA}\"");
    assert_eq!(challenge(AuthError::Missing, &[]), Some(bearer.clone()));
    assert_eq!(challenges(AuthError::Missing, Dpop::Accepted), [bearer, dpop.clone()]);
    for error in [AuthError::Missing, AuthError::DpopRequired] {
        assert_eq!(challenges(error, Dpop::Required), std::slice::from_ref(&dpop));
    }
}

#[test]
fn each_error_is_told_under_the_scheme_that_it_is_about() {
    let bearer = format!("Bearer resource_metadata=\"{METADATA}\"");
    for (error, code) in [
        (AuthError::Proof(ProofError::Nonce), "use_dpop_nonce"),
        (AuthError::Proof(ProofError::Replayed), "invalid_dpop_proof"),
        (AuthError::ProofRequired, "invalid_token"),
    ] {
        let told =
            format!("DPoP error=\"{code}\", error_description=\"{error}\", {ALGS}, resource_metadata=\"{METADATA}\"");
        assert_eq!(challenges(error, Dpop::Accepted), [bearer.clone(), told]);
    }
    let [bearer, dpop] = challenges(AuthError::Expired, Dpop::Accepted)
        .try_into()
        .expect("two schemes");
    assert!(bearer.starts_with("Bearer error=\"invalid_token\"") && dpop.starts_with(&format!("DPoP {ALGS}")));
    let [dpop] = challenges(AuthError::Expired, Dpop::Required)
        .try_into()
        .expect("one scheme");
    assert!(dpop.starts_with("DPoP error=\"invalid_token\""), "{dpop}");
    assert_eq!(
        challenges(AuthError::Proof(ProofError::TooMany), Dpop::Accepted),
        [""; 0]
    );
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
    let value = forbidden(&refused, &target(), &offer(Dpop::Off, &[])).expect("a challenge");
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
        forbidden(&refused, &target(), &offer(Dpop::Off, &[])),
        None,
        "asking again would change nothing"
    );
}

#[tokio::test]
async fn metadata_names_the_resource_and_its_issuers_byte_for_byte() {
    let issuer = TestIssuer::start(&[]).await;
    let metadata = |offer: Offer| {
        let metadata = resource_metadata(&target(), &[plain(&issuer)], &offer);
        serde_json::from_str::<Value>(&metadata).expect("JSON")
    };
    let expected = json!({
        "resource": "https://mcp.example/demo/mcp",
        "authorization_servers": [issuer.url],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["groups"],
        "resource_name": "demo",
    });
    let scopes = ["groups".to_owned()];
    assert_eq!(metadata(offer(Dpop::Off, &scopes)), expected);

    // What tokens may, or must, be bound to (RFC 9728, section 2).
    let algs = json!([
        "ES256", "ES384", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"
    ]);
    let accepted = with(expected, json!({ "dpop_signing_alg_values_supported": algs }));
    assert_eq!(metadata(offer(Dpop::Accepted, &scopes)), accepted);
    let certificates = Offer {
        certificates: true,
        ..offer(Dpop::Required, &scopes)
    };
    let all = json!({ "dpop_bound_access_tokens_required": true, "tls_client_certificate_bound_access_tokens": true });
    assert_eq!(metadata(certificates), with(accepted, all));
}
