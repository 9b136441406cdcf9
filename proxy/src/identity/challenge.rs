//! What a client is told that has no principal, or one that may not: `WWW-Authenticate` and protected resource metadata.

use http::HeaderValue;
use serde::Serialize;
use tapedeck_asker::jws::ALGORITHMS;

use super::{AuthError, Forbidden, ProofError};
use crate::config::{Dpop, Issuer, Target};

/// What clients are offered, whatever the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What to ask the issuers for, so that tokens carry groups.
    pub scopes: Vec<String>,
    /// Whether tokens may, or must, be bound to a key by DPoP.
    pub dpop: Dpop,
    /// Whether certificates of clients are seen, so that tokens may be bound to them.
    pub certificates: bool,
}

/// `WWW-Authenticate` fields for a request without a principal (RFC 6750, section 3; RFC 9728, section 5.1; RFC 9449,
/// section 7.1), `Bearer` before `DPoP` for clients that know only the first. Empty when a challenge would mislead: the
/// issuer is away, and another token would help nobody.
///
/// ```text
/// Bearer resource_metadata="https://…/.well-known/oauth-protected-resource/demo/mcp"
/// DPoP algs="ES256 …", resource_metadata="…"
/// ```
pub fn unauthorized(error: &AuthError, target: &Target, offer: &Offer) -> Vec<HeaderValue> {
    // The scheme that the error is about; the other is offered beside it.
    let (code, about_dpop) = match error {
        // Without credentials no error code: the client has done nothing wrong (RFC 6750, section 3.1).
        AuthError::Missing | AuthError::DpopRequired => (None, false),
        AuthError::Ambiguous => (Some("invalid_request"), false),
        AuthError::ProviderUnreachable | AuthError::Proof(ProofError::TooMany) => return Vec::new(),
        AuthError::Proof(ProofError::Nonce) => (Some("use_dpop_nonce"), true),
        AuthError::Proof(_) => (Some("invalid_dpop_proof"), true),
        AuthError::ProofRequired | AuthError::NotBound => (Some("invalid_token"), true),
        AuthError::Malformed(_)
        | AuthError::TooLong
        | AuthError::UnsupportedType
        | AuthError::UnsupportedAlg
        | AuthError::CriticalExtension
        | AuthError::UnknownIssuer
        | AuthError::UnknownKey
        | AuthError::KeyMismatch
        | AuthError::BadSignature
        | AuthError::WrongAudience
        | AuthError::Expired
        | AuthError::NotYetValid
        | AuthError::NotAccessToken
        | AuthError::SenderConstrained
        | AuthError::OtherCertificate
        | AuthError::Inactive
        | AuthError::OtherSubject
        | AuthError::MissingClaim(_) => (Some("invalid_token"), false),
    };
    let described = |told: bool| {
        let mut parameters = Vec::new();
        if let Some(code) = code.filter(|_| told) {
            parameters.push(("error", code.to_owned()));
            parameters.push(("error_description", error.to_string()));
        }
        parameters
    };
    let with_place = |mut parameters: Vec<(&'static str, String)>| {
        let scopes = scope_list(&offer.scopes);
        if !scopes.is_empty() {
            parameters.push(("scope", scopes));
        }
        parameters.push(("resource_metadata", target.metadata_url.clone()));
        parameters
    };
    let mut challenges = Vec::new();
    if offer.dpop != Dpop::Required {
        challenges.push(challenge("Bearer", &with_place(described(!about_dpop))));
    }
    if offer.dpop != Dpop::Off {
        let mut parameters = described(about_dpop || offer.dpop == Dpop::Required);
        parameters.push(("algs", ALGORITHMS.join(" ")));
        challenges.push(challenge("DPoP", &with_place(parameters)));
    }
    challenges
}

/// `WWW-Authenticate` for a principal that may not use the target: only when another scope would help (RFC 6750, section
/// 3.1, `insufficient_scope`). `None`: asking again would change nothing, so a plain 403 says it.
pub fn forbidden(forbidden: &Forbidden, target: &Target, offer: &Offer) -> Option<HeaderValue> {
    let scope = forbidden.scope.as_ref()?;
    let scheme = if offer.dpop == Dpop::Required { "DPoP" } else { "Bearer" };
    let parameters = [
        ("error", "insufficient_scope".to_owned()),
        ("error_description", forbidden.to_string()),
        ("scope", scope_list(std::slice::from_ref(scope))),
        ("resource_metadata", target.metadata_url.clone()),
    ];
    Some(challenge(scheme, &parameters))
}

/// The target's protected resource metadata (RFC 9728, section 2) as JSON, to be served as `application/json` at
/// [`Target::metadata_url`]. The issuers stand in it byte for byte.
pub fn resource_metadata(target: &Target, issuers: &[Issuer], offer: &Offer) -> String {
    #[derive(Serialize)]
    struct Metadata<'a> {
        resource: &'a str,
        authorization_servers: Vec<&'a str>,
        bearer_methods_supported: [&'a str; 1],
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        scopes_supported: &'a [String],
        resource_name: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        tls_client_certificate_bound_access_tokens: bool,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        dpop_signing_alg_values_supported: &'a [&'a str],
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        dpop_bound_access_tokens_required: bool,
    }
    let metadata = Metadata {
        resource: &target.resource,
        authorization_servers: issuers.iter().map(|issuer| issuer.url.as_str()).collect(),
        bearer_methods_supported: ["header"],
        scopes_supported: &offer.scopes,
        resource_name: &target.name,
        tls_client_certificate_bound_access_tokens: offer.certificates,
        dpop_signing_alg_values_supported: if offer.dpop == Dpop::Off { &[] } else { &ALGORITHMS },
        dpop_bound_access_tokens_required: offer.dpop == Dpop::Required,
    };
    serde_json::to_string(&metadata).expect("strings and lists of strings are JSON")
}

/// Scopes with a space between, those only that the grammar allows (RFC 6749, section 3.3): they come from an issuer.
fn scope_list(scopes: &[String]) -> String {
    let fits = |scope: &&str| {
        !scope.is_empty()
            && scope
                .bytes()
                .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    };
    scopes
        .iter()
        .map(String::as_str)
        .filter(fits)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A challenge. No parameter holds a quote or backslash: descriptions are our own sentences, URLs are percent-encoded,
/// scopes are filtered.
fn challenge(scheme: &str, parameters: &[(&str, String)]) -> HeaderValue {
    let parameters: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    let challenge = format!("{scheme} {}", parameters.join(", "));
    HeaderValue::from_str(&challenge).expect("sentences, URLs and scopes of visible ASCII make a header field")
}
