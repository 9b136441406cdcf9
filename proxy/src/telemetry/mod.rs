//! Traces for OpenTelemetry: a span for each exchange, and one in it for what its target does. Off, unless configured.
//!
//! Spans say what the frames of an exchange say, less what was said: no payload, no token, nobody's name. They are handed to
//! a thread of the SDK's and exported in batches, as OTLP over HTTP in protobuf; what a collector does not take is lost, and no
//! exchange waits for it.

mod exchange;
mod export;

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use url::Url;

pub(crate) use exchange::ExchangeTrace;
use export::Client;

/// Who the spans are from, where `OTEL_SERVICE_NAME` says nothing.
const SERVICE: &str = "tapedeck-proxy";
/// How long the last spans may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// Spans cannot be exported, whatever the collector's state.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// No HTTP client can be made.
    #[error("no HTTP client: {0}")]
    Client(#[from] openidconnect::reqwest::Error),
    /// The exporter takes no such endpoint.
    #[error("no exporter: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Makes the spans of exchanges. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces(Option<On>);

#[derive(Clone, Debug)]
struct On {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Exports to the collector at `endpoint`, the whole URL; to none, where there is none. The SDK heeds `OTEL_SERVICE_NAME`,
    /// `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER` and `OTEL_BSP_*`; the exporter `OTEL_EXPORTER_OTLP_HEADERS`.
    ///
    /// Must be called within a Tokio runtime.
    pub(crate) fn start(endpoint: Option<&Url>) -> Result<Self, TelemetryError> {
        let Some(endpoint) = endpoint else {
            return Ok(Self(None));
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new()?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint.as_str())
            .build()?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(SERVICE);
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("tapedeck-proxy");
        Ok(Self(Some(On { provider, tracer })))
    }

    /// The trace of an exchange that begins now.
    pub(crate) fn exchange(&self) -> ExchangeTrace {
        match &self.0 {
            None => ExchangeTrace::default(),
            Some(on) => ExchangeTrace::begin(on.tracer.clone()),
        }
    }

    /// Exports what is left.
    pub(crate) async fn shutdown(&self) {
        let Some(on) = self.0.clone() else { return };
        // It waits for the SDK's thread.
        let ended = tokio::task::spawn_blocking(move || on.provider.shutdown_with_timeout(GOODBYE)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}
