//! Traces for OpenTelemetry: a span for each exchange, and one in it for what its target does. Off, unless configured.
//!
//! Spans say what the frames of an exchange say, less what was said: no payload, no token, nobody's name. What a collector
//! does not take is lost, and no exchange waits for it.

mod exchange;

use opentelemetry_sdk::trace::SdkTracer;
use tapedeck_otlp::{Exporter, OtlpError};
use url::Url;

pub(crate) use exchange::ExchangeTrace;

/// Makes the spans of exchanges. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces(Option<On>);

#[derive(Clone, Debug)]
struct On {
    exporter: Exporter,
    tracer: SdkTracer,
}

impl Traces {
    /// Exports to the collector at `endpoint`, the whole URL; to none, where there is none.
    ///
    /// Must be called within a Tokio runtime.
    pub(crate) fn start(endpoint: Option<&Url>) -> Result<Self, OtlpError> {
        let Some(endpoint) = endpoint else {
            return Ok(Self(None));
        };
        let exporter = Exporter::start(endpoint, "tapedeck-proxy")?;
        let tracer = exporter.tracer();
        Ok(Self(Some(On { exporter, tracer })))
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
        if let Some(on) = &self.0 {
            on.exporter.shutdown().await;
        }
    }
}
