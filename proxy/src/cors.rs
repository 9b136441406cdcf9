//! Clients that are web pages (WHATWG Fetch, "CORS protocol"): what their browser asks first, and what it lets them read.
//!
//! Credentials in the protocol's sense (cookies) are never allowed: clients show a bearer token, which a page has only if
//! it was given one.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::client_side::AnswerBody;
use crate::config::Origins;

/// How long a browser may remember an answer to a preflight, in seconds: the most that any of them takes.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// What of an answer a page may read, beside what browsers always show.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, DPoP-Nonce, Retry-After, Allow");

/// Whether this asks if a request may be made, and is none itself. It carries no token and reaches no target.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight: the methods that there are, and whatever headers the page means to send, since a later
/// revision of MCP may have more of them (`Mcp-Param-…` already has any number).
pub(crate) fn preflight(headers: &HeaderMap, origins: Readers<'_>) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let Some(origin) = origins.reader(headers) else {
        *response.status_mut() = StatusCode::FORBIDDEN;
        return response;
    };
    let fields = response.headers_mut();
    fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let methods = match origins {
        Readers::Clients(_) => "POST, GET, DELETE",
        Readers::Everyone => "GET",
    };
    fields.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    fields.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    fields.insert(
        VARY,
        HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
    );
    response
}

/// Lets the page that asked read the answer, if its origin may.
pub(crate) fn expose(asked: Option<HeaderValue>, answer: &mut HeaderMap) {
    let Some(origin) = asked else { return };
    answer.append(VARY, HeaderValue::from_static("Origin"));
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// Whose pages may read an answer.
#[derive(Clone, Copy)]
pub(crate) enum Readers<'a> {
    /// MCP: pages of these origins.
    Clients(&'a Origins),
    /// Metadata: there is nothing in it that is not everybody's.
    Everyone,
}

impl Readers<'_> {
    /// What stands in `Access-Control-Allow-Origin` for the page that sent these headers; none if it may not read, or
    /// if no page asked.
    pub(crate) fn reader(self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut named = headers.get_all(ORIGIN).iter();
        let origin = named.next().filter(|_| named.next().is_none())?;
        match self {
            Self::Clients(origins) => origins.allow(origin.as_bytes()).then(|| origin.clone()),
            Self::Everyone => Some(HeaderValue::from_static("*")),
        }
    }
}
