//! What operators ask: is it alive, could it record now, what has it counted.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::client_side::AnswerBody;
use crate::reload::Current;
use crate::route::plain;

/// OpenMetrics 1.0, text form.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the pages show.
pub(crate) struct Admin {
    current: Arc<Current>,
    registry: Registry,
}

impl Admin {
    pub(crate) fn new(current: Arc<Current>, registry: Registry) -> Self {
        Self { current, registry }
    }
}

/// `/healthz`: the process serves. `/readyz`: a frame could be recorded now, so no call would be refused for want of
/// Kafka; 503 and the reason otherwise. `/readyz/{target}`: no call of that target. `/metrics`. `/config`: since when the configuration is in force, and why a later one
/// is not.
pub(crate) async fn answer(admin: Arc<Admin>, request: Request<Incoming>) -> Response<AnswerBody> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".into());
    }
    match request.uri().path() {
        "/healthz" => plain(StatusCode::OK, "text/plain", "ok\n".into()),
        "/readyz" => readiness(admin.current.proxy().ready()),
        "/config" => plain(StatusCode::OK, "text/plain", admin.current.account().into()),
        "/metrics" => {
            let mut text = String::new();
            match encode(&mut text, &admin.registry) {
                Ok(()) => plain(StatusCode::OK, OPENMETRICS, text.into()),
                Err(_) => plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "text/plain",
                    "metrics cannot be written\n".into(),
                ),
            }
        }
        path => {
            let proxy = admin.current.proxy();
            let route = path.strip_prefix("/readyz/").and_then(|name| proxy.routes.get(name));
            match route {
                Some(route) => readiness(proxy.is_ready_for(route)),
                None => plain(
                    StatusCode::NOT_FOUND,
                    "text/plain",
                    "/healthz, /readyz, /readyz/{target}, /metrics, /config\n".into(),
                ),
            }
        }
    }
}

fn readiness(found: Result<(), String>) -> Response<AnswerBody> {
    match found {
        Ok(()) => plain(StatusCode::OK, "text/plain", "ready\n".into()),
        Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{why}\n").into()),
    }
}
