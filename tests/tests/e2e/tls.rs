//! Clients are served over TLS, in the protocol that they choose, and the record says which.

use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::generate_simple_self_signed;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use serde_json::json;
use tapedeck_tests::{Client, Deck, DeckOptions, parts, run, target};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const NAME: &str = "mcp.example.com";

async fn connect(address: &str, roots: RootCertStore, protocol: &[u8]) -> Result<TlsStream<TcpStream>> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from(NAME)?, stream)
        .await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    Ok(stream)
}

fn initialize(uri: &str, token: &str) -> Result<Request<Full<Bytes>>> {
    let request = Request::post(uri)
        .header("host", NAME)
        .header("authorization", format!("Bearer {token}"))
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json");
    Ok(request.body(Client::initialization(1).to_string().into())?)
}

#[test]
fn tls_clients_are_served_over_http_1_and_2_and_the_record_says_which() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let made = generate_simple_self_signed(vec![NAME.to_owned()])?;
        let folder = tempfile::tempdir()?;
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        fs::write(&certificate, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy: json!({
                    "public_url": format!("https://{NAME}"),
                    "tls": { "certificate": certificate, "key": key },
                }),
                ..DeckOptions::of(vec![target("probe", parts.probe.url())])
            },
        )
        .await?;
        let address = deck
            .proxy
            .url()
            .strip_prefix("http://")
            .context("where it listens")?
            .to_owned();
        let token = parts.token("alice").await?;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone())?;

        let stream = connect(&address, roots.clone(), b"http/1.1").await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let answer = sender.send_request(initialize("/probe/mcp", token.as_str())?).await?;
        assert_eq!(answer.status(), 200);
        assert!(!answer.into_body().collect().await?.to_bytes().is_empty());

        let stream = connect(&address, roots, b"h2").await?;
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let uri = format!("https://{NAME}/probe/mcp");
        let both = [initialize(&uri, token.as_str())?, initialize(&uri, token.as_str())?];
        for request in both {
            let answer = sender.send_request(request).await?;
            assert_eq!(answer.status(), 200);
            assert!(!answer.into_body().collect().await?.to_bytes().is_empty());
        }

        let plain = Client::bearer(&deck.proxy.endpoint("probe"), token.as_str())?;
        assert!(
            plain.post(&Client::initialization(1)).await.is_err(),
            "no one is served without TLS"
        );

        let tape = deck.finish().await?;
        let calls = |transport: &str| {
            let asked = tape
                .rows
                .iter()
                .filter(|row| row.rpc_method == "initialize" && row.direction == "to_target");
            asked.filter(|row| row.transport == transport).count()
        };
        assert_eq!((calls("http/1.1"), calls("h2")), (1, 2));
        Ok(())
    })
}
