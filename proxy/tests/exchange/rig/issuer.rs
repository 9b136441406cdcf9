//! An OpenID provider: discovery, one key, and tokens signed with it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) struct Issuer {
    address: SocketAddr,
    key: EcdsaKeyPair,
    random: SystemRandom,
    /// Tokens of which introspection says that they are not active.
    revoked: Arc<Mutex<HashSet<String>>>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).expect("a key");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let url = format!("http://{address}");
        // An uncompressed point: 04, x, y.
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        });
        let keys = json!({ "keys": [jwk] });
        let discovery = json!({
            "issuer": url,
            "jwks_uri": format!("{url}/keys"),
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "introspection_endpoint": format!("{url}/introspect"),
            "code_challenge_methods_supported": ["S256"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        let revoked: Arc<Mutex<HashSet<String>>> = Arc::default();
        let known = Arc::clone(&revoked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (keys, discovery, known) = (keys.clone(), discovery.clone(), Arc::clone(&known));
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let (keys, discovery, known) = (keys.clone(), discovery.clone(), Arc::clone(&known));
                    async move {
                        let page: Value = match request.uri().path() {
                            "/keys" => keys,
                            "/introspect" => {
                                let form = request.into_body().collect().await.expect("a whole body").to_bytes();
                                let token = url::form_urlencoded::parse(&form).find(|(name, _)| name == "token");
                                let (_, token) = token.expect("a token is asked about");
                                json!({ "active": !known.lock().expect("no panic").contains(&*token) })
                            }
                            _ => discovery,
                        };
                        let mut response = Response::new(Full::new(Bytes::from(page.to_string())));
                        response
                            .headers_mut()
                            .insert("content-type", "application/json".parse().expect("a header"));
                        Ok::<_, Infallible>(response)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            address,
            key,
            random,
            revoked,
        }
    }

    /// From now on introspection says that this token is not active.
    pub(crate) fn revoke(&self, token: &str) {
        self.revoked.lock().expect("no panic").insert(token.to_owned());
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An access token for ten minutes.
    pub(crate) fn token(&self, subject: &str, groups: &[&str]) -> String {
        self.token_for(subject, groups, Duration::from_secs(600))
    }

    /// An access token for so long.
    pub(crate) fn token_for(&self, subject: &str, groups: &[&str], lifetime: Duration) -> String {
        self.sign(&self.claims(subject, groups, lifetime))
    }

    /// An access token for ten minutes that is bound to its holder, as `cnf` has it.
    pub(crate) fn bound_token(&self, subject: &str, groups: &[&str], cnf: Value) -> String {
        let mut claims = self.claims(subject, groups, Duration::from_secs(600));
        claims["cnf"] = cnf;
        self.sign(&claims)
    }

    fn claims(&self, subject: &str, groups: &[&str], lifetime: Duration) -> Value {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        json!({
            "iss": self.url(), "aud": "tapedeck", "sub": subject, "groups": groups, "client_id": "test-client",
            "iat": now, "exp": now + lifetime.as_secs(), "jti": uuid::Uuid::now_v7().to_string(),
        })
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k1" });
        let input = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = self.key.sign(&self.random, input.as_bytes()).expect("a signature");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
