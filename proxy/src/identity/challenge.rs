//! What a client is told that has no principal, or one that may not: `WWW-Authenticate` and protected resource metadata.

use http::HeaderValue;
use serde::Serialize;

use super::{AuthError, Forbidden};
use crate::config::{Issuer, Target};

/// `WWW-Authenticate` for a request without a principal (RFC 6750, section 3; RFC 9728, section 5.1). `scopes` are what
/// to ask the issuer for ([`Authenticator::scopes`](super::Authenticator::scopes)). `None` when a challenge would
/// mislead: the issuer is away, and another token would help nobody.
///
/// ```text
/// Bearer resource_metadata="https://…/.well-known/oauth-protected-resource/demo/mcp"
/// Bearer error="invalid_token", error_description="the token has expired", resource_metadata="…"
/// ```
pub fn unauthorized(error: &AuthError, target: &Target, scopes: &[String]) -> Option<HeaderValue> {
    let code = match error {
        // Without credentials no error code: the client has done nothing wrong (RFC 6750, section 3.1).
        AuthError::Missing => None,
        AuthError::Ambiguous => Some("invalid_request"),
        AuthError::ProviderUnreachable => return None,
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
        | AuthError::MissingClaim(_) => Some("invalid_token"),
    };
    let mut parameters = Vec::new();
    if let Some(code) = code {
        parameters.push(("error", code.to_owned()));
        parameters.push(("error_description", error.to_string()));
    }
    let scopes = scope_list(scopes);
    if !scopes.is_empty() {
        parameters.push(("scope", scopes));
    }
    parameters.push(("resource_metadata", target.metadata_url.clone()));
    Some(bearer(&parameters))
}

/// `WWW-Authenticate` for a principal that may not use the target: only when another scope would help (RFC 6750, section
/// 3.1, `insufficient_scope`). `None`: asking again would change nothing, so a plain 403 says it.
pub fn forbidden(forbidden: &Forbidden, target: &Target) -> Option<HeaderValue> {
    let scope = forbidden.scope.as_ref()?;
    Some(bearer(&[
        ("error", "insufficient_scope".to_owned()),
        ("error_description", forbidden.to_string()),
        ("scope", scope_list(std::slice::from_ref(scope))),
        ("resource_metadata", target.metadata_url.clone()),
    ]))
}

/// The target's protected resource metadata (RFC 9728, section 2) as JSON, to be served as `application/json` at
/// [`Target::metadata_url`]. The issuers stand in it byte for byte.
pub fn resource_metadata(target: &Target, issuers: &[Issuer], scopes: &[String]) -> String {
    #[derive(Serialize)]
    struct Metadata<'a> {
        resource: &'a str,
        authorization_servers: Vec<&'a str>,
        bearer_methods_supported: [&'a str; 1],
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        scopes_supported: &'a [String],
        resource_name: &'a str,
    }
    let metadata = Metadata {
        resource: &target.resource,
        authorization_servers: issuers.iter().map(|issuer| issuer.url.as_str()).collect(),
        bearer_methods_supported: ["header"],
        scopes_supported: scopes,
        resource_name: &target.name,
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

/// A challenge of the Bearer scheme. No parameter holds a quote or backslash: descriptions are our own sentences, URLs
/// are percent-encoded, scopes are filtered.
fn bearer(parameters: &[(&str, String)]) -> HeaderValue {
    let parameters: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    let challenge = format!("Bearer {}", parameters.join(", "));
    HeaderValue::from_str(&challenge).expect("sentences, URLs and scopes of visible ASCII make a header field")
}
