//! The key `otlp`: where traces go.

use secrecy::ExposeSecret as _;
use tapedeck_config::{Field, Reader, SecretSource};
use url::Url;

/// Where an endpoint takes traces (OTLP specification, "OTLP/HTTP Request").
const TRACES: &str = "v1/traces";
/// The variables that OpenTelemetry itself has for it: the whole URL, and what [`TRACES`] is appended to.
const WHOLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The URL that takes traces: of the key, below which it is, else of OpenTelemetry's variables. The outer `None`: it is wrong,
/// and reported; the inner one: traces are off.
pub fn endpoint(field: Option<Field<'_, Url>>, reader: &Reader) -> Option<Option<Url>> {
    if let Some(field) = field.filter(Field::is_present) {
        return field.optional().map(|base| Some(below(base)));
    }
    let variable = |name: &str| {
        let value = SecretSource::Env(name.to_owned()).text(reader.environment()).ok()?;
        match Url::parse(value.expose_secret()) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Some(Some(url)),
            _ => {
                reader.problem(
                    0..0,
                    format!("the environment variable {name} is not an http or https URL"),
                );
                Some(None)
            }
        }
    };
    match (variable(WHOLE), variable(BASE)) {
        (Some(whole), _) => whole.map(Some),
        (None, Some(base)) => base.map(|base| Some(below(base))),
        (None, None) => Some(None),
    }
}

fn below(mut base: Url) -> Url {
    let path = format!("{}/{TRACES}", base.path().trim_end_matches('/'));
    base.set_path(&path);
    base
}
