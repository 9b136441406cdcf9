//! Tokens that are bound to a device: by its certificate, or by a key that signs a proof for each request.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tapedeck_schemas::{Frame, Kind};
use tokio::io::AsyncReadExt as _;

use crate::rig::{self, GROUP, Reply, Rig, Target, of_kind};
use crate::tls::{Certified, certified, showing, written};
use crate::{RESULT, call};

const PUBLIC: &str = "https://mcp.example";
const RESOURCE: &str = "https://mcp.example/demo/mcp";

fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(certificate))
}

fn bound_to(rig: &Rig, certificate: &CertificateDer<'_>) -> String {
    let cnf = json!({ "x5t#S256": thumbprint(certificate) });
    rig.issuer.bound_token("alice", &[GROUP], cnf)
}

/// The rules of what was refused.
fn rules(frames: &[Frame]) -> Vec<&str> {
    of_kind(frames, Kind::Refused)
        .into_iter()
        .filter_map(|frame| frame.decision.as_ref().map(|decision| decision.rule.as_str()))
        .collect()
}

/// What is on record of the keys that each caller has shown.
fn shown_keys(frames: &[Frame]) -> Vec<Option<&str>> {
    let asked = frames.iter().filter(|frame| frame.kind == Kind::Message);
    asked
        .filter(|frame| frame.direction == tapedeck_schemas::Direction::ToTarget)
        .map(|frame| {
            frame
                .principal
                .as_ref()
                .and_then(|principal| principal.key_thumbprint.as_deref())
        })
        .collect()
}

/// A proxy that terminates TLS and asks clients for certificates of this authority.
async fn terminating(ours: &Certified, theirs: &Certified, folder: &tempfile::TempDir, more: &str) -> Rig {
    let settings = format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n{more}",
        written(folder, "certificate.pem", &ours.certificate_pem),
        written(folder, "key.pem", &ours.key.serialize_pem()),
        written(folder, "client-ca.pem", &theirs.authority_pem),
    );
    let target = Target::start(|_| async { Reply::json(RESULT) }).await;
    Rig::with(target, "https://127.0.0.1:9", &settings).await
}

/// One call over a connection that shows this certificate.
async fn call_showing(rig: &Rig, ours: &Certified, own: Option<&Certified>, token: &str) -> StatusCode {
    let stream = showing(rig.address(), ours, own, b"http/1.1").await;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let request = Request::post("/demo/mcp")
        .header("host", "127.0.0.1")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(call(1, "bound")))
        .expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let status = answer.status();
    answer.into_body().collect().await.expect("whole");
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_bound_to_a_certificate_is_good_over_its_connections_and_the_certificate_is_on_record() {
    let (folder, ours, theirs) = (tempfile::tempdir().expect("a folder"), certified(), certified());
    let rig = terminating(&ours, &theirs, &folder, "").await;
    let (bound, unbound) = (bound_to(&rig, &theirs.certificate), rig.token());
    let elsewhere = bound_to(&rig, &ours.certificate);
    assert_eq!(call_showing(&rig, &ours, Some(&theirs), &bound).await, 200);
    assert_eq!(call_showing(&rig, &ours, None, &bound).await, 401);
    assert_eq!(call_showing(&rig, &ours, Some(&theirs), &elsewhere).await, 401);
    assert_eq!(call_showing(&rig, &ours, Some(&theirs), &unbound).await, 200);
    assert_eq!(call_showing(&rig, &ours, None, &unbound).await, 200);
    assert_eq!(rig.target.seen().len(), 3);

    let frames = rig.stop_and_read().await;
    assert_eq!(rules(&frames), ["other_certificate", "other_certificate"]);
    let shown = format!("x5t#S256:{}", thumbprint(&theirs.certificate));
    assert_eq!(shown_keys(&frames), [Some(shown.as_str()), Some(shown.as_str()), None]);
    // Of who was refused there is no name, and the certificate where there was one.
    let refused: Vec<_> = of_kind(&frames, Kind::Refused)
        .into_iter()
        .map(|frame| frame.principal.as_deref().cloned())
        .collect();
    let holder = tapedeck_schemas::Principal {
        key_thumbprint: Some(shown),
        ..tapedeck_schemas::Principal::default()
    };
    assert_eq!(refused, [None, Some(holder)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_certificate_is_not_trusted_or_missing_is_not_let_in_where_one_is_required() {
    let (folder, ours, theirs) = (tempfile::tempdir().expect("a folder"), certified(), certified());
    let rig = terminating(&ours, &theirs, &folder, "client_certificates = \"required\"").await;
    let token = rig.token();
    assert_eq!(call_showing(&rig, &ours, Some(&theirs), &token).await, 200);
    for own in [None, Some(&certified())] {
        // TLS 1.3: the client learns of it when it reads.
        let mut stream = showing(rig.address(), &ours, own, b"http/1.1").await;
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect_err("an alert");
    }
    assert_eq!(rig.target.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_a_load_balancer_names_counts_where_that_is_configured() {
    let client = certified();
    let named = format!(":{}:", STANDARD.encode(&client.certificate));
    let shown = format!("x5t#S256:{}", thumbprint(&client.certificate));
    for (top, status) in [
        ("trusted_proxies = [\"127.0.0.0/8\"]\nclient_cert_header = true", 200),
        // Neither by default, nor from anybody.
        ("trusted_proxies = [\"127.0.0.0/8\"]", 401),
        ("trusted_proxies = [\"10.0.0.0/8\"]\nclient_cert_header = true", 401),
    ] {
        let target = Target::start(|_| async { Reply::json(RESULT) }).await;
        let rig = Rig::like(target, "http://127.0.0.1:9", top, "").await;
        let token = format!("Bearer {}", bound_to(&rig, &client.certificate));
        let request = || rig.post(call(1, "bound")).header("authorization", &token);
        let answer = request().header("client-cert", &named).send().await;
        assert_eq!(answer.status, status, "{top}");
        assert_eq!(request().send().await.status, 401, "{top}");
        let unbound = rig.post(call(2, "free")).header("client-cert", &named).send().await;
        assert_eq!(unbound.status, 200);
        for seen in rig.target.seen() {
            assert!(!seen.headers.contains_key("client-cert"), "no target is told");
        }
        let frames = rig.stop_and_read().await;
        let counts = status == 200;
        let keys = shown_keys(&frames);
        assert!(
            keys.iter().all(|key| *key == counts.then_some(shown.as_str())),
            "{keys:?}"
        );
    }
}

/// A device, with a key of its own.
struct Device {
    key: Ed25519KeyPair,
    jwk: Value,
}

impl Device {
    fn new() -> Self {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let key = Ed25519KeyPair::from_pkcs8(der.as_ref()).expect("a key");
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key.public_key()) });
        Self { key, jwk }
    }

    /// RFC 7638.
    fn thumbprint(&self) -> String {
        let x = self.jwk["x"].as_str().expect("text");
        URL_SAFE_NO_PAD.encode(Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
    }

    fn token(&self, rig: &Rig) -> String {
        rig.issuer
            .bound_token("alice", &[GROUP], json!({ "jkt": self.thumbprint() }))
    }

    fn proof(&self, method: &str, token: &str, nonce: Option<&str>) -> String {
        let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": self.jwk });
        let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
        let mut claims = json!({
            "jti": uuid::Uuid::now_v7(), "htm": method, "htu": RESOURCE, "iat": now,
            "ath": URL_SAFE_NO_PAD.encode(Sha256::digest(token)),
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let input = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }
}

fn proving(request: rig::Request, token: &str, proof: &str) -> rig::Request {
    request
        .header("authorization", &format!("DPoP {token}"))
        .header("dpop", proof)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_bound_to_a_key_needs_a_proof_for_every_request_and_binds_its_session() {
    let target = Target::start(|_| async {
        Reply::json(RESULT)
            .header("mcp-session-id", "abc")
            .header("dpop-nonce", "the-targets-own")
    });
    let rig = Rig::with(target.await, PUBLIC, "").await;
    let (device, other) = (Device::new(), Device::new());
    let token = device.token(&rig);
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {} }).to_string();

    // The first answer says what is missing, and gives a nonce.
    let first = proving(
        rig.post(initialize.clone()),
        &token,
        &device.proof("POST", &token, None),
    );
    let first = first.send().await;
    assert_eq!(first.status, 401);
    let challenges: Vec<_> = first.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges.len(), 2);
    let asked = challenges[1].to_str().expect("ASCII");
    assert!(
        asked.starts_with("DPoP error=\"use_dpop_nonce\"") && asked.contains("algs=\"ES256 "),
        "{asked}"
    );
    let nonce = first.headers["dpop-nonce"].to_str().expect("ASCII").to_owned();

    let proof = device.proof("POST", &token, Some(&nonce));
    let opened = proving(rig.post(initialize.clone()), &token, &proof).send().await;
    assert_eq!(opened.status, 200);
    assert_ne!(opened.headers["dpop-nonce"], "the-targets-own");
    let session = opened.headers["mcp-session-id"].to_str().expect("ASCII").to_owned();
    let next = opened.headers["dpop-nonce"].to_str().expect("ASCII").to_owned();

    let again = proving(rig.post(initialize.clone()), &token, &proof).send().await;
    assert_eq!(again.json().await["error"]["data"]["reason"], "dpop_replayed");
    let borne = rig
        .post(call(2, "x"))
        .header("authorization", &format!("Bearer {token}"));
    assert_eq!(borne.send().await.json().await["error"]["data"]["reason"], "dpop_bound");
    let stolen = proving(
        rig.post(call(3, "x")),
        &token,
        &other.proof("POST", &token, Some(&next)),
    );
    assert_eq!(
        stolen.send().await.json().await["error"]["data"]["reason"],
        "dpop_other_key"
    );

    // The session goes on for its device, and for no other of the same user.
    let going_on = proving(
        rig.post(call(4, "x")),
        &token,
        &device.proof("POST", &token, Some(&next)),
    );
    assert_eq!(going_on.header("mcp-session-id", &session).send().await.status, 200);
    let others = other.token(&rig);
    let foreign = proving(
        rig.post(call(5, "x")),
        &others,
        &other.proof("POST", &others, Some(&next)),
    );
    assert_eq!(foreign.header("mcp-session-id", &session).send().await.status, 404);
    let unbound = rig.post(call(6, "x")).header("mcp-session-id", &session);
    assert_eq!(unbound.send().await.status, 404);

    let seen = rig.target.seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter().all(|seen| !seen.headers.contains_key("dpop")),
        "no proof goes on"
    );
    let frames = rig.stop_and_read().await;
    let mut refused = rules(&frames);
    refused.sort_unstable();
    assert_eq!(
        refused,
        [
            "dpop_bound",
            "dpop_nonce",
            "dpop_other_key",
            "dpop_replayed",
            "foreign_session",
            "foreign_session"
        ]
    );
    let shown = format!("jkt:{}", device.thumbprint());
    assert_eq!(shown_keys(&frames), [Some(shown.as_str()); 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_say_what_tokens_may_be_bound_to() {
    let target = Target::start(|_| async { Reply::json(RESULT) }).await;
    let rig = Rig::like(target, PUBLIC, "dpop = \"required\"", "").await;
    let path = "/.well-known/oauth-protected-resource/demo/mcp";
    let metadata = rig::Request::new(rig.address(), "GET", path).send().await.json().await;
    assert_eq!(metadata["dpop_bound_access_tokens_required"], true);
    assert!(
        metadata["dpop_signing_alg_values_supported"]
            .as_array()
            .is_some_and(|algs| algs.len() > 2)
    );
    assert!(metadata.get("tls_client_certificate_bound_access_tokens").is_none());
    let refused = rig.post(call(1, "x")).send().await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json().await["error"]["data"]["reason"], "dpop_required");
}
