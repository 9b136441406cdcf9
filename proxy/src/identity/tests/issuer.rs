//! An issuer: signing keys, and an HTTP server that serves discovery and the key set.

use std::{
    convert::Infallible,
    sync::{Arc, LazyLock, Mutex, MutexGuard},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use ring::{
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair},
};
use rsa::{pkcs8::EncodePrivateKey, traits::PublicKeyParts};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// Made once: the search for primes takes a second.
static RSA: LazyLock<rsa::RsaPrivateKey> = LazyLock::new(|| rsa_key(2048));

fn rsa_key(bits: usize) -> rsa::RsaPrivateKey {
    rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits).expect("an RSA key")
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    /// Published, but never signed with.
    PublicOnly,
}

/// A key of an issuer, with its public half as a JWK.
pub(super) struct SigningKey {
    pub(super) jwk: Value,
    pair: Pair,
}

impl SigningKey {
    pub(super) fn ed25519(kid: &str) -> Arc<Self> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("the key just made");
        let x = BASE64.encode(pair.public_key());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": x });
        Arc::new(Self {
            jwk,
            pair: Pair::Ed25519(pair),
        })
    }

    pub(super) fn p256(kid: &str) -> Arc<Self> {
        Self::ecdsa(kid, "P-256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    pub(super) fn p384(kid: &str) -> Arc<Self> {
        Self::ecdsa(kid, "P-384", &signature::ECDSA_P384_SHA384_FIXED_SIGNING)
    }

    fn ecdsa(kid: &str, curve: &str, algorithm: &'static signature::EcdsaSigningAlgorithm) -> Arc<Self> {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("the key just made");
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        let jwk = json!({ "kty": "EC", "crv": curve, "kid": kid, "x": BASE64.encode(x), "y": BASE64.encode(y) });
        Arc::new(Self {
            jwk,
            pair: Pair::Ecdsa(pair),
        })
    }

    pub(super) fn rsa(kid: &str) -> Arc<Self> {
        let pkcs8 = RSA.to_pkcs8_der().expect("PKCS#8");
        let pair = RsaKeyPair::from_pkcs8(pkcs8.as_bytes()).expect("the key just made");
        Arc::new(Self {
            jwk: rsa_jwk(&RSA, kid),
            pair: Pair::Rsa(pair),
        })
    }

    /// An RSA key of 1024 bits.
    pub(super) fn short_rsa(kid: &str) -> Arc<Self> {
        Arc::new(Self {
            jwk: rsa_jwk(&rsa_key(1024), kid),
            pair: Pair::PublicOnly,
        })
    }

    /// This key as the issuer would publish it with other members.
    pub(super) fn published_as(&self, changes: Value) -> Value {
        super::with(self.jwk.clone(), changes)
    }

    fn sign(&self, alg: &str, input: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ed25519(pair) => pair.sign(input).as_ref().to_vec(),
            Pair::Ecdsa(pair) => pair.sign(&random, input).expect("signed").as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match alg {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    other => panic!("no RSA algorithm: {other}"),
                };
                let mut signed = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, input, &mut signed).expect("signed");
                signed
            }
            Pair::PublicOnly => vec![1; 128],
        }
    }

    /// A token with exactly this header and payload.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of_text(&header.to_string(), &claims.to_string())
    }

    /// A token with header and payload as text, which need not be good JSON.
    pub(super) fn token_of_text(&self, header: &str, claims: &str) -> String {
        let alg = serde_json::from_str(header)
            .ok()
            .and_then(|h: Value| Some(h["alg"].as_str()?.to_owned()));
        let input = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let signed = self.sign(alg.as_deref().unwrap_or("RS256"), input.as_bytes());
        format!("{input}.{}", BASE64.encode(signed))
    }

    /// An access token of an Ed25519 key.
    pub(super) fn access_token(&self, claims: &Value) -> String {
        self.token(
            &json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": self.jwk["kid"] }),
            claims,
        )
    }
}

fn rsa_jwk(key: &rsa::RsaPrivateKey, kid: &str) -> Value {
    let (n, e) = (
        BASE64.encode(key.n().to_bytes_be()),
        BASE64.encode(key.e().to_bytes_be()),
    );
    json!({ "kty": "RSA", "kid": kid, "n": n, "e": e })
}

/// What the issuer serves.
pub(super) struct State {
    pub(super) keys: Vec<Value>,
    /// What its metadata says; `None` is the truth.
    pub(super) issuer: Option<String>,
    pub(super) scopes: Vec<&'static str>,
    /// Answers every request with this instead.
    pub(super) broken: Option<Broken>,
    /// How often the key set was asked for.
    pub(super) asked: usize,
}

/// How an issuer can fail.
#[derive(Clone, Copy)]
pub(super) enum Broken {
    Unavailable,
    RedirectedKeys,
    EndlessKeys,
}

/// A running issuer; ends when it is dropped.
pub(super) struct TestIssuer {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
    _server: AbortOnDropHandle<()>,
}

impl TestIssuer {
    pub(super) async fn start(keys: &[&SigningKey]) -> Self {
        Self::serve(keys, None).await
    }

    pub(super) async fn start_tls(keys: &[&SigningKey], tls: TlsAcceptor) -> Self {
        Self::serve(keys, Some(tls)).await
    }

    async fn serve(keys: &[&SigningKey], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let url = match tls {
            None => format!("http://127.0.0.1:{port}"),
            Some(_) => format!("https://localhost:{port}"),
        };
        let keys = keys.iter().map(|key| key.jwk.clone()).collect();
        let state = State {
            keys,
            issuer: None,
            scopes: vec!["openid"],
            broken: None,
            asked: 0,
        };
        let state = Arc::new(Mutex::new(state));
        let server = tokio::spawn(accept(listener, tls, url.clone(), Arc::clone(&state)));
        Self {
            url,
            state,
            _server: AbortOnDropHandle::new(server),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, url: String, state: Arc<Mutex<State>>) {
    loop {
        let (stream, _) = listener.accept().await.expect("accepts");
        let (url, state, tls) = (url.clone(), Arc::clone(&state), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => connection(stream, url, state).await,
                // A client that does not trust us hangs up here.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, url, state).await;
                    }
                }
            }
        });
    }
}

async fn connection<S>(stream: S, url: String, state: Arc<Mutex<State>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(request.uri().path(), &url, &mut state.lock().expect("no panic"));
        async { Ok::<_, Infallible>(response) }
    });
    // An error is the client's going away, which a test may mean.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(path: &str, url: &str, state: &mut State) -> Response<Full<bytes::Bytes>> {
    let is_keys = path == "/keys";
    state.asked += usize::from(is_keys);
    let mut response = Response::builder().header("content-type", "application/json");
    let body = match (state.broken, path) {
        (Some(Broken::Unavailable), _) => {
            response = response.status(StatusCode::SERVICE_UNAVAILABLE);
            json!({})
        }
        (Some(Broken::RedirectedKeys), "/keys") => {
            response = response
                .status(StatusCode::FOUND)
                .header("location", format!("{url}/moved"));
            json!({})
        }
        (Some(Broken::EndlessKeys), "/keys") => json!({ "keys": state.keys, "padding": "x".repeat(2 * 1024 * 1024) }),
        (_, "/keys" | "/moved") => json!({ "keys": state.keys }),
        (_, "/.well-known/openid-configuration") => json!({
            "issuer": state.issuer.as_deref().unwrap_or(url),
            "authorization_endpoint": format!("{url}/authorize"),
            "jwks_uri": format!("{url}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": state.scopes,
        }),
        _ => {
            response = response.status(StatusCode::NOT_FOUND);
            json!({})
        }
    };
    response.body(Full::from(body.to_string())).expect("a response")
}
