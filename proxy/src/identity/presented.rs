//! The one access token that a request shows.

use http::{HeaderMap, header::AUTHORIZATION};

use super::AuthError;

/// How a token is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// By bearing it (RFC 6750).
    Bearer,
    /// With a proof of the key that it is bound to (RFC 9449, section 7.1).
    Dpop,
}

/// The token of the `Authorization` header field, and its scheme. Credentials of any other scheme count as no token.
pub(super) fn presented(headers: &HeaderMap) -> Result<(Scheme, &str), AuthError> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let field = fields.next().ok_or(AuthError::Missing)?;
    if fields.next().is_some() {
        // Two identities in one request: which one counts must not depend on who reads it.
        return Err(AuthError::Ambiguous);
    }
    let field = field
        .to_str()
        .map_err(|_| AuthError::Malformed("the header field is not visible ASCII"))?;
    let (scheme, token) = field.split_once(' ').unwrap_or((field, ""));
    let scheme = if scheme.eq_ignore_ascii_case("bearer") {
        Scheme::Bearer
    } else if scheme.eq_ignore_ascii_case("dpop") {
        Scheme::Dpop
    } else {
        return Err(AuthError::Missing);
    };
    match token.trim_matches(' ') {
        "" => Err(AuthError::Malformed("the token is empty")),
        token => Ok((scheme, token)),
    }
}

/// The access token of a request that was authenticated by it, however it was shown.
pub(crate) fn access_token(headers: &HeaderMap) -> Option<&str> {
    presented(headers).ok().map(|(_, token)| token)
}
