//! Traces on their way to an OpenTelemetry collector, from the proxy and from the consumer.
//!
//! Spans are handed to a thread of the SDK's and exported in batches, as OTLP over HTTP in protobuf; what a collector does not
//! take is lost, and nothing else waits for it. Off, unless an [`endpoint`] is configured.

mod client;
mod endpoint;
pub mod span;

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use url::Url;

use client::Client;
pub use endpoint::endpoint;

/// How long the last spans may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// Spans cannot be exported, whatever the collector's state.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// No HTTP client can be made.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The exporter takes no such endpoint.
    #[error("no exporter: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Exports the spans that its tracers make. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exporter {
    provider: SdkTracerProvider,
    service: &'static str,
}

impl Exporter {
    /// Exports to the collector at `endpoint`, the whole URL, as `service` where `OTEL_SERVICE_NAME` says nothing. The SDK
    /// heeds `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER` and `OTEL_BSP_*`; the exporter `OTEL_EXPORTER_OTLP_HEADERS`.
    ///
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// Where no client of this collector can be made. Whether it is there is not asked.
    pub fn start(endpoint: &Url, service: &'static str) -> Result<Self, OtlpError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new()?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint.as_str())
            .build()?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(service);
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        Ok(Self { provider, service })
    }

    /// Makes spans.
    #[must_use]
    pub fn tracer(&self) -> SdkTracer {
        self.provider.tracer(self.service)
    }

    /// Exports what is left, for a few seconds.
    pub async fn shutdown(&self) {
        let provider = self.provider.clone();
        // It waits for the SDK's thread.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(GOODBYE)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}
