//! The life of a request, top to bottom: route, authenticate, authorize, read, envelope, session, record, durable,
//! forward, stream the answer.

mod agreement;
mod head;
mod message;
mod session;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use tapedeck_schemas::End;
use tapedeck_wire::envelope::{Envelope, Limits};

use crate::answer::{Form, Interrupted, Patience, relay_body, relay_events, rpc_of};
use crate::client_side::{self, ClientSide};
use crate::ends::Tape;
use crate::identity::Shown;
use crate::listen::{Peer, client_certificate};
use crate::proxy::{Proxy, Route};
use crate::refusal::{Failure, Refusal};
use crate::upstream::{Asked, LAST_EVENT_ID, SendError, UpstreamAnswer, forward};
use head::{common_frame, host_is_allowed, is_modern, names_one_revision_at_most, origin_is_allowed, text_of};
use session::{answer_head, hash_of, session_of};

pub(crate) use agreement::Mismatch;

/// The call of the modern revisions whose answer is a listening stream.
const LISTEN: &str = "subscriptions/listen";

/// Longest `Last-Event-ID` that is recorded, in bytes.
const LONGEST_EVENT_ID: usize = 1024;

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
        route.demand,
        common_frame(&proxy, &route, peer, &head),
    );
    tape.traced(proxy.traces.exchange());
    let certificate = client_certificate(peer, &head.headers, &proxy.config);
    tape.shows(certificate);
    let refuse = |mut client: ClientSide, tape: Tape, why: Refusal, body: Option<Bytes>| {
        let id = tape.asked().and_then(|asked| asked.id.as_deref());
        let response = why.response(&route.target, &proxy.offer(), tape.exchange_id(), id);
        // Anybody can be refused, as often as they like, and the log has no limit: the metric and the frame say it.
        tracing::debug!(exchange = %tape.exchange_id(), target = %route.target.name, reason = why.rule(), "refused");
        proxy.metrics.refused(why.rule());
        client.respond(response);
        tape.refuse(why.rule(), why.status().as_u16(), body);
    };

    let Some(_place) = proxy.gate.exchange() else {
        return refuse(client, tape, Refusal::Busy, None);
    };

    // Route. Which target is known; here is what no target would ever be sent.
    if ![Method::POST, Method::GET, Method::DELETE].contains(&head.method) {
        return refuse(client, tape, Refusal::MethodNotAllowed, None);
    }
    if !origin_is_allowed(&head.headers, &proxy.config.origins) {
        return refuse(client, tape, Refusal::OriginNotAllowed, None);
    }
    if !host_is_allowed(&head, &proxy.config.hosts) {
        return refuse(client, tape, Refusal::HostNotAllowed, None);
    }
    if !head::fits(&head, proxy.config.limits.request_head) {
        return refuse(client, tape, Refusal::HeadTooLarge, None);
    }
    if !head::is_plainly_framed(&head.headers) {
        return refuse(client, tape, Refusal::TransferCoding, None);
    }

    // Authenticate.
    if let Some(nonce) = proxy.authenticator.nonce_for(&head.headers) {
        client.hand_out(nonce);
    }
    let shown = Shown {
        headers: &head.headers,
        method: &head.method,
        resource: &route.target.resource,
        audience: &route.target.audience,
        certificate,
    };
    let principal = match proxy.authenticator.authenticate(shown).await {
        Ok(principal) => principal,
        Err(why) => return refuse(client, tape, Refusal::Unauthenticated(why), None),
    };
    tape.belongs_to(principal.recorded(certificate), &principal.tenant);

    if !proxy.gate.admits(&principal, Instant::now()) {
        return refuse(client, tape, Refusal::RateLimited, None);
    }

    // Authorize. What is refused is read all the same: the record says what was asked for.
    let authorized = principal.authorize(&route.target).map_err(Refusal::Forbidden);

    // Read.
    let mut room = proxy.gate.room();
    let body = if head.method == Method::POST {
        match message::read(&head.headers, body, &proxy.config.limits, &mut room).await {
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
        tape.asks(rpc_of(envelope), envelope.members.iter().map(rpc_of).collect());
        tape.names(envelope.protocol_version.clone(), envelope.trace_parent.clone());
    }
    let may = match authorized {
        Ok(may) => may,
        Err(why) => return refuse(client, tape, why, body),
    };
    if !names_one_revision_at_most(&head.headers) {
        return refuse(client, tape, Refusal::BadRevision, body);
    }

    // A handshake names the revision that it asks for, and is legacy itself.
    let claimed = envelope
        .as_ref()
        .filter(|one| one.method.as_deref() != Some("initialize"));
    let claimed = claimed.and_then(|one| one.protocol_version.as_deref());
    let modern = head::revision_of(&head.headers).or(claimed).is_some_and(is_modern);
    if modern && head.method != Method::POST {
        return refuse(client, tape, Refusal::OnlyPost, body);
    }
    if let Some(envelope) = &envelope
        && let Err(why) = agreement::check(&head.headers, envelope, modern)
    {
        return refuse(client, tape, Refusal::Mismatch(why), body);
    }

    if !modern && let Some(seen) = text_of(&head.headers, &LAST_EVENT_ID, LONGEST_EVENT_ID) {
        tape.resumes(seen);
    }

    // Session. The modern revisions have none, and ignore what claims one.
    let session = match session_of(&proxy, &may, &head.headers, modern) {
        Ok(session) => session,
        Err(why) => return refuse(client, tape, why, body),
    };
    if let Some(session) = &session {
        tape.in_session(session.opened_by, hash_of(session.target_id.as_bytes()));
    }

    // Record, and wait until it is durable.
    let going_cancels = modern || head.method == Method::GET;
    let listens = head.method == Method::GET
        || tape
            .asked()
            .is_some_and(|asked| asked.method.as_deref() == Some(LISTEN));
    let grace = if listens {
        Duration::ZERO
    } else {
        proxy.config.limits.call_grace
    };
    let expires = head::expiry(&principal, grace);
    let watch = proxy.authenticator.watch(&principal, &head.headers);
    let mut patience =
        Patience::new(client.gone(), proxy.cut_for(listens), going_cancels, expires).watching(watch, grace);
    // One wait for all that follows: its timer and its places among those who wait cost more than a look at them.
    let mut ended = pin!(patience.ends());
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
    let traceparent = tape.forwarding();
    let body = body.unwrap_or_default();
    route.flow.to_target(body.len());
    let target_session = session.as_ref().map(|session| session.target_id.clone());
    let asked = Asked {
        method: head.method.clone(),
        headers: &head.headers,
        session: target_session,
        rpc: tape.asked(),
        aside: &|| tape.aside(),
        modern,
        traceparent,
    };
    let answer = tokio::select! {
        // Boxed, for it is soon over, and the exchange's task may last for days.
        answer = Box::pin(forward(&route.upstream, &may, on_record, asked, body)) => answer,
        why = &mut ended => return interrupted(client, tape, why, fail),
    };
    drop(room);
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            match &error {
                // Nobody but the operator can mend it.
                SendError::NoCredential(error) => {
                    tracing::warn!(exchange = %tape.exchange_id(), target = %route.target.name, %error, "no credential");
                }
                error => tracing::debug!(exchange = %tape.exchange_id(), %error, "no answer"),
            }
            fail(client, &tape, &Failure::of_send(&error));
            return tape.end(match error {
                SendError::NotSent(_) | SendError::NoCredential(_) => End::NotForwarded,
                SendError::Lost(_) | SendError::Switched | SendError::Over => End::UpstreamLost,
            });
        }
    };

    // Stream the answer.
    let form = Form::of(&answer.headers);
    tape.answered_with(answer.status.as_u16(), text_of(&answer.headers, &CONTENT_TYPE, 256));
    let UpstreamAnswer { status, headers, body } = answer;
    // About what the proxy has shown, since nothing of the client's gets there: told of it, a client would look for a better
    // token, and there is none. So it is on record, and nobody is given it.
    let turns_us_away = status == StatusCode::UNAUTHORIZED;
    if turns_us_away {
        tape.ended_by(Failure::TurnedAway.rule());
    }
    let released = answer_head(&proxy, &mut tape, &may, session.as_ref(), modern, status, &headers);
    // An answer may last for days: what only its beginning needs goes now, and with it the buffers that heads were read into.
    drop((head, headers));
    let mut nobody = turns_us_away.then(|| client_side::pair(drop).0);
    let receiver = nobody.as_mut().unwrap_or(&mut client);
    let outcome = match form {
        Form::Encoded => {
            fail(client, &tape, &Failure::Encoded);
            return tape.end(End::Aborted);
        }
        Form::Events => {
            let _open = proxy.metrics.stream();
            relay_events(&mut tape, body, released, receiver, ended, &route.flow).await
        }
        Form::Message => relay_body(&mut tape, body, released, receiver, ended, &route.flow).await,
    };
    match outcome {
        Ok(()) if turns_us_away => fail(client, &tape, &Failure::TurnedAway),
        Ok(()) => {}
        Err(why) => interrupted(client, tape, why, fail),
    }
}

/// Ends an exchange whose answer will not be complete. A client that was told nothing yet is told now; what was
/// released already is cut.
fn interrupted(client: ClientSide, mut tape: Tape, why: Interrupted, fail: impl FnOnce(ClientSide, &Tape, &Failure)) {
    let end = match why {
        Interrupted::NotRecorded(reason) => {
            tracing::warn!(exchange = %tape.exchange_id(), %reason, "an answer is withheld");
            // It may be on record all the same, where Kafka has it and did not say so.
            tape.ended_by(Failure::Withheld.rule());
            End::Aborted
        }
        Interrupted::Stopped => End::Aborted,
        Interrupted::Expired | Interrupted::Lapsed(_) => {
            if let Some(rule) = Failure::of(why).map(|failure| failure.rule()) {
                tape.ended_by(rule);
            }
            End::Aborted
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what `make` gives, in bytes.
    fn size<A, B, C, D, E, F>(_: impl FnOnce(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_exchange_that_lasts_takes_little_memory() {
        let bytes = size(serve);
        assert!(
            bytes <= 6 * 1024,
            "{bytes} bytes for each exchange, as long as it lasts"
        );
    }

    #[test]
    fn what_sends_a_request_is_soon_made() {
        let bytes = size(forward);
        assert!(bytes <= 2 * 1024, "{bytes} bytes to copy for each exchange");
    }
}
