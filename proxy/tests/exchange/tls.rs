//! TLS: what clients connect to, and what the proxy connects to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tapedeck_schemas::{Direction, End, Kind};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::rig::{Reply, Rig, Target, of_kind};
use crate::{RESULT, call};

/// An authority, and a certificate of it for this machine's address.
pub(crate) struct Certified {
    pub(crate) authority: CertificateDer<'static>,
    pub(crate) authority_pem: String,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    pub(crate) key: KeyPair,
}

impl Certified {
    /// A server's end of TLS that prefers these protocols, the first one most.
    pub(crate) fn acceptor(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .expect("a certificate and its key");
        config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

pub(crate) fn certified() -> Certified {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let of_authority = authority.self_signed(&authority_key).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let certificate = params
        .signed_by(&key, &Issuer::from_params(&authority, &authority_key))
        .expect("a certificate");
    Certified {
        authority: of_authority.der().clone(),
        authority_pem: of_authority.pem(),
        certificate: certificate.der().clone(),
        certificate_pem: certificate.pem(),
        key,
    }
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A target behind TLS.
async fn secured(by: &Certified) -> Target {
    Target::start_behind(Some(by.acceptor(&[])), |_| async { Reply::json(RESULT) }).await
}

pub(crate) fn written(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("written");
    let path: &Path = &path;
    path.display().to_string()
}

/// A connection to the proxy that offers `protocol` alone.
async fn connected(address: SocketAddr, trusted: &Certified, protocol: &[u8]) -> TlsStream<TcpStream> {
    showing(address, trusted, None, protocol).await
}

/// A connection to the proxy that offers `protocol` alone and shows this certificate if it is asked for one.
pub(crate) async fn showing(
    address: SocketAddr,
    trusted: &Certified,
    own: Option<&Certified>,
    protocol: &[u8],
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.authority.clone()).expect("a root");
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match own {
        Some(own) => {
            let key = PrivateKeyDer::try_from(own.key.serialize_der()).expect("a key");
            config
                .with_client_auth_cert(vec![own.certificate.clone()], key)
                .expect("a pair")
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    let tcp = TcpStream::connect(address).await.expect("the proxy listens");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .expect("trusted");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_speak_http_1_and_2_over_tls_with_the_certificate_that_is_configured() {
    let (folder, ours) = (tempfile::tempdir().expect("a folder"), certified());
    let settings = format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"",
        written(&folder, "certificate.pem", &ours.certificate_pem),
        written(&folder, "key.pem", &ours.key.serialize_pem()),
    );
    let target = Target::start(|_| async { Reply::json(RESULT) }).await;
    let rig = Rig::with(target, "https://127.0.0.1:9", &settings).await;
    let request = |uri: &str, id| {
        Request::post(uri)
            .header("host", "127.0.0.1")
            .header("authorization", format!("Bearer {}", rig.token()))
            .header("content-type", "application/json")
            .body(Full::<Bytes>::from(call(id, "secured")))
            .expect("a request")
    };

    let stream = connected(rig.address(), &ours, b"http/1.1").await;
    let (mut one, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let answer = one.send_request(request("/demo/mcp", 1)).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.into_body().collect().await.expect("whole").to_bytes(), RESULT);

    let stream = connected(rig.address(), &ours, b"h2").await;
    let (mut two, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .expect("a connection");
    tokio::spawn(connection);
    let mut together = Vec::new();
    for id in 2..5 {
        together.push(two.send_request(request("https://127.0.0.1/demo/mcp", id)));
    }
    for answer in together {
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.into_body().collect().await.expect("whole").to_bytes(), RESULT);
    }

    let seen = rig.target.seen();
    assert_eq!(seen.len(), 4);
    for one in &seen {
        assert_eq!(one.headers["host"], rig.target.address().to_string());
        assert_eq!(one.headers.get_all("host").iter().count(), 1);
    }
    drop((one, two));
    let frames = rig.stop_and_read().await;
    let requests = frames
        .iter()
        .filter(|frame| frame.kind == Kind::Message && frame.direction == Direction::ToTarget);
    let mut transports: Vec<_> = requests.map(|frame| frame.protocol.transport.as_str()).collect();
    transports.sort_unstable();
    assert_eq!(transports, ["h2", "h2", "h2", "http/1.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_trusted_by_its_ca_and_by_no_other() {
    let (folder, theirs, others) = (tempfile::tempdir().expect("a folder"), certified(), certified());
    let ca = |name, of: &Certified| format!("ca = \"{}\"", written(&folder, name, &of.authority_pem));

    let settings = ca("ca.pem", &theirs);
    let rig = Rig::with(secured(&theirs).await, "http://127.0.0.1:9", &settings).await;
    let answer = rig.post(call(1, "secured")).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.whole().await.expect("whole"), RESULT);
    rig.running.stop().await.expect("a goodbye");

    let settings = ca("other.pem", &others);
    let rig = Rig::with(secured(&theirs).await, "http://127.0.0.1:9", &settings).await;
    let answer = rig.post(call(2, "secured")).send().await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json().await["error"]["data"]["reason"], "target_unreachable");
    assert!(rig.target.seen().is_empty(), "nothing was sent to an impostor");
    let frames = rig.stop_and_read().await;
    assert_eq!(of_kind(&frames, Kind::ExchangeEnd)[0].end, Some(End::NotForwarded));
}
