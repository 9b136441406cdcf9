//! An OpenTelemetry collector that hands on to us what it was sent, for tests.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::fetch::{self, FetchError};
use crate::folder::Site;
use crate::ports;
use crate::process::{Launch, ProcessError, Server};
use crate::progress::Step;

/// Where its modules are pinned, in `deploy/dev`.
const RECIPE: &str = "collector";
/// For people, in a folder's name; `go.mod` decides.
const VERSION: &str = "0.160.0";

/// Longer than it takes to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// The collector could not be started.
#[derive(Debug, Error)]
pub enum CollectorError {
    /// It could not be installed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// No port is free, a file cannot be written, or no client can be made.
    #[error("cannot prepare the collector: {0}")]
    Prepare(#[from] io::Error),
    /// Its process failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// A running collector. It ends when this is dropped.
#[derive(Debug)]
pub struct Collector {
    url: String,
    backend: Backend,
    _server: Server,
}

/// Where the collector exports to: keeps every request.
#[derive(Debug)]
struct Backend {
    url: String,
    received: Arc<Mutex<String>>,
    task: AbortHandle,
}

impl Backend {
    async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let received: Arc<Mutex<String>> = Arc::default();
        let all = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let all = Arc::clone(&all);
                let service = service_fn(move |request: Request<Incoming>| {
                    let all = Arc::clone(&all);
                    async move {
                        // One that breaks off comes again.
                        if let Ok(body) = request.into_body().collect().await {
                            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                            all.push_str(&String::from_utf8_lossy(&body.to_bytes()));
                            all.push('\n');
                        }
                        let mut answer = Response::new(Full::new(Bytes::from_static(b"{}")));
                        let json = http::HeaderValue::from_static("application/json");
                        answer.headers_mut().insert(http::header::CONTENT_TYPE, json);
                        Ok::<_, Infallible>(answer)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self {
            url,
            received,
            task: task.abort_handle(),
        })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Collector {
    /// Builds the collector if need be, and starts it. When this returns, it has taken an empty request.
    ///
    /// # Errors
    /// When it cannot be built or started; the error quotes its log.
    pub async fn start(site: Site<'_>) -> Result<Self, CollectorError> {
        let home = fetch::go(site.folder, RECIPE, VERSION, site.progress).await?;
        let port = ports::free()?;
        let room = site.run.room(RECIPE).map_err(io::Error::other)?;
        let backend = Backend::start().await?;
        let config = room.join("collector.yaml");
        fs::write(
            &config,
            format!(
                "receivers:\n  otlp:\n    protocols:\n      http:\n        endpoint: 127.0.0.1:{port}\n\
                 exporters:\n  otlp_http:\n    endpoint: {}\n    encoding: json\n    compression: none\n\
                 service:\n  telemetry:\n    metrics:\n      level: none\n\
                 \x20 pipelines:\n    traces:\n      receivers: [otlp]\n      exporters: [otlp_http]\n",
                backend.url
            ),
        )?;
        let launch = Launch::new("the collector", home.join(RECIPE), site.run.log(&room))
            .current_dir(&room)
            .arg("--config")
            .arg(&config);
        let part = "the OpenTelemetry collector";
        site.progress.report(Step::Starting { part });
        let began = Instant::now();
        let server = Server::start(launch)?;
        let url = format!("http://127.0.0.1:{port}");
        let http = reqwest::Client::new();
        let traces = format!("{url}/v1/traces");
        let probe = async || {
            let empty = http.post(&traces).header("content-type", "application/json").body("{}");
            match empty.send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(answer.status().to_string()),
                Err(error) => Err(error.to_string()),
            }
        };
        server.child().ready(START, probe).await?;
        let after = began.elapsed();
        site.progress.report(Step::Ready { part, after });
        Ok(Self {
            url,
            backend,
            _server: server,
        })
    }

    /// Where it takes OTLP over HTTP.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All that it has handed on: an export request in OTLP's JSON on each line.
    #[must_use]
    pub fn received(&self) -> String {
        let received = self.backend.received.lock();
        received.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spans in that, each with its `service`.
    ///
    /// # Errors
    /// When a line is no JSON.
    pub fn spans(&self) -> Result<Vec<Value>, serde_json::Error> {
        let mut spans = Vec::new();
        for line in self.received().lines() {
            let request: Value = serde_json::from_str(line)?;
            for resource in items(&request["resourceSpans"]) {
                let service = items(&resource["resource"]["attributes"])
                    .find(|attribute| attribute["key"] == "service.name")
                    .map_or(Value::Null, |attribute| attribute["value"]["stringValue"].clone());
                for span in items(&resource["scopeSpans"]).flat_map(|scope| items(&scope["spans"])) {
                    let mut span = span.clone();
                    span["service"] = service.clone();
                    spans.push(span);
                }
            }
        }
        Ok(spans)
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
