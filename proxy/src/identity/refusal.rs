//! Why a request has no principal.

use http::StatusCode;

use super::ProofError;

/// Why a request has no principal: one variant per reason. Holds nothing of the token.
///
/// Displayed as a short ASCII sentence without quotes, which is also the challenge's `error_description`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No token was sent. The client's doing, and how every first request looks.
    #[error("an access token is required")]
    Missing,
    /// More than one `Authorization` header field.
    #[error("more than one Authorization header field")]
    Ambiguous,
    /// Not a compact JWS of the form that RFC 7515 and RFC 7519 give it; the text says in what.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// Longer than any token that is accepted.
    #[error("the token is longer than 16 KiB")]
    TooLong,
    /// The header's `typ` is neither `at+jwt` nor `JWT`.
    #[error("the token has no typ that an access token has")]
    UnsupportedType,
    /// The header's `alg` is not on the list: `none`, an HMAC, or something unknown.
    #[error("the token is signed by an algorithm that is not accepted")]
    UnsupportedAlg,
    /// The header has `crit`: extensions that must be understood (RFC 7515, section 4.1.11), and none is.
    #[error("the token demands an extension that is not supported")]
    CriticalExtension,
    /// No configured issuer has the token's `iss`.
    #[error("the token is of an unknown issuer")]
    UnknownIssuer,
    /// The issuer publishes no key of the token's `kid`, even when asked again.
    #[error("the token is signed by an unknown key")]
    UnknownKey,
    /// The key that the token names is not one for the token's algorithm.
    #[error("the key that the token names is not for its algorithm")]
    KeyMismatch,
    /// The signature is not the issuer's.
    #[error("the signature is wrong")]
    BadSignature,
    /// `aud` has none of the configured audiences.
    #[error("the token is for another audience")]
    WrongAudience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// An ID token, a refresh token or a logout token, signed by the same keys but not meant for us.
    #[error("the token is not an access token")]
    NotAccessToken,
    /// Bound to its holder (`cnf`, RFC 7800) in a way that is not known here, or is turned off.
    #[error("the token is bound to a key in a way that cannot be checked here")]
    SenderConstrained,
    /// Bound to a certificate (RFC 8705, section 3), and the connection has none, or another.
    #[error("the token is bound to a certificate that the connection does not show")]
    OtherCertificate,
    /// Bound to a key for DPoP, and only borne (RFC 9449, section 7.2).
    #[error("the token is bound to a key, so it needs the scheme DPoP and a proof")]
    ProofRequired,
    /// Sent with a proof although it is bound to no key (RFC 9449, section 7.1).
    #[error("the token is bound to no key, so the scheme DPoP is not for it")]
    NotBound,
    /// Only tokens with a proof are accepted.
    #[error("a token that is bound to a key by DPoP is required")]
    DpopRequired,
    /// The proof that came with the token is none for this request.
    #[error(transparent)]
    Proof(ProofError),
    /// The issuer says that the token is not active: revoked, over, or none of its own.
    #[error("the token is not active")]
    Inactive,
    /// What the issuer says about the token is of another subject than the token.
    #[error("the issuer names another subject than the token")]
    OtherSubject,
    /// A claim that is required is missing or of the wrong type.
    #[error("the token lacks a right claim: {0}")]
    MissingClaim(&'static str),
    /// The issuer cannot be asked, so nothing can be said about the token. Not the client's doing: retry.
    #[error("the identity provider is unreachable")]
    ProviderUnreachable,
}

impl AuthError {
    /// The reason as a word, the same in every release: for metrics and records.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ambiguous => "ambiguous",
            Self::Malformed(_) => "malformed",
            Self::TooLong => "too_long",
            Self::UnsupportedType => "unsupported_type",
            Self::UnsupportedAlg => "unsupported_alg",
            Self::CriticalExtension => "critical_extension",
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownKey => "unknown_key",
            Self::KeyMismatch => "key_mismatch",
            Self::BadSignature => "bad_signature",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NotAccessToken => "id_token",
            Self::SenderConstrained => "sender_constrained",
            Self::OtherCertificate => "other_certificate",
            Self::ProofRequired => "dpop_bound",
            Self::NotBound => "dpop_not_bound",
            Self::DpopRequired => "dpop_required",
            Self::Proof(why) => why.label(),
            Self::Inactive => "inactive",
            Self::OtherSubject => "other_subject",
            Self::MissingClaim(_) => "missing_claim",
            Self::ProviderUnreachable => "provider_unreachable",
        }
    }

    /// The status of the answer (RFC 6750, section 3.1): 400 for a request that contradicts itself, 503 when the fault
    /// is not the client's, else 401.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Ambiguous => StatusCode::BAD_REQUEST,
            Self::ProviderUnreachable | Self::Proof(ProofError::TooMany) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Missing
            | Self::Malformed(_)
            | Self::TooLong
            | Self::UnsupportedType
            | Self::UnsupportedAlg
            | Self::CriticalExtension
            | Self::UnknownIssuer
            | Self::UnknownKey
            | Self::KeyMismatch
            | Self::BadSignature
            | Self::WrongAudience
            | Self::Expired
            | Self::NotYetValid
            | Self::NotAccessToken
            | Self::SenderConstrained
            | Self::OtherCertificate
            | Self::ProofRequired
            | Self::NotBound
            | Self::DpopRequired
            | Self::Proof(_)
            | Self::Inactive
            | Self::OtherSubject
            | Self::MissingClaim(_) => StatusCode::UNAUTHORIZED,
        }
    }
}
