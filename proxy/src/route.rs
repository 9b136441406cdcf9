//! What is at a path.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tapedeck_schemas::{Client, Frame, Protocol};
use uuid::Uuid;

use crate::client_side::{self, AnswerBody};
use crate::cors::{self, Readers};
use crate::ends::Tape;
use crate::identity::challenge;
use crate::listen::{Peer, Unreadable};
use crate::metrics::Answers;
use crate::proxy::{Proxy, Route};
use crate::record::Copies;
use crate::request;

enum Place<'a> {
    Mcp(&'a Arc<Route>),
    Metadata(&'a Arc<Route>),
    /// Clients of revision 2025-03-26 take the proxy for its authorization server, and look for it at the origin.
    AuthorizationServer,
    Nowhere,
}

/// The name in `{target}/mcp`.
fn target_of(path: &str) -> Option<&str> {
    path.strip_suffix("/mcp")
        .filter(|name| !name.is_empty() && !name.contains('/'))
}

impl Proxy {
    fn place(&self, path: &str) -> Place<'_> {
        if path == "/.well-known/oauth-authorization-server" {
            return Place::AuthorizationServer;
        }
        if let Some(name) = path
            .strip_prefix("/.well-known/oauth-protected-resource/")
            .and_then(target_of)
        {
            return self.routes.get(name).map_or(Place::Nowhere, Place::Metadata);
        }
        let route = path
            .strip_prefix('/')
            .and_then(target_of)
            .and_then(|name| self.routes.get(name));
        route.map_or(Place::Nowhere, Place::Mcp)
    }
}

/// Answers one request of a client. An exchange with a target goes on in its own task whatever becomes of this one.
pub(crate) async fn answer(proxy: Arc<Proxy>, peer: Peer, request: Request<Incoming>) -> Response<AnswerBody> {
    let place = proxy.place(request.uri().path());
    let readers = match place {
        Place::Mcp(_) => Some(Readers::Clients(&proxy.config.origins)),
        Place::Metadata(_) | Place::AuthorizationServer => Some(Readers::Everyone),
        Place::Nowhere => None,
    };
    let Some(readers) = readers else {
        proxy.elsewhere.count(request.method(), StatusCode::NOT_FOUND);
        let body = "nothing here; targets are at /{target}/mcp\n";
        return plain(StatusCode::NOT_FOUND, "text/plain", body.into());
    };
    if cors::is_preflight(request.method(), request.headers()) {
        return cors::preflight(request.headers(), readers);
    }
    let reader = readers.reader(request.headers());
    let mut response = at(place, &proxy, peer, request).await;
    cors::expose(reader, response.headers_mut());
    response
}

async fn at(place: Place<'_>, proxy: &Arc<Proxy>, peer: Peer, request: Request<Incoming>) -> Response<AnswerBody> {
    match place {
        Place::Mcp(route) => {
            let count = {
                let (route, method) = (Arc::clone(route), request.method().clone());
                move |status: StatusCode| route.answers.count(&method, status)
            };
            let (client, awaited) = client_side::pair(count.clone());
            // Boxed: a task is moved as a whole several times before it runs, and once when it ends.
            let exchange = Box::pin(request::serve(
                Arc::clone(proxy),
                Arc::clone(route),
                peer,
                request,
                client,
            ));
            proxy.exchanges.spawn(exchange);
            match awaited.answer().await {
                Some(response) => response,
                // It panicked. Its drop guards have ended it on record.
                None => {
                    let status = StatusCode::INTERNAL_SERVER_ERROR;
                    count(status);
                    plain(status, "text/plain", "internal error\n".into())
                }
            }
        }
        Place::Metadata(route) => {
            let metadata = challenge::resource_metadata(&route.target, &proxy.config.issuers, &proxy.offer());
            document(&route.answers, &request, Some(metadata.into()))
        }
        Place::AuthorizationServer => {
            let metadata = proxy.authenticator.authorization_server();
            document(&proxy.elsewhere, &request, metadata)
        }
        Place::Nowhere => unreachable!("answered by the caller"),
    }
}

/// A document for clients to find their way by; none: it is not known now.
fn document(answers: &Answers, request: &Request<Incoming>, document: Option<Bytes>) -> Response<AnswerBody> {
    let response = match document {
        _ if request.method() != Method::GET => {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".into());
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            refused
        }
        Some(document) => plain(StatusCode::OK, "application/json", document),
        None => {
            let body = "the issuer has not answered yet\n";
            let mut away = plain(StatusCode::SERVICE_UNAVAILABLE, "text/plain", body.into());
            away.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            away
        }
    };
    answers.count(request.method(), response.status());
    response
}

/// Records that something came of which no request could be made. Nobody is known, and no target.
pub(crate) fn unreadable(proxy: &Proxy, peer: Peer, why: Unreadable) {
    let (rule, status) = match why {
        Unreadable::Malformed => ("malformed_http", StatusCode::BAD_REQUEST),
        Unreadable::HeadTooLarge => ("head_too_large", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
    };
    tracing::debug!(reason = rule, "refused");
    proxy.metrics.refused(rule);
    let frame = Frame {
        exchange_id: Uuid::now_v7(),
        client: Client {
            address: peer.address.ip().to_canonical().to_string(),
            ..Client::default()
        },
        protocol: Protocol {
            transport: peer.transport.to_owned(),
            ..Protocol::default()
        },
        ..Frame::default()
    };
    // No promise of how many copies there are hangs on a refusal.
    Tape::of_stranger(proxy.recorder.clone(), Copies::One.into(), frame).refuse(rule, status.as_u16(), None);
}

/// An answer that is no exchange's.
pub(crate) fn plain(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
