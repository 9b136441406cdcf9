//! The life of a request, top to bottom: route, authenticate, authorize, read, envelope, session, record, durable,
//! forward, stream the answer.

mod message;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ORIGIN, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use sha2::{Digest as _, Sha256};
use tapedeck_schemas::{Client, Digest, End, Frame, Http, Protocol};
use tapedeck_wire::envelope::{Envelope, Limits};
use uuid::Uuid;

use crate::answer::{Form, Interrupted, Patience, relay_body, relay_events, rpc_of};
use crate::client_side::ClientSide;
use crate::ends::Tape;
use crate::identity::{Authorized, Principal};
use crate::listen::{Peer, client_address};
use crate::proxy::{Proxy, Route};
use crate::refusal::{Failure, Refusal};
use crate::session_tag::{Holder, TagError};
use crate::upstream::{self, Asked, SESSION_ID, SendError, UpstreamAnswer, forward, is_token_text};

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Longest revision, in bytes: they are dates.
const LONGEST_REVISION: usize = 64;
/// Longest user agent that is recorded, in bytes.
const LONGEST_USER_AGENT: usize = 512;
/// The first revision without sessions, and in which closing a stream cancels.
const MODERN: &str = "2026-07-28";

/// A request to `route`, from its first byte to the last of its answer.
///
/// Runs in a task of its own: the client's connection may end before it. Every way out of it answers the client,
/// records why, or both.
pub(crate) async fn serve(
    proxy: Arc<Proxy>,
    route: Arc<Route>,
    peer: Peer,
    request: Request<Incoming>,
    mut client: ClientSide,
) {
    let _in_flight = proxy.metrics.exchange();
    let (head, body) = request.into_parts();
    let body = message::Unread::new(body);
    let mut tape = Tape::of_stranger(
        proxy.recorder.clone(),
        route.copies,
        common_frame(&proxy, &route, peer, &head),
    );
    let refuse = |mut client: ClientSide, tape: Tape, why: Refusal, body: Option<Bytes>| {
        let id = tape.asked().and_then(|asked| asked.id.as_deref());
        let response = why.response(&route.target, &proxy.authenticator.scopes(), tape.exchange_id(), id);
        // Anybody can be refused, as often as they like, and the log has no limit: the metric and the frame say it.
        tracing::debug!(exchange = %tape.exchange_id(), target = %route.target.name, reason = why.rule(), "refused");
        proxy.metrics.refused(why.rule());
        client.respond(response);
        tape.refuse(why.rule(), why.status().as_u16(), body);
    };

    // Route. Which target is known; here is what no target would ever be sent.
    if ![Method::POST, Method::GET, Method::DELETE].contains(&head.method) {
        return refuse(client, tape, Refusal::MethodNotAllowed, None);
    }
    if !origin_is_allowed(&head.headers, proxy.config.public_url.origin()) {
        return refuse(client, tape, Refusal::OriginNotAllowed, None);
    }

    // Authenticate.
    let principal = match proxy.authenticator.authenticate(&head.headers).await {
        Ok(principal) => principal,
        Err(why) => return refuse(client, tape, Refusal::Unauthenticated(why), None),
    };
    tape.belongs_to(recorded(&principal), &principal.tenant);

    // Authorize. What is refused is read all the same: the record says what was asked for.
    let authorized = principal.authorize(&route.target).map_err(Refusal::Forbidden);

    // Read.
    let body = if head.method == Method::POST {
        match message::read(&head.headers, body).await {
            Ok(body) => Some(body),
            Err(why) => return refuse(client, tape, authorized.err().unwrap_or(why), None),
        }
    } else {
        None
    };

    // Envelope.
    let envelope = match &body {
        Some(body) => match Envelope::scan(body, Limits::CLIENT) {
            Ok(envelope) => Some(envelope),
            Err(why) => {
                let why = authorized.err().unwrap_or(Refusal::Malformed(why));
                return refuse(client, tape, why, Some(body.clone()));
            }
        },
        None => None,
    };
    if let Some(envelope) = &envelope {
        tape.asks(rpc_of(envelope));
        tape.names(envelope.protocol_version.clone(), envelope.trace_parent.clone());
    }
    let may = match authorized {
        Ok(may) => may,
        Err(why) => return refuse(client, tape, why, body),
    };
    if !names_one_revision_at_most(&head.headers) {
        return refuse(client, tape, Refusal::BadRevision, body);
    }

    // Session. The modern revisions have none, and ignore what claims one.
    let modern = tape.revision().is_some_and(is_modern);
    let session = match session_of(&proxy, &may, &head.headers, modern) {
        Ok(session) => session,
        Err(why) => return refuse(client, tape, why, body),
    };
    if let Some(session) = &session {
        tape.in_session(session.opened_by, hash_of(session.target_id.as_bytes()));
    }

    // Record, and wait until it is durable.
    let going_cancels = modern || head.method == Method::GET;
    let mut patience = Patience::new(client.gone(), proxy.cut_for(&head.method), going_cancels);
    let content_type = text_of(&head.headers, &CONTENT_TYPE, 256);
    let claimed = envelope.map_or((None, None), |envelope| (envelope.client_name, envelope.client_version));
    let fail = |mut client: ClientSide, tape: &Tape, why: &Failure| {
        let response = why.response(tape.exchange_id(), tape.asked().and_then(|asked| asked.id.as_deref()));
        tracing::warn!(exchange = %tape.exchange_id(), target = %route.target.name, reason = why.rule(), "failed");
        proxy.metrics.refused(why.rule());
        client.respond(response);
    };
    let on_record = match tape.request(body.clone(), content_type, claimed).await {
        Ok(on_record) => on_record,
        Err(why) => {
            fail(client, &tape, &Failure::NotRecorded(why));
            return tape.end(End::NotForwarded);
        }
    };
    if going_cancels && client.gone().is_cancelled() {
        return tape.end(End::NotForwarded);
    }

    // Forward, once at most.
    tape.forwarding();
    let body = body.unwrap_or_default();
    route.flow.to_target(body.len());
    let target_session = session.as_ref().map(|session| session.target_id.clone());
    let asked = Asked {
        method: head.method.clone(),
        headers: &head.headers,
        session: target_session,
    };
    let answer = tokio::select! {
        answer = forward(&route.upstream, &may, on_record, asked, body) => answer,
        why = patience.ends() => return interrupted(client, tape, why, fail),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(exchange = %tape.exchange_id(), %error, "no answer");
            fail(client, &tape, &Failure::of_send(&error));
            return tape.end(match error {
                SendError::NotSent(_) => End::NotForwarded,
                SendError::Lost(_) | SendError::Switched => End::UpstreamLost,
            });
        }
    };

    // Stream the answer.
    let form = Form::of(&answer.headers);
    tape.answered_with(answer.status.as_u16(), text_of(&answer.headers, &CONTENT_TYPE, 256));
    let UpstreamAnswer { status, headers, body } = answer;
    let released = answer_head(&proxy, &mut tape, &may, session.as_ref(), modern, status, &headers);
    let outcome = match form {
        Form::Encoded => {
            fail(client, &tape, &Failure::Encoded);
            return tape.end(End::Aborted);
        }
        Form::Events => {
            let _open = proxy.metrics.stream();
            relay_events(&mut tape, body, released, &mut client, patience, &route.flow).await
        }
        Form::Message => relay_body(&mut tape, body, released, &mut client, patience, &route.flow).await,
    };
    if let Err(why) = outcome {
        interrupted(client, tape, why, fail);
    }
}

/// Ends an exchange whose answer will not be complete. A client that was told nothing yet is told now; what was
/// released already is cut.
fn interrupted(client: ClientSide, mut tape: Tape, why: Interrupted, fail: impl FnOnce(ClientSide, &Tape, &Failure)) {
    let end = match why {
        Interrupted::NotRecorded(reason) => {
            tracing::warn!(exchange = %tape.exchange_id(), %reason, "an answer is withheld");
            End::Aborted
        }
        Interrupted::Stopped => End::Aborted,
        Interrupted::UpstreamLost => End::UpstreamLost,
        Interrupted::Cancelled => End::Cancelled,
    };
    if let Some(failure) = Failure::of(why)
        && client.is_unanswered()
    {
        fail(client, &tape, &failure);
    }
    tape.end(end);
}

/// What every frame of the exchange says.
fn common_frame(proxy: &Proxy, route: &Route, peer: Peer, head: &Parts) -> Frame {
    let headers = &head.headers;
    let address = client_address(peer.address.ip(), headers, &proxy.config.trusted_proxies);
    Frame {
        exchange_id: Uuid::now_v7(),
        target: route.target.name.clone(),
        client: Client {
            address: address.to_string(),
            user_agent: text_of(headers, &USER_AGENT, LONGEST_USER_AGENT),
            ..Client::default()
        },
        protocol: Protocol {
            revision: headers
                .get(PROTOCOL_VERSION)
                .filter(|value| is_token_text(value, LONGEST_REVISION))
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            transport: peer.transport.to_owned(),
            session_hash: None,
        },
        http: Http {
            method: Some(head.method.as_str().to_owned()),
            ..Http::default()
        },
        traceparent: text_of(headers, &TRACEPARENT, 64),
        ..Frame::default()
    }
}

/// A header as text, cut to `longest` bytes.
fn text_of(headers: &HeaderMap, name: &HeaderName, longest: usize) -> Option<String> {
    let mut text = String::from_utf8_lossy(headers.get(name)?.as_bytes()).into_owned();
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
    }
    Some(text)
}

/// No Origin, as from everything but browsers, or the proxy's own. A page of any other origin may not use a browser's
/// way to the proxy (MCP, Streamable HTTP, "Security Warning").
fn origin_is_allowed(headers: &HeaderMap, own: &str) -> bool {
    headers
        .get_all(ORIGIN)
        .iter()
        .all(|origin| origin.as_bytes().eq_ignore_ascii_case(own.as_bytes()))
}

/// With two, the proxy and the target might each go by another.
fn names_one_revision_at_most(headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(PROTOCOL_VERSION).iter();
    named.next().is_none_or(|value| is_token_text(value, LONGEST_REVISION)) && named.next().is_none()
}

/// Revisions are dates, and order as text.
fn is_modern(revision: &str) -> bool {
    revision.len() == MODERN.len()
        && revision
            .as_bytes()
            .iter()
            .all(|&byte| byte == b'-' || byte.is_ascii_digit())
        && revision >= MODERN
}

fn hash_of(session: &[u8]) -> Digest {
    Digest(Sha256::digest(session).into())
}

/// The session that a request names.
struct Session {
    /// The target's own id.
    target_id: HeaderValue,
    /// Exchange of the `initialize` that opened it.
    opened_by: Uuid,
    /// As the client sent it.
    tagged: HeaderValue,
}

/// Verifies the tag of `Mcp-Session-Id` and takes it off.
fn session_of(
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
        issuer: &principal.issuer,
        subject: &principal.subject,
        target: &may.target().name,
    }
}

/// The head of the answer as the client gets it.
fn answer_head(
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

/// A principal as frames carry it.
fn recorded(principal: &Principal) -> Arc<tapedeck_schemas::Principal> {
    Arc::new(tapedeck_schemas::Principal {
        issuer: principal.issuer.clone(),
        subject: principal.subject.clone(),
        name: principal.name.clone(),
        email: principal.email.clone(),
        groups: principal.groups.clone(),
        client_id: principal.client_id.clone(),
        token_id: principal.token_id.clone(),
        token_session: principal.token_session.clone(),
        key_thumbprint: None,
    })
}
