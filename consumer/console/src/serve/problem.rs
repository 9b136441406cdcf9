//! What a client is told that gets nothing else: `application/problem+json` (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::access::Accounted;

/// Why a request was not answered. Whose fault it is follows from the status: 4xx the client's, 5xx ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    /// Nobody is signed in, or a token is none of ours.
    #[error("{0}")]
    Unauthenticated(String),
    /// Somebody is signed in who may not.
    #[error("{0}")]
    Forbidden(&'static str),
    /// An unsafe request of a browser that does not prove that it came from a page of ours.
    #[error("the request lacks this session's X-CSRF-Token, or comes from another origin")]
    CrossSite,
    /// Not there, or not for this user: the two look alike on purpose.
    #[error("{0}")]
    NotFound(&'static str),
    /// The path is there, the method is not.
    #[error("this method is not for this path")]
    MethodNotAllowed,
    /// A parameter is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// The query would have cost more than one query may.
    #[error("the question would cost more than {0}; ask for less time, or filter more")]
    TooMuch(&'static str),
    /// The user has too much under way at once.
    #[error("{0}")]
    TooMany(&'static str),
    /// The access log cannot be written, so nothing is shown.
    #[error("the access log cannot be written, so nothing is shown")]
    NotOnRecord,
    /// ClickHouse or the identity provider is away.
    #[error("{0}")]
    Away(&'static str),
    /// A fault of ours; the log has it under the request's id.
    #[error("this is a fault of the server; its log says more under the request's id")]
    Internal,
}

/// A problem as it is sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// What kind of problem: `urn:tapedeck:problem:` and a stable name.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in a few words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened here, and what to do.
    detail: String,
}

impl Problem {
    /// The kind as a word, the same in every release: also the access log's reason.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::CrossSite => "cross-site",
            Self::NotFound(_) => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::BadRequest(_) => "bad-request",
            Self::TooMuch(_) => "too-much",
            Self::TooMany(_) => "too-many",
            Self::NotOnRecord => "not-on-record",
            Self::Away(_) => "away",
            Self::Internal => "internal",
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "Sign in first",
            Self::Forbidden(_) | Self::CrossSite => "Not allowed",
            Self::NotFound(_) => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::BadRequest(_) => "Wrong parameter",
            Self::TooMuch(_) => "Too large a question",
            Self::TooMany(_) => "Too much at once",
            Self::NotOnRecord | Self::Away(_) => "Not available",
            Self::Internal => "Internal error",
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooMuch(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotOnRecord | Self::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("urn:tapedeck:problem:{}", self.name()),
            title: self.title(),
            status: self.status().as_u16(),
            detail: self.to_string(),
        };
        let body = serde_json::to_string(&body).expect("strings and a number are JSON");
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            // RFC 6750, section 3: programs are told how to come back.
            Self::Unauthenticated(_) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooMany(_) | Self::NotOnRecord | Self::Away(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
        response.extensions_mut().insert(Accounted::Refused(self));
        response
    }
}
