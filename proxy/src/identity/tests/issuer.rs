//! An issuer: signing keys, and an HTTP server that serves discovery and the key set.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, LazyLock, Mutex, MutexGuard},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use http::{HeaderMap, Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Full};
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
pub(in crate::identity) struct SigningKey {
    pub(in crate::identity) jwk: Value,
    pair: Pair,
}

impl SigningKey {
    pub(in crate::identity) fn ed25519(kid: &str) -> Arc<Self> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("the key just made");
        let x = BASE64.encode(pair.public_key());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": x });
        Arc::new(Self {
            jwk,
            pair: Pair::Ed25519(pair),
        })
    }

    pub(in crate::identity) fn p256(kid: &str) -> Arc<Self> {
        Self::ecdsa(kid, "P-256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    pub(in crate::identity) fn p384(kid: &str) -> Arc<Self> {
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

    pub(in crate::identity) fn rsa(kid: &str) -> Arc<Self> {
        let pkcs8 = RSA.to_pkcs8_der().expect("PKCS#8");
        let pair = RsaKeyPair::from_pkcs8(pkcs8.as_bytes()).expect("the key just made");
        Arc::new(Self {
            jwk: rsa_jwk(&RSA, kid),
            pair: Pair::Rsa(pair),
        })
    }

    /// An RSA key of 1024 bits.
    pub(in crate::identity) fn short_rsa(kid: &str) -> Arc<Self> {
        Arc::new(Self {
            jwk: rsa_jwk(&rsa_key(1024), kid),
            pair: Pair::PublicOnly,
        })
    }

    /// This key as the issuer would publish it with other members.
    pub(in crate::identity) fn published_as(&self, changes: Value) -> Value {
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
    pub(in crate::identity) fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of_text(&header.to_string(), &claims.to_string())
    }

    /// A token with header and payload as text, which need not be good JSON.
    pub(in crate::identity) fn token_of_text(&self, header: &str, claims: &str) -> String {
        let alg = serde_json::from_str(header)
            .ok()
            .and_then(|h: Value| Some(h["alg"].as_str()?.to_owned()));
        let input = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let signed = self.sign(alg.as_deref().unwrap_or("RS256"), input.as_bytes());
        format!("{input}.{}", BASE64.encode(signed))
    }

    /// An access token of an Ed25519 key.
    pub(in crate::identity) fn access_token(&self, claims: &Value) -> String {
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
pub(in crate::identity) struct State {
    pub(super) keys: Vec<Value>,
    /// What its metadata says; `None` is the truth.
    pub(super) issuer: Option<String>,
    pub(super) scopes: Vec<&'static str>,
    /// Answers every request with this instead.
    pub(super) broken: Option<Broken>,
    /// How often the key set was asked for.
    pub(super) asked: usize,
    /// What introspection says of each token; of others, that they are not active.
    pub(super) tokens: HashMap<String, Value>,
    /// What userinfo says of each token; others are unknown to it.
    pub(super) subjects: HashMap<String, Value>,
    /// What was asked about tokens: path, `Authorization`, body.
    pub(super) questions: Vec<(String, String, String)>,
}

/// How an issuer can fail.
#[derive(Clone, Copy)]
pub(in crate::identity) enum Broken {
    Unavailable,
    LoginRefused,
    RedirectedKeys,
    EndlessKeys,
}

/// A running issuer; ends when it is dropped.
pub(in crate::identity) struct TestIssuer {
    pub(in crate::identity) url: String,
    state: Arc<Mutex<State>>,
    _server: AbortOnDropHandle<()>,
}

impl TestIssuer {
    pub(in crate::identity) async fn start(keys: &[&SigningKey]) -> Self {
        Self::serve(keys, None).await
    }

    pub(in crate::identity) async fn start_tls(keys: &[&SigningKey], tls: TlsAcceptor) -> Self {
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
            tokens: HashMap::new(),
            subjects: HashMap::new(),
            questions: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let server = tokio::spawn(accept(listener, tls, url.clone(), Arc::clone(&state)));
        Self {
            url,
            state,
            _server: AbortOnDropHandle::new(server),
        }
    }

    pub(in crate::identity) fn state(&self) -> MutexGuard<'_, State> {
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
    let (url, state) = (&url, &state);
    let service = service_fn(move |request: Request<Incoming>| async move {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let mut state = state.lock().expect("no panic");
        let path = head.uri.path();
        let response = match about_tokens(path, &head.headers, &body, &mut state) {
            Some(response) => response,
            None => answer(path, url, &mut state),
        };
        Ok::<_, Infallible>(response)
    });
    // An error is the client's going away, which a test may mean.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The endpoints that are asked about a token.
fn about_tokens(
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
    state: &mut State,
) -> Option<Response<Full<bytes::Bytes>>> {
    if !["/introspect", "/userinfo"].contains(&path) {
        return None;
    }
    let shown = headers
        .get(AUTHORIZATION)
        .and_then(|field| field.to_str().ok())
        .unwrap_or_default();
    let body = String::from_utf8_lossy(body).into_owned();
    state.questions.push((path.to_owned(), shown.to_owned(), body.clone()));
    let (status, said) = match (state.broken, path) {
        (Some(Broken::Unavailable), _) => (503, json!({})),
        (Some(Broken::LoginRefused), _) => (401, json!({ "error": "invalid_client" })),
        (_, "/introspect") => {
            let token = url::form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "token");
            let said = token.and_then(|(_, token)| state.tokens.get(&*token).cloned());
            (200, said.unwrap_or_else(|| json!({ "active": false })))
        }
        _ => match shown
            .strip_prefix("Bearer ")
            .and_then(|token| state.subjects.get(token))
        {
            Some(said) => (200, said.clone()),
            None => (401, json!({ "error": "invalid_token" })),
        },
    };
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    Some(response.body(Full::from(said.to_string())).expect("a response"))
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
            "introspection_endpoint": format!("{url}/introspect"),
            "userinfo_endpoint": format!("{url}/userinfo"),
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
