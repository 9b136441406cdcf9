//! What is at a path.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::client_side::{self, AnswerBody};
use crate::identity::challenge;
use crate::listen::Peer;
use crate::proxy::{Proxy, Route};
use crate::request;

enum Place<'a> {
    Mcp(&'a Arc<Route>),
    Metadata(&'a Arc<Route>),
    Nowhere,
}

/// The name in `{target}/mcp`.
fn target_of(path: &str) -> Option<&str> {
    path.strip_suffix("/mcp")
        .filter(|name| !name.is_empty() && !name.contains('/'))
}

impl Proxy {
    fn place(&self, path: &str) -> Place<'_> {
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
    match proxy.place(request.uri().path()) {
        Place::Mcp(route) => {
            let route = Arc::clone(route);
            let count = {
                let (proxy, target) = (Arc::clone(&proxy), route.target.name.clone());
                let method = request.method().clone();
                move |status: StatusCode| proxy.metrics.answered(&target, &method, status.as_u16())
            };
            let (client, awaited) = client_side::pair(count.clone());
            proxy
                .exchanges
                .spawn(request::serve(Arc::clone(&proxy), route, peer, request, client));
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
        Place::Metadata(route) if request.method() == Method::GET => {
            proxy.metrics.answered(&route.target.name, request.method(), 200);
            let metadata =
                challenge::resource_metadata(&route.target, &proxy.config.issuers, &proxy.authenticator.scopes());
            plain(StatusCode::OK, "application/json", metadata.into())
        }
        Place::Metadata(route) => {
            proxy.metrics.answered(&route.target.name, request.method(), 405);
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".into());
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            response
        }
        Place::Nowhere => {
            proxy.metrics.answered("", request.method(), 404);
            plain(
                StatusCode::NOT_FOUND,
                "text/plain",
                "nothing here; targets are at /{target}/mcp\n".into(),
            )
        }
    }
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
