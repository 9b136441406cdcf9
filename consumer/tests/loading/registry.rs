//! A schema registry that knows one schema, under every id.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tapedeck_config::SchemaRegistry;
use tokio::net::TcpListener;

/// Serves until the test's runtime ends.
pub(crate) async fn serve(schema: &'static str) -> SchemaRegistry {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    // Of an answer readers take what they look for.
    let answer = Bytes::from(serde_json::json!({ "id": 1, "schema": schema }).to_string());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |_| {
                let answer = answer.clone();
                async move { Ok::<_, Infallible>(Response::new(Full::new(answer))) }
            });
            tokio::spawn(async move {
                let builder = Builder::new(TokioExecutor::new());
                builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await
                    .map_err(drop)
            });
        }
    });
    SchemaRegistry {
        url: url.parse().expect("a URL"),
        login: None,
        ca: None,
    }
}
