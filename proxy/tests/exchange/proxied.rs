//! Clients behind a load balancer that passes connections on.

use tapedeck_schemas::{Direction, Frame, Kind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{Reply, Rig, Target, of_kind};
use crate::{RESULT, call};

/// Sends bytes on a connection of their own and reads until it is closed.
async fn said(rig: &Rig, sent: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(rig.address()).await.expect("the proxy listens");
    stream.write_all(&sent.concat()).await.expect("the proxy reads");
    let mut answer = Vec::new();
    // Closed, with or without a word.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}

fn request(rig: &Rig, more: &str) -> Vec<u8> {
    let body = call(1, "announced");
    let head = format!(
        "POST /demo/mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         connection: close\r\n{more}content-length: {}\r\n\r\n{body}",
        rig.token(),
        body.len()
    );
    head.into_bytes()
}

fn addresses(frames: &[Frame]) -> Vec<&str> {
    let asked = of_kind(frames, Kind::Message).into_iter();
    asked
        .filter(|frame| frame.direction == Direction::ToTarget)
        .map(|frame| frame.client.address.as_str())
        .collect()
}

async fn rig(top: &str) -> Rig {
    let target = Target::start(|_| async { Reply::json(RESULT) }).await;
    Rig::like(target, "http://127.0.0.1:9", top, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_first_where_its_client_is_and_without_that_nothing_is_read() {
    let rig = rig("trusted_proxies = [\"127.0.0.0/8\"]\nproxy_protocol = true").await;
    let version_1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n";
    let mut version_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    version_2.extend([198, 51, 100, 1, 127, 0, 0, 1, 0x12, 0x34, 0, 80]);
    for header in [&version_1[..], &version_2] {
        let answer = said(&rig, &[header, &request(&rig, "")]).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // Whom it passes on is no proxy that is trusted: what that says of its own address does not count.
    let claims = request(&rig, "x-forwarded-for: 203.0.113.9\r\n");
    assert!(said(&rig, &[version_1, &claims]).await.starts_with("HTTP/1.1 200"));
    assert_eq!(said(&rig, &[&request(&rig, "")]).await, "");
    let frames = rig.stop_and_read().await;
    assert_eq!(addresses(&frames), ["192.0.2.7", "198.51.100.1", "192.0.2.7"]);
    let refused = of_kind(&frames, Kind::Refused);
    assert_eq!(refused.len(), 1);
    assert_eq!(
        refused[0].decision.as_ref().map(|why| why.rule.as_str()),
        Some("malformed_http")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_announces_anything() {
    let rig = rig("trusted_proxies = [\"10.0.0.0/8\"]\nproxy_protocol = true").await;
    let header = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n";
    assert!(
        said(&rig, &[header, &request(&rig, "")])
            .await
            .starts_with("HTTP/1.1 400")
    );
    assert!(said(&rig, &[&request(&rig, "")]).await.starts_with("HTTP/1.1 200"));
    assert_eq!(addresses(&rig.stop_and_read().await), ["127.0.0.1"]);
}
