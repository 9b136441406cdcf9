//! The session that a request names, and the one that its answer opens.

use http::{HeaderMap, HeaderValue, Response};
use sha2::{Digest as _, Sha256};
use tapedeck_schemas::Digest;
use uuid::Uuid;

use crate::ends::Tape;
use crate::identity::Authorized;
use crate::proxy::Proxy;
use crate::refusal::Refusal;
use crate::session_tag::{Holder, TagError};
use crate::upstream::{self, SESSION_ID};

pub(super) fn hash_of(session: &[u8]) -> Digest {
    Digest(Sha256::digest(session).into())
}

/// The session that a request names.
pub(super) struct Session {
    /// The target's own id.
    pub(super) target_id: HeaderValue,
    /// Exchange of the `initialize` that opened it.
    pub(super) opened_by: Uuid,
    /// As the client sent it.
    tagged: HeaderValue,
}

/// Verifies the tag of `Mcp-Session-Id` and takes it off.
pub(super) fn session_of(
    proxy: &Proxy,
    may: &Authorized<'_>,
    headers: &HeaderMap,
    modern: bool,
) -> Result<Option<Session>, Refusal> {
    let mut named = headers.get_all(SESSION_ID).iter();
    let Some(tagged) = named.next().filter(|_| !modern) else {
        return Ok(None);
    };
    if named.next().is_some() {
        return Err(Refusal::UnknownSession(TagError::Malformed));
    }
    let text = tagged
        .to_str()
        .map_err(|_| Refusal::UnknownSession(TagError::Malformed))?;
    let verified = proxy
        .tag_keys
        .verify(text, holder(may))
        .map_err(Refusal::UnknownSession)?;
    let target_id =
        HeaderValue::from_str(verified.target_session_id).map_err(|_| Refusal::UnknownSession(TagError::Malformed))?;
    Ok(Some(Session {
        target_id,
        opened_by: verified.session,
        tagged: tagged.clone(),
    }))
}

/// Whose session it is.
fn holder<'a>(may: &Authorized<'a>) -> Holder<'a> {
    let principal = may.principal();
    Holder {
        issuer: &principal.who.issuer,
        subject: &principal.who.subject,
        target: &may.target().name,
        key: principal.bound_to.key.as_deref(),
        certificate: principal
            .bound_to
            .certificate
            .map(|certificate| *certificate.as_bytes()),
    }
}

/// The head of the answer as the client gets it.
pub(super) fn answer_head(
    proxy: &Proxy,
    tape: &mut Tape,
    may: &Authorized<'_>,
    session: Option<&Session>,
    modern: bool,
    status: http::StatusCode,
    headers: &HeaderMap,
) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = status;
    *head.headers_mut() = upstream::for_client(headers);
    let issued = head.headers_mut().remove(SESSION_ID).filter(|_| !modern);
    if let Some(issued) = issued {
        let initializes = tape
            .asked()
            .is_some_and(|asked| asked.method.as_deref() == Some("initialize"));
        let tagged = match session {
            // Some servers repeat it on every answer.
            Some(session) if !initializes && session.target_id == issued => Some(session.tagged.clone()),
            // One that is not visible ASCII could not be sent back.
            _ => issued.to_str().ok().and_then(|id| {
                let tagged = proxy.tag_keys.tag(id, tape.exchange_id(), holder(may)).ok()?;
                tape.opens_session(hash_of(id.as_bytes()));
                HeaderValue::from_str(&tagged).ok()
            }),
        };
        if let Some(tagged) = tagged {
            head.headers_mut().insert(SESSION_ID, tagged);
        }
    }
    head
}
