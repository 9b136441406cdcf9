//! Signing in and out, and who may make a browser do something.

use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode, Url};

use crate::browser::Browser;
use crate::stack::Stack;

const SESSION: &str = "__Host-tapedeck";

async fn signed_in(login: &str) -> (&'static Stack, Browser) {
    let stack = Stack::get().await;
    let mut browser = Browser::default();
    let answer = browser.sign_in(&stack.url, login).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(answer.headers[LOCATION], "/api/v1/me");
    (stack, browser)
}

fn sign_out_url(stack: &Stack) -> Url {
    Url::parse(&format!("{}/auth/sign-out", stack.url)).expect("a URL")
}

#[tokio::test]
async fn a_person_signs_in_with_a_code_and_is_known_by_name_and_groups() {
    let (stack, mut browser) = signed_in("audrey").await;
    let me = browser.get(&format!("{}/api/v1/me", stack.url)).await;
    assert_eq!(me.status, StatusCode::OK, "{}", me.body);
    let me = me.json();
    assert_eq!((&me["subject"], &me["name"]), (&"audrey".into(), &"Audrey".into()));
    assert_eq!(
        (&me["roles"], &me["tenants"]),
        (&serde_json::json!(["auditor"]), &serde_json::json!(["a"]))
    );
    assert_eq!(me["issuer"], stack.identity.issuer());
    let logged =
        "SELECT count() FROM access_log WHERE action = 'sign_in' AND subject = 'audrey' AND outcome = 'allowed'";
    assert!(stack.number(logged).await >= 1);
}

#[tokio::test]
async fn a_person_without_a_right_is_signed_in_and_sees_nothing() {
    let (stack, mut browser) = signed_in("nora").await;
    let answer = browser.get(&format!("{}/api/v1/sessions", stack.url)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
}

#[tokio::test]
async fn a_code_is_worth_nothing_in_a_browser_where_no_sign_in_began() {
    let stack = Stack::get().await;
    let mut browser = Browser::default();
    for query in ["code=x&state=y", "state=y", "code=x", "error=access_denied", ""] {
        let answer = browser.get(&format!("{}/auth/callback?{query}", stack.url)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{query}: {}", answer.body);
    }
    // One has begun, and somebody else's answer comes back.
    let begun = browser.get(&format!("{}/auth/sign-in", stack.url)).await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER);
    let location = begun.header("location");
    for needed in [
        "code_challenge=",
        "code_challenge_method=S256",
        "state=",
        "nonce=",
        "response_type=code",
    ] {
        assert!(location.contains(needed), "{location}");
    }
    let answer = browser
        .get(&format!("{}/auth/callback?code=x&state=of-somebody-else", stack.url))
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.cookie(&stack.url, SESSION), None);
}

#[tokio::test]
async fn nobody_is_sent_to_another_host_after_signing_in() {
    let stack = Stack::get().await;
    for path in ["https://evil.example", "//evil.example", "/%5Cevil.example"] {
        let answer = stack.ask(None, &format!("/auth/sign-in?return_to={path}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn another_site_cannot_sign_a_browser_out() {
    let (stack, mut browser) = signed_in("vera").await;
    let me = browser.get(&format!("{}/api/v1/me", stack.url)).await.json();
    let token = me["csrf_token"].as_str().expect("a token").to_owned();
    let (url, own) = (sign_out_url(stack), stack.url.clone());
    let forged: [&[(&str, &str)]; 5] = [
        &[],
        &[("origin", "https://evil.example"), ("x-csrf-token", &token)],
        &[("origin", "null"), ("x-csrf-token", &token)],
        &[("origin", &own)],
        &[("origin", &own), ("x-csrf-token", "guessed")],
    ];
    for fields in forged {
        let answer = browser.request(Method::POST, &url, fields, None).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{fields:?}: {}", answer.body);
    }
    let still = browser.get(&format!("{}/api/v1/me", stack.url)).await;
    assert_eq!(still.status, StatusCode::OK);
    let refused =
        "SELECT count() FROM access_log WHERE reason = 'cross-site' AND subject = 'vera' AND outcome = 'refused'";
    assert!(stack.number(refused).await >= 5);
}

#[tokio::test]
async fn signing_out_ends_the_session_here_and_leads_to_the_provider() {
    let (stack, mut browser) = signed_in("vera").await;
    let word = browser.cookie(&stack.url, SESSION).expect("a cookie").to_owned();
    let me = browser.get(&format!("{}/api/v1/me", stack.url)).await.json();
    let token = me["csrf_token"].as_str().expect("a token").to_owned();
    let fields = [("origin", stack.url.as_str()), ("x-csrf-token", token.as_str())];
    let answer = browser.request(Method::POST, &sign_out_url(stack), &fields, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let location = answer.json()["location"].as_str().expect("a URL").to_owned();
    assert!(location.starts_with(stack.identity.issuer()), "{location}");
    assert!(
        location.contains("id_token_hint=") && location.contains("post_logout_redirect_uri="),
        "{location}"
    );
    assert_eq!(
        browser.cookie(&stack.url, SESSION),
        None,
        "the browser has forgotten it"
    );
    // And so has the console: the word is worth nothing any more.
    let cookie = format!("{SESSION}={word}");
    let again = stack.ask_with(None, "/api/v1/me", &[("cookie", &cookie)]).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    // The provider takes the way out for what it is.
    let provider = browser.get(&location).await;
    assert!(provider.status.is_success(), "{}: {}", provider.status, provider.body);
}

#[tokio::test]
async fn tokens_that_are_not_for_the_console_are_refused() {
    let stack = Stack::get().await;
    let other = stack
        .identity
        .user_token("ada", "https://other.example")
        .await
        .expect("a token");
    let good = stack.token("ada");
    let (head, signature) = good.rsplit_once('.').expect("a JWT");
    let flipped: String = signature.chars().rev().collect();
    for (token, why) in [
        (other.as_str().to_owned(), "for another audience"),
        (format!("{head}.{flipped}"), "signature"),
        (format!("{head}."), "no signature"),
        ("x".to_owned(), "no token"),
    ] {
        let field = format!("Bearer {token}");
        let answer = stack.ask_with(None, "/api/v1/me", &[("authorization", &field)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{why}");
        assert!(answer.headers.contains_key("www-authenticate"));
        assert!(!answer.body.contains(&token) || token.len() < 2, "{why}");
    }
}
