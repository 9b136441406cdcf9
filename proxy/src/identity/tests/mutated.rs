//! No token but the signed one verifies, whatever is done to it, and nothing panics.

use std::{sync::LazyLock, time::Instant};

use openidconnect::core::CoreJsonWebKey;
use proptest::prelude::*;
use serde_json::json;

use super::{SigningKey, start};
use crate::identity::{
    AuthError,
    keys::{KeySet, KeyThumbprint},
    token::Jws,
};

static SIGNED: LazyLock<(KeySet, String)> = LazyLock::new(|| {
    let key = SigningKey::ed25519("k1");
    let jwk: CoreJsonWebKey = serde_json::from_value(key.jwk.clone()).expect("a JWK");
    let claims = json!({ "iss": "https://i.example", "sub": "alice", "exp": start().unix() + 60, "aud": "a" });
    (
        KeySet::new(vec![jwk], Vec::new(), bytes::Bytes::new(), Instant::now()),
        key.access_token(&claims),
    )
});

fn verify(token: &str) -> Result<KeyThumbprint, AuthError> {
    let jws = Jws::parse(token)?;
    // Read before it is verified, to choose the issuer: must hold out against anything.
    let _ = jws.issuer();
    SIGNED.0.verify(&jws)
}

#[test]
fn the_signed_token_itself_verifies() {
    assert!(verify(&SIGNED.1).is_ok());
}

proptest! {
    #[test]
    fn a_token_with_any_other_byte_does_not_verify(at in any::<prop::sample::Index>(), byte in 0x21_u8..0x7f) {
        let mut bytes = SIGNED.1.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let mutated = String::from_utf8(bytes).expect("ASCII");
        prop_assert!(verify(&mutated).is_err());
    }

    #[test]
    fn a_token_cut_or_spliced_anywhere_does_not_verify(
        from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), insert in "[A-Za-z0-9_.=-]{0,20}",
    ) {
        let token = &SIGNED.1;
        let (a, b) = (from.index(token.len() + 1), to.index(token.len() + 1));
        let spliced = format!("{}{insert}{}", &token[..a.min(b)], &token[a.max(b)..]);
        prop_assume!(spliced != *token);
        prop_assert!(verify(&spliced).is_err());
    }

    #[test]
    fn text_that_nobody_signed_does_not_verify(text in "\\PC{0,200}") {
        prop_assert!(verify(&text).is_err());
    }
}
