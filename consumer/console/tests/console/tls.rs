//! TLS of the console's own.

use reqwest::{Certificate, redirect};
use tokio::net::TcpListener;

use crate::stack::{PATIENCE, Stack};

#[tokio::test]
async fn the_console_serves_tls_and_tells_browsers_to_stay_with_it() {
    let stack = Stack::get().await;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let room = stack.room();
    let (certificate, key) = (room.join("console.pem"), room.join("console.key"));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!(
        "https://localhost:{}",
        listener.local_addr().expect("an address").port()
    );
    let tls = format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display()
    );
    stack.serve_at(listener, &url, &stack.clickhouse.url(), &tls);
    let root = Certificate::from_pem(made.cert.pem().as_bytes()).expect("a certificate");
    let client = reqwest::Client::builder()
        .add_root_certificate(root)
        .redirect(redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .expect("a client");
    let answer = client.get(format!("{url}/healthz")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("strict-transport-security"));
    let plain = reqwest::Client::new().get(format!("{url}/healthz")).send().await;
    assert!(
        plain.is_err(),
        "a client that does not know the certificate does not come in"
    );
}
