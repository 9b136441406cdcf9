//! `/healthz`, `/readyz` and `/metrics`, on an address of their own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tracing::{debug, warn};

use crate::metrics::Metrics;
use crate::sink::Sink;

/// Longest wait for ClickHouse in a readiness check.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the answers are made of.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// Ready is who reaches ClickHouse.
    pub sink: Sink,
}

impl Admin {
    /// Serves until it is dropped.
    pub async fn serve(self, listener: TcpListener) {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "accepting a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let admin = self.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| admin.clone().answer(request));
                let connection = auto::Builder::new(TokioExecutor::new());
                if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
                    debug!(%error, "an admin connection");
                }
            });
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let text = |status, text: String| {
            let mut response = Response::new(Full::from(text));
            *response.status_mut() = status;
            response
        };
        Ok(match request.uri().path() {
            "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" if self.sink.is_up(PATIENCE).await => text(StatusCode::OK, "ready\n".to_owned()),
            "/readyz" => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "ClickHouse does not answer\n".to_owned(),
            ),
            "/metrics" => {
                let mut response = text(StatusCode::OK, self.metrics.text());
                let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
                response
            }
            _ => text(
                StatusCode::NOT_FOUND,
                "here are /healthz, /readyz and /metrics\n".to_owned(),
            ),
        })
    }
}
