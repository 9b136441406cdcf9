//! An MCP server that does nothing but answer.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::load::KIBIBYTE;

/// Answers every request, once it is read, with 1 KiB of JSON: a tool's result for the call with id 1.
///
/// # Errors
/// When the address is taken.
pub fn serve(address: SocketAddr) -> std::io::Result<()> {
    let answer = answer();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answer = answer.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer.clone();
                async move {
                    // A body that breaks off has no one left to be answered.
                    let _ = request.into_body().collect().await;
                    let mut response = Response::new(Full::new(answer));
                    let json = HeaderValue::from_static("application/json");
                    response.headers_mut().insert(CONTENT_TYPE, json);
                    Ok::<_, Infallible>(response)
                }
            });
            // A connection that fails is its client's to report.
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    })
}

fn answer() -> Bytes {
    let (head, tail) = (
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":""#,
        r#""}]}}"#,
    );
    let text = "ok ".repeat(KIBIBYTE);
    Bytes::from(format!("{head}{}{tail}", &text[..KIBIBYTE - head.len() - tail.len()]))
}
