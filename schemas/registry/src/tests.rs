use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;

/// Answers every request the same, and tells what it was asked: method, path, authorization and body.
async fn serve(status: u16, answer: &'static str) -> (Registry, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/apis/ccompat/v7/", listener.local_addr().expect("an address"));
    let (asked, told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let asked = asked.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let asked = asked.clone();
                async move {
                    let login = request.headers().get("authorization").cloned();
                    let login = login
                        .and_then(|value| value.to_str().map(str::to_owned).ok())
                        .unwrap_or_default();
                    let head = format!("{} {} {login} ", request.method(), request.uri().path());
                    let body = request.into_body().collect().await.expect("a body").to_bytes();
                    let _ = asked.send(head + &String::from_utf8_lossy(&body));
                    let mut response = Response::new(Full::new(Bytes::from_static(answer.as_bytes())));
                    *response.status_mut() = hyper::StatusCode::from_u16(status).expect("a status");
                    Ok::<_, Infallible>(response)
                }
            });
            let builder = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
            tokio::spawn(async move {
                builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await
                    .map_err(drop)
            });
        }
    });
    let config = SchemaRegistry {
        url: url.parse().expect("a URL"),
        login: Some(("alice".to_owned(), "secret".to_owned().into())),
        ca: None,
    };
    (Registry::new(&config).expect("a client"), told)
}

#[tokio::test]
async fn a_schema_is_registered_for_a_topics_values_with_the_login() {
    let (registry, mut asked) = serve(200, r#"{"id":7}"#).await;
    assert_eq!(
        registry
            .register("mcp.frames.v1", r#""string""#)
            .await
            .expect("registered"),
        7
    );
    let expected = "POST /apis/ccompat/v7/subjects/mcp.frames.v1-value/versions Basic YWxpY2U6c2VjcmV0 \
        {\"schema\":\"\\\"string\\\"\",\"schemaType\":\"AVRO\"}";
    assert_eq!(asked.recv().await.expect("a request"), expected);
    assert!(!format!("{registry:?}").contains("secret"));
}

#[tokio::test]
async fn an_id_that_is_not_there_is_none_and_a_known_one_has_its_text() {
    let (registry, _asked) = serve(404, r#"{"error_code":40403,"message":"Schema 9 not found"}"#).await;
    assert_eq!(registry.schema(9).await.expect("an answer"), None);
    let (registry, mut asked) = serve(200, r#"{"schema":"\"string\""}"#).await;
    assert_eq!(
        registry.schema(9).await.expect("an answer").as_deref(),
        Some(r#""string""#)
    );
    let path = asked.recv().await.expect("a request");
    assert!(path.starts_with("GET /apis/ccompat/v7/schemas/ids/9 "), "{path}");
}

#[tokio::test]
async fn what_no_retry_mends_is_told_from_what_one_does() {
    for (status, is_permanent) in [(409, true), (401, true), (302, true), (500, false), (429, false)] {
        let (registry, _asked) = serve(status, r#"{"message":"no"}"#).await;
        let error = registry.register("t", "{}").await.expect_err("it is refused");
        assert_eq!(error.is_permanent(), is_permanent, "{error}");
        assert!(error.to_string().ends_with(": no"), "{error}");
    }
    let config = SchemaRegistry {
        url: "http://127.0.0.1:1/".parse().expect("a URL"),
        login: None,
        ca: None,
    };
    let error = Registry::new(&config)
        .expect("a client")
        .schema(1)
        .await
        .expect_err("nobody is there");
    assert!(!error.is_permanent());
    let (registry, _asked) = serve(200, "<html>").await;
    assert!(registry.schema(1).await.expect_err("no registry").is_permanent());
}
