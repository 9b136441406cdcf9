//! A client's device: a key, and proofs that it has it (RFC 9449).

use std::time::UNIX_EPOCH;

use anyhow::{Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Holds a P-256 key.
pub(crate) struct Device {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Device {
    pub(crate) fn new() -> Result<Self> {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(broken)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random).map_err(broken)?;
        Ok(Self { key, random })
    }

    /// The key's thumbprint (RFC 7638).
    pub(crate) fn thumbprint(&self) -> String {
        let (x, y) = self.point();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
    }

    /// A proof for a POST to this URL, with this token if there is one already.
    pub(crate) fn proof(&self, url: &str, token: Option<&str>, nonce: Option<&str>) -> Result<String> {
        let (x, y) = self.point();
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let mut claims = json!({
            "jti": Uuid::now_v7(), "htm": "POST", "htu": url, "iat": UNIX_EPOCH.elapsed()?.as_secs(),
        });
        if let Some(token) = token {
            claims["ath"] = Value::from(URL_SAFE_NO_PAD.encode(Sha256::digest(token)));
        }
        if let Some(nonce) = nonce {
            claims["nonce"] = Value::from(nonce);
        }
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let input = format!("{header}.{claims}");
        let signature = self.key.sign(&self.random, input.as_bytes()).map_err(broken)?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The coordinates of the public key.
    fn point(&self) -> (String, String) {
        // An uncompressed point: 04, x, y.
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
    }
}

fn broken(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("ring: {error}")
}
