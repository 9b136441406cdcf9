//! Keys that change, and issuers that are away.

use std::sync::Arc;

use futures_util::{FutureExt, future::join_all};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as Ca, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tapedeck_asker::issuer::Client;
use tokio_rustls::TlsAcceptor;

use super::{
    SigningKey, TIMING, TestIssuer, authenticate, claims, issuer::Broken, one_issuer, plain, proofs, start, trusting,
};
use crate::config::Dpop;
use crate::identity::{AuthError, Authenticator};

#[tokio::test]
async fn a_new_key_is_learned_when_a_token_names_it() {
    let (issuer, old, authenticator) = one_issuer().await;
    let new = SigningKey::ed25519("k2");
    let by_old = old.access_token(&claims(&issuer, start()));
    let by_new = new.access_token(&claims(&issuer, start()));
    assert!(authenticate(&authenticator, &by_old, start()).await.is_ok());

    issuer.state().keys.push(new.jwk.clone());
    let at_once = authenticate(&authenticator, &by_new, start()).await;
    assert_eq!(
        at_once.unwrap_err(),
        AuthError::UnknownKey,
        "asked a moment ago, so not again"
    );
    assert!(authenticate(&authenticator, &by_new, start().after(601)).await.is_ok());
    assert!(authenticate(&authenticator, &by_old, start().after(601)).await.is_ok());
}

#[tokio::test]
async fn whoever_sends_unknown_keys_makes_the_issuer_be_asked_once_in_a_while() {
    let (issuer, key, authenticator) = one_issuer().await;
    assert!(
        authenticate(&authenticator, &key.access_token(&claims(&issuer, start())), start())
            .await
            .is_ok()
    );
    assert_eq!(issuer.state().asked, 1);
    let bogus: Vec<String> = (0..20)
        .map(|index| SigningKey::ed25519(&format!("bogus-{index}")).access_token(&claims(&issuer, start())))
        .collect();
    let later = start().after(601);
    for refused in join_all(bogus.iter().map(|token| authenticate(&authenticator, token, later))).await {
        assert_eq!(refused.unwrap_err(), AuthError::UnknownKey);
    }
    assert_eq!(issuer.state().asked, 2);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_keep_others_from_a_new_key() {
    let (issuer, old, authenticator) = one_issuer().await;
    assert!(
        authenticate(&authenticator, &old.access_token(&claims(&issuer, start())), start())
            .await
            .is_ok()
    );
    let new = SigningKey::ed25519("k2");
    issuer.state().keys.push(new.jwk.clone());
    let later = start().after(601);
    let bogus = SigningKey::ed25519("bogus").access_token(&claims(&issuer, start()));
    let gone = authenticate(&authenticator, &bogus, later).now_or_never();
    assert!(gone.is_none(), "it was waiting for the issuer when it went");
    let by_new = new.access_token(&claims(&issuer, start()));
    assert!(authenticate(&authenticator, &by_new, later).await.is_ok());
    assert_eq!(issuer.state().asked, 2);
}

#[tokio::test]
async fn a_withdrawn_key_takes_its_remembered_tokens_with_it() {
    let (issuer, old, authenticator) = one_issuer().await;
    let by_old = old.access_token(&claims(&issuer, start()));
    assert!(authenticate(&authenticator, &by_old, start()).await.is_ok());
    let new = SigningKey::ed25519("k2");
    issuer.state().keys = vec![new.jwk.clone()];
    let later = start().after(601);
    assert!(
        authenticate(&authenticator, &new.access_token(&claims(&issuer, start())), later)
            .await
            .is_ok()
    );
    assert_eq!(
        authenticate(&authenticator, &by_old, later).await.unwrap_err(),
        AuthError::UnknownKey
    );

    // Another key under the old name is another key.
    issuer.state().keys = vec![SigningKey::ed25519("k1").jwk.clone()];
    let later = start().after(1300);
    assert_eq!(
        authenticate(&authenticator, &by_old, later).await.unwrap_err(),
        AuthError::BadSignature
    );
}

#[tokio::test]
async fn known_keys_are_kept_for_an_hour_while_the_issuer_is_away() {
    let (issuer, key, authenticator) = one_issuer().await;
    let long = super::with(
        claims(&issuer, start()),
        serde_json::json!({ "exp": start().unix() + 10_000 }),
    );
    let token = key.access_token(&long);
    assert!(authenticate(&authenticator, &token, start()).await.is_ok());
    issuer.state().broken = Some(Broken::Unavailable);
    assert!(authenticate(&authenticator, &token, start().after(3500)).await.is_ok());
    let too_old = authenticate(&authenticator, &token, start().after(3601)).await;
    assert_eq!(
        too_old.unwrap_err(),
        AuthError::ProviderUnreachable,
        "remembered tokens end as well"
    );

    let unknown = SigningKey::ed25519("k2").access_token(&claims(&issuer, start()));
    let refused = authenticate(&authenticator, &unknown, start().after(700)).await;
    assert_eq!(
        refused.unwrap_err(),
        AuthError::ProviderUnreachable,
        "it may be a new key: not the client's fault"
    );

    issuer.state().broken = None;
    assert!(authenticate(&authenticator, &token, start().after(4300)).await.is_ok());
}

#[tokio::test]
async fn an_issuer_that_is_away_at_the_start_is_found_when_it_comes() {
    let key = SigningKey::ed25519("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    issuer.state().broken = Some(Broken::Unavailable);
    let authenticator = trusting(&[plain(&issuer)]);
    let token = key.access_token(&claims(&issuer, start()));
    assert_eq!(
        authenticate(&authenticator, &token, start()).await.unwrap_err(),
        AuthError::ProviderUnreachable
    );
    issuer.state().broken = None;
    assert_eq!(
        authenticate(&authenticator, &token, start()).await.unwrap_err(),
        AuthError::ProviderUnreachable
    );
    assert!(authenticate(&authenticator, &token, start().after(601)).await.is_ok());
}

/// Why an honest token of a spoiled issuer is refused.
async fn reason_when(spoil: fn(&TestIssuer)) -> AuthError {
    let key = SigningKey::ed25519("k1");
    let issuer = TestIssuer::start(&[&key]).await;
    spoil(&issuer);
    let authenticator = trusting(&[plain(&issuer)]);
    let token = key.access_token(&claims(&issuer, start()));
    authenticate(&authenticator, &token, start())
        .await
        .expect_err("must be refused")
}

#[tokio::test]
async fn an_answer_that_is_not_the_issuers_own_gives_no_keys() {
    let away = AuthError::ProviderUnreachable;
    let slash = reason_when(|issuer| issuer.state().issuer = Some(format!("{}/", issuer.url)));
    assert_eq!(slash.await, away, "a slash more is another issuer");
    let other = reason_when(|issuer| issuer.state().issuer = Some("https://elsewhere.example".to_owned()));
    assert_eq!(other.await, away);
    let redirected = reason_when(|issuer| issuer.state().broken = Some(Broken::RedirectedKeys));
    assert_eq!(redirected.await, away);
    let endless = reason_when(|issuer| issuer.state().broken = Some(Broken::EndlessKeys));
    assert_eq!(endless.await, away);
    let empty = reason_when(|issuer| issuer.state().keys.clear());
    assert_eq!(empty.await, away);
}

#[tokio::test]
async fn an_issuer_by_https_must_have_a_certificate_that_is_trusted() {
    let ca_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root: CertificateDer<'static> = params.self_signed(&ca_key).expect("signed").into();
    let ca = Ca::new(params, ca_key);
    let leaf_key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let leaf = leaf.signed_by(&leaf_key, &ca).expect("signed");
    let private = PrivateKeyDer::try_from(leaf_key.serialize_der()).expect("PKCS#8");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], private)
        .expect("certificate and key");

    let key = SigningKey::ed25519("k1");
    let issuer = TestIssuer::start_tls(&[&key], TlsAcceptor::from(Arc::new(server))).await;
    let token = key.access_token(&claims(&issuer, start()));
    let with_roots = |roots| {
        let client = Client::new(roots).expect("a client");
        Authenticator::with(&[plain(&issuer)], client, TIMING, proofs(Dpop::Accepted))
    };
    assert!(authenticate(&with_roots(vec![root]), &token, start()).await.is_ok());
    let distrusted = authenticate(&with_roots(Vec::new()), &token, start()).await;
    assert_eq!(distrusted.unwrap_err(), AuthError::ProviderUnreachable);
}
