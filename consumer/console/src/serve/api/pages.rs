//! The API's description: as JSON, and as a page for people, without scripts and without other hosts.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::Value;
use utoipa::openapi::OpenApi;

use crate::serve::Console;
use crate::serve::access::nothing_recorded;

const STYLE: &str = include_str!("style.css");

/// The description, ready to be sent.
#[derive(Debug)]
pub(in crate::serve) struct Described {
    json: String,
    page: String,
}

impl Described {
    pub(in crate::serve) fn new(description: &OpenApi) -> Self {
        let json = description
            .to_json()
            .expect("a description made of strings and maps is JSON");
        let value = serde_json::from_str(&json).expect("it was written as JSON just now");
        Self {
            page: page(&value),
            json,
        }
    }
}

/// `/api/`, its style sheet, and `/api/openapi.json`.
pub(in crate::serve) fn pages(described: Arc<Described>) -> Router<Arc<Console>> {
    Router::new()
        .route("/api/", get(html))
        .route(
            "/api/style.css",
            get(async || text("text/css; charset=utf-8", STYLE.to_owned())),
        )
        .route("/api/openapi.json", get(json))
        .layer(Extension(described))
}

async fn html(Extension(described): Extension<Arc<Described>>) -> Response {
    text("text/html; charset=utf-8", described.page.clone())
}

async fn json(Extension(described): Extension<Arc<Described>>) -> Response {
    text("application/json", described.json.clone())
}

fn text(kind: &'static str, body: String) -> Response {
    nothing_recorded(([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], body).into_response())
}

/// One section for each operation, in the order of the description's tags.
fn page(description: &Value) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>tapedeck API</title><link rel=\"stylesheet\" href=\"/api/style.css\"></head>\
         <body><main><h1>tapedeck API</h1><p>{}</p><p><a href=\"/api/openapi.json\">openapi.json</a> · \
         <a href=\"/auth/sign-in?return_to=/api/\">Sign in</a> · <a href=\"/api/v1/me\">Who am I?</a></p>",
        escaped(&description["info"]["description"])
    );
    for tag in description["tags"].as_array().into_iter().flatten() {
        let _ = write!(
            page,
            "<h2>{}</h2><p>{}</p>",
            escaped(&tag["name"]),
            escaped(&tag["description"])
        );
        for (path, operations) in description["paths"].as_object().into_iter().flatten() {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                let tags = operation["tags"].as_array();
                if tags.is_some_and(|tags| tags.contains(&tag["name"])) {
                    section(&mut page, path, method, operation);
                }
            }
        }
    }
    page.push_str("</main></body></html>");
    page
}

fn section(page: &mut String, path: &str, method: &str, operation: &Value) {
    let _ = write!(
        page,
        "<details id=\"{}\"><summary><code>{} {}</code> {}</summary>",
        escaped(&operation["operationId"]),
        escape(&method.to_uppercase()),
        escape(path),
        escaped(&operation["summary"]),
    );
    if let Some(text) = operation["description"].as_str() {
        let _ = write!(page, "<p>{}</p>", escape(text));
    }
    let parameters = operation["parameters"].as_array();
    if let Some(parameters) = parameters.filter(|parameters| !parameters.is_empty()) {
        page.push_str(
            "<table><thead><tr><th>Parameter</th><th>In</th><th>Type</th><th>Meaning</th></tr></thead><tbody>",
        );
        for parameter in parameters {
            let _ = write!(
                page,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escaped(&parameter["name"]),
                escaped(&parameter["in"]),
                escape(&kind(&parameter["schema"])),
                escaped(&parameter["description"]),
            );
        }
        page.push_str("</tbody></table>");
    }
    page.push_str("<ul>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let content = response["content"].as_object().into_iter().flatten();
        let kinds: Vec<String> = content
            .map(|(media, body)| format!("{media} {}", kind(&body["schema"])))
            .collect();
        let _ = write!(
            page,
            "<li><code>{}</code> {} {}</li>",
            escape(status),
            escape(&kinds.join(", ")),
            escaped(&response["description"])
        );
    }
    page.push_str("</ul></details>");
}

/// A schema in a word.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or(name).to_owned();
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | ");
    }
    let name = match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect(),
        _ => {
            return schema["oneOf"]
                .as_array()
                .into_iter()
                .flatten()
                .map(kind)
                .collect::<Vec<_>>()
                .join(" ");
        }
    };
    match schema["format"].as_str() {
        Some(format) => format!("{name} ({format})"),
        None => name,
    }
}

fn escaped(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Described, escape};
    use crate::serve::api;

    #[test]
    fn the_page_shows_every_operation_and_asks_no_other_host() {
        let description = api::description();
        let described = Described::new(&description);
        for path in description.paths.paths.keys() {
            assert!(described.page.contains(&escape(path)), "{path}");
        }
        assert!(
            !described.page.contains("<script") && !described.page.contains("//"),
            "{}",
            described.page
        );
        assert!(!described.page.contains("style="), "the policy forbids it");
    }

    #[test]
    fn the_description_is_openapi_3_1() {
        let json = crate::serve::openapi();
        assert!(json.contains("\"openapi\": \"3.1"), "{json}");
    }
}
