use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::stream;
use http::Request;
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Times, connection};
use crate::serve::edge::Peer;

const TIMES: Times = Times {
    head: Duration::from_millis(150),
    idle: Duration::from_millis(300),
    goodbye: Duration::from_millis(100),
};
/// Much longer than any of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that is served, and its client's end.
fn connected() -> (DuplexStream, JoinHandle<()>) {
    let (client, server) = duplex(64 * 1024);
    let slow = || async {
        let words = stream::unfold(0, async |number| {
            tokio::time::sleep(2 * TIMES.idle / 3).await;
            (number < 4).then_some((Ok::<_, Infallible>(format!("{number};")), number + 1))
        });
        Body::from_stream(words)
    };
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/slow", get(slow));
    let peer = Peer("127.0.0.1:1".parse().expect("an address"));
    let served = connection(server, peer, router, CancellationToken::new(), TIMES);
    (client, tokio::spawn(served))
}

/// How long it took the connection to end.
async fn ended(served: JoinHandle<()>, since: Instant) -> Duration {
    let ended = tokio::time::timeout(PATIENCE, served).await;
    ended.expect("it ends").expect("it does not panic");
    since.elapsed()
}

#[tokio::test]
async fn who_says_nothing_or_begins_a_head_and_never_ends_it_is_left() {
    // Nothing; the beginning of HTTP/1; HTTP/2's greeting and settings; and then a head that is to go on (RFC 9113, 6.2).
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let head = b"\0\0\x01\x01\0\0\0\0\x01\x82";
    for said in [
        &b""[..],
        b"GET / HTTP/1.1\r\nHo",
        settings,
        &[&settings[..], head].concat(),
    ] {
        let begun = Instant::now();
        let (mut client, served) = connected();
        client.write_all(said).await.expect("there is room");
        let took = ended(served, begun).await;
        assert!(took >= TIMES.head, "{said:?} took {took:?}");
        drop(client);
    }
}

#[tokio::test]
async fn an_http2_connection_ends_when_it_is_idle_and_not_while_an_answer_goes_on() {
    let (client, served) = connected();
    let (mut sender, driven) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client))
        .await
        .expect("a connection");
    tokio::spawn(driven);
    let mut ask = async |path: &str| {
        let request = Request::get(format!("http://console.test{path}")).body(Body::empty());
        let answer = sender
            .send_request(request.expect("a request"))
            .await
            .expect("an answer");
        answer.into_body().collect().await.expect("all of it").to_bytes()
    };
    assert_eq!(ask("/").await, "hello");
    // It goes on for longer than a connection may be idle.
    assert_eq!(ask("/slow").await, "0;1;2;3;");
    let begun = Instant::now();
    let took = ended(served, begun).await;
    // The answer's last byte was here a moment before its body was gone there.
    assert!(took + Duration::from_millis(50) >= TIMES.idle, "{took:?}");
}
