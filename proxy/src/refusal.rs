//! Saying no: to a request before anything happened, and for an answer that will not come.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use tapedeck_wire::envelope::EnvelopeError;
use uuid::Uuid;

use crate::answer::Interrupted;
use crate::config::Target;
use crate::identity::challenge::{self, Offer};
use crate::identity::{AuthError, Forbidden, Lapse};
use crate::record::NotRecorded;
use crate::request::Mismatch;
use crate::session_tag::TagError;
use crate::upstream::{CredentialError, SendError};

/// JSON-RPC 2.0, "Reserved for implementation-defined server-errors". `error.data.reason` tells the reasons apart.
const SERVER_ERROR: i64 = -32000;

/// MCP 2026-07-28: a header says something else than the body.
const HEADER_MISMATCH: i64 = -32020;

/// Why a request goes nowhere. Whose fault: the client's, but for an identity provider that is away. It is on record
/// as one frame of kind `refused`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("only POST, GET and DELETE are served here")]
    MethodNotAllowed,
    #[error("the revision has only POST")]
    OnlyPost,
    #[error("the Origin is not allowed")]
    OriginNotAllowed,
    #[error("the Host is not one under which this is known")]
    HostNotAllowed,
    #[error(transparent)]
    Unauthenticated(AuthError),
    #[error(transparent)]
    Forbidden(Forbidden),
    #[error("too much is going on already; try again")]
    Busy,
    #[error("too many requests; try again")]
    RateLimited,
    #[error("the head of the request is too large")]
    HeadTooLarge,
    #[error("the body has another transfer coding than chunks")]
    TransferCoding,
    #[error("the body is larger than {0} bytes")]
    BodyTooLarge(usize),
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the body broke off")]
    BodyIncomplete,
    #[error("an encoded body cannot be recorded; send it without Content-Encoding")]
    ContentEncoding,
    #[error("a body in another charset than UTF-8 cannot be recorded as what it says")]
    Charset,
    #[error(transparent)]
    Malformed(EnvelopeError),
    #[error("MCP-Protocol-Version is not a revision")]
    BadRevision,
    #[error(transparent)]
    Mismatch(Mismatch),
    #[error("the session is not known, or not yours; initialize again")]
    UnknownSession(TagError),
}

impl Refusal {
    /// The reason as a word, the same in every release: `decision.rule` of the frame and a metric's label.
    pub(crate) fn rule(&self) -> &'static str {
        match self {
            Self::MethodNotAllowed | Self::OnlyPost => "method_not_allowed",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::HostNotAllowed => "host_not_allowed",
            Self::Unauthenticated(why) => why.label(),
            Self::Forbidden(why) => why.label(),
            Self::Busy => "busy",
            Self::RateLimited => "rate_limited",
            Self::HeadTooLarge => "head_too_large",
            Self::TransferCoding => "transfer_coding",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyIncomplete => "body_incomplete",
            Self::ContentEncoding => "content_encoding",
            Self::Charset => "charset",
            Self::Malformed(EnvelopeError::Ambiguous(_)) => "ambiguous_message",
            Self::Malformed(_) => "malformed_message",
            Self::BadRevision => "bad_revision",
            Self::Mismatch(_) => "header_mismatch",
            Self::UnknownSession(TagError::Forged) => "foreign_session",
            Self::UnknownSession(_) => "unknown_session",
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::MethodNotAllowed | Self::OnlyPost => StatusCode::METHOD_NOT_ALLOWED,
            Self::OriginNotAllowed | Self::HostNotAllowed | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Unauthenticated(why) => why.status(),
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TransferCoding => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::ContentEncoding | Self::Charset => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyIncomplete | Self::Malformed(_) | Self::BadRevision | Self::Mismatch(_) => {
                StatusCode::BAD_REQUEST
            }
            // A client initializes anew on 404 (MCP, Streamable HTTP, "Session Management").
            Self::UnknownSession(_) => StatusCode::NOT_FOUND,
        }
    }

    /// What the client is told. `offer`: how it gets a token that would do. `id`: JSON text of its request's id.
    pub(crate) fn response(&self, target: &Target, offer: &Offer, exchange: Uuid, id: Option<&str>) -> Response<Bytes> {
        let code = match self {
            Self::Malformed(error) => error.code(),
            Self::Mismatch(_) => HEADER_MISMATCH,
            _ => SERVER_ERROR,
        };
        let mut response = rpc_error(self.status(), code, &self.to_string(), self.rule(), exchange, id);
        let headers = response.headers_mut();
        let allowed = match self {
            Self::MethodNotAllowed => Some("POST, GET, DELETE"),
            Self::OnlyPost => Some("POST"),
            _ => None,
        };
        if let Some(allowed) = allowed {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        match self {
            Self::RateLimited => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // What follows on the connection may be the rest of this one.
            Self::TransferCoding => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        let challenges = match self {
            Self::Unauthenticated(why) => challenge::unauthorized(why, target, offer),
            Self::Forbidden(why) => challenge::forbidden(why, target, offer).into_iter().collect(),
            _ => Vec::new(),
        };
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Why a request that is on record has no answer. Whose fault: Kafka's, the target's or the proxy's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The target has seen nothing: worth another try.
    #[error("the call cannot be recorded, so it was not made")]
    NotRecorded(NotRecorded),
    /// The target has seen nothing.
    #[error("the target cannot be reached; the call was not made")]
    Unreachable,
    /// The target has seen nothing.
    #[error("there is no credential of yours for the target; the call was not made")]
    NotForUser,
    /// The target has seen nothing.
    #[error("the authorization server refuses a token for the target; the call was not made")]
    CredentialRefused,
    /// The target has seen nothing: worth another try.
    #[error("the credential for the target cannot be had; the call was not made")]
    CredentialUnavailable,
    /// The target did not act: it said 401.
    #[error("the target does not accept what the proxy shows to it; another token of yours would not help")]
    TurnedAway,
    /// Unknown whether the target acted.
    #[error("the target went away; the call may have been executed")]
    UpstreamLost,
    /// The target acted.
    #[error("executed, answer withheld: it cannot be recorded")]
    Withheld,
    /// The target acted.
    #[error("executed, answer withheld: it is compressed, which nobody asked for, and cannot be recorded")]
    Encoded,
    /// Unknown whether the target acted.
    #[error("the proxy is stopping; the call may have been executed")]
    Stopped,
    /// Unknown whether the target acted.
    #[error("the token has expired meanwhile; the call may have been executed")]
    Expired,
    /// Unknown whether the target acted.
    #[error("the token was revoked meanwhile; the call may have been executed")]
    Revoked,
    /// Unknown whether the target acted.
    #[error("nobody can say any more whether the token is good; the call may have been executed")]
    Unconfirmed,
}

impl Failure {
    /// What an interruption means to a client that has seen nothing yet; none if it has gone itself.
    pub(crate) fn of(interrupted: Interrupted) -> Option<Self> {
        match interrupted {
            Interrupted::NotRecorded(_) => Some(Self::Withheld),
            Interrupted::UpstreamLost => Some(Self::UpstreamLost),
            Interrupted::Stopped => Some(Self::Stopped),
            Interrupted::Expired => Some(Self::Expired),
            Interrupted::Lapsed(Lapse::Revoked) => Some(Self::Revoked),
            Interrupted::Lapsed(Lapse::Unconfirmed) => Some(Self::Unconfirmed),
            Interrupted::Cancelled => None,
        }
    }

    /// What a request that could not be sent or answered means.
    pub(crate) fn of_send(error: &SendError) -> Self {
        match error {
            SendError::NotSent(_) => Self::Unreachable,
            SendError::NoCredential(CredentialError::NotForUser) => Self::NotForUser,
            SendError::NoCredential(CredentialError::Refused(_)) => Self::CredentialRefused,
            SendError::NoCredential(CredentialError::Unavailable(_)) => Self::CredentialUnavailable,
            SendError::Lost(_) | SendError::Switched | SendError::Over => Self::UpstreamLost,
        }
    }

    /// The reason as a word, the same in every release: a metric's label.
    pub(crate) fn rule(&self) -> &'static str {
        match self {
            Self::NotRecorded(why) => why.reason(),
            Self::Unreachable => "target_unreachable",
            Self::NotForUser => "no_credential",
            Self::CredentialRefused => "credential_refused",
            Self::CredentialUnavailable => "credential_unavailable",
            Self::TurnedAway => "target_unauthorized",
            Self::UpstreamLost => "upstream_lost",
            Self::Withheld => "answer_withheld",
            Self::Encoded => "encoded_answer",
            Self::Stopped => "stopping",
            Self::Expired => "token_expired",
            Self::Revoked => "token_revoked",
            Self::Unconfirmed => "token_unconfirmed",
        }
    }

    /// What the client is told. `id`: JSON text of its request's id.
    pub(crate) fn response(&self, exchange: Uuid, id: Option<&str>) -> Response<Bytes> {
        let status = match self {
            Self::NotRecorded(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotForUser => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_GATEWAY,
        };
        let mut response = rpc_error(status, SERVER_ERROR, &self.to_string(), self.rule(), exchange, id);
        if let Self::NotRecorded(why) = self {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(why.retry_after().as_secs()));
        }
        response
    }
}

/// A JSON-RPC error as the body of an HTTP one. `message` and `reason` are the proxy's own words.
fn rpc_error(
    status: StatusCode,
    code: i64,
    message: &str,
    reason: &str,
    exchange: Uuid,
    id: Option<&str>,
) -> Response<Bytes> {
    // The id goes back as it came: a number beyond 64 bits stays itself.
    let id = id.and_then(|id| serde_json::from_str::<Box<serde_json::value::RawValue>>(id).ok());
    let body =
        serde_json::json!({ "code": code, "message": message, "data": { "reason": reason, "exchange": exchange } });
    let id = id.as_deref().map_or("null", serde_json::value::RawValue::get);
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{body}}}"#);
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_failure_answers_the_clients_own_request() {
        for id in ["1", r#""a\"b""#, "123456789012345678901234567890"] {
            let response = Failure::Withheld.response(Uuid::nil(), Some(id));
            let text = std::str::from_utf8(response.body()).expect("UTF-8");
            assert!(text.contains(&format!("\"id\":{id},")), "{text}");
            let body: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(body["error"]["data"]["reason"], "answer_withheld");
            assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        }
    }

    #[test]
    fn what_has_no_id_is_answered_with_null() {
        let response = Failure::Unreachable.response(Uuid::nil(), None);
        let body: Value = serde_json::from_slice(response.body()).expect("JSON");
        assert_eq!(body["id"], Value::Null);
        assert_eq!(body["error"]["code"], json!(SERVER_ERROR));
    }

    #[test]
    fn kafka_away_says_when_to_try_again() {
        let response = Failure::NotRecorded(NotRecorded::QueueFull).response(Uuid::nil(), None);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(RETRY_AFTER));
    }
}
