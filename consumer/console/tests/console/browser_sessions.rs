//! Browsers' sessions: they outlive a console, hold at all of its replicas, and end at all of them.

use std::time::{Duration, Instant};

use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode, Url};

use crate::browser::Browser;
use crate::stack::{PATIENCE, Stack};

const SESSION: &str = "__Host-tapedeck";

async fn signed_in(login: &str) -> (&'static Stack, Browser, String) {
    let stack = Stack::get().await;
    let mut browser = Browser::default();
    let answer = browser.sign_in(&stack.url, login).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let cookie = browser.cookie(&stack.url, SESSION).expect("a cookie").to_owned();
    (stack, browser, cookie)
}

/// What a console says to a browser that shows this cookie.
async fn me(stack: &Stack, at: &str, cookie: &str) -> (StatusCode, String) {
    let cookie = format!("{SESSION}={cookie}");
    let answer = stack.ask_at(at, None, "/api/v1/me", &[("cookie", &cookie)]).await;
    let token = match answer.status {
        StatusCode::OK => answer.json()["csrf_token"].as_str().expect("a token").to_owned(),
        _ => String::new(),
    };
    (answer.status, token)
}

#[tokio::test]
async fn who_is_signed_in_stays_so_after_a_restart_and_at_every_replica_and_is_signed_out_of_all() {
    let (stack, mut browser, cookie) = signed_in("vera").await;
    let (status, token) = me(stack, &stack.url, &cookie).await;
    assert_eq!(status, StatusCode::OK);

    let (first, served) = stack.replica(&stack.database, "").await;
    assert_eq!(me(stack, &first, &cookie).await, (StatusCode::OK, token.clone()));
    served.stop().await;
    let (second, _served) = stack.replica(&stack.database, "").await;
    assert_eq!(me(stack, &second, &cookie).await, (StatusCode::OK, token.clone()));

    // Out, at the replica; the page that asks was loaded from the first console.
    browser.carry(&stack.url, &second);
    let url = Url::parse(&format!("{second}/auth/sign-out")).expect("a URL");
    let fields = [("origin", stack.url.as_str()), ("x-csrf-token", token.as_str())];
    let answer = browser.request(Method::POST, &url, &fields, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(answer.body.contains("id_token_hint="), "{}", answer.body);
    let (third, _served) = stack.replica(&stack.database, "").await;
    for at in [&second, &stack.url, &third] {
        assert_eq!(
            me(stack, at, &cookie).await.0,
            StatusCode::UNAUTHORIZED,
            "the cookie was kept"
        );
        let again = browser.request(Method::POST, &url, &fields, None).await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_tail_ends_when_its_viewer_signs_out_elsewhere() {
    let (stack, mut browser, cookie) = signed_in("vera").await;
    let (_, token) = me(stack, &stack.url, &cookie).await;
    let (replica, _served) = stack.replica(&stack.database, "").await;
    let request = crate::stack::http().get(format!("{replica}/api/v1/live"));
    let mut tail = request
        .header("cookie", format!("{SESSION}={cookie}"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(tail.status(), StatusCode::OK);
    let url = Url::parse(&format!("{}/auth/sign-out", stack.url)).expect("a URL");
    let fields = [("origin", stack.url.as_str()), ("x-csrf-token", token.as_str())];
    let out = browser.request(Method::POST, &url, &fields, None).await;
    assert_eq!(out.status, StatusCode::OK, "{}", out.body);
    let ends = async { while tail.chunk().await.expect("a stream").is_some() {} };
    tokio::time::timeout(PATIENCE, ends).await.expect("the stream ends");
}

#[tokio::test]
async fn a_sign_in_that_begins_at_one_replica_ends_at_another() {
    let stack = Stack::get().await;
    let (replica, _served) = stack.replica(&stack.database, "").await;
    let mut browser = Browser::default();
    let begun = browser
        .get(&format!("{replica}/auth/sign-in?return_to=/api/v1/me"))
        .await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.body);
    browser.carry(&replica, &stack.url);
    let ended = browser.walk(begun.header("location"), "vera").await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER, "{}", ended.body);
    assert_eq!(ended.headers[LOCATION], "/api/v1/me");
    let me = browser.get(&format!("{}/api/v1/me", stack.url)).await;
    assert_eq!(me.json()["subject"], "vera");
}

#[tokio::test]
async fn a_cookie_that_was_changed_or_made_up_is_nobodys() {
    let (stack, browser, cookie) = signed_in("vera").await;
    let mut wrong: Vec<String> = [0, cookie.len() / 2, cookie.len() - 1]
        .map(|place| {
            let mut letters: Vec<char> = cookie.chars().collect();
            letters[place] = if letters[place] == 'A' { 'B' } else { 'A' };
            letters.into_iter().collect()
        })
        .into();
    wrong.push(cookie[..cookie.len() - 4].to_owned());
    wrong.push(format!("{cookie}AAAA"));
    wrong.extend(["".to_owned(), "A".repeat(200), "{}".to_owned()]);
    for cookie in wrong {
        assert_eq!(
            me(stack, &stack.url, &cookie).await.0,
            StatusCode::UNAUTHORIZED,
            "{cookie}"
        );
    }
    // What another cookie of the same session holds is no session either.
    let hint = browser.hint(&stack.url).expect("a cookie").to_owned();
    assert_eq!(me(stack, &stack.url, &hint).await.0, StatusCode::UNAUTHORIZED);
    for secret in ["vera", "example.com", "eyJ"] {
        assert!(
            !cookie.contains(secret) && !hint.contains(secret),
            "a cookie can be read"
        );
    }
    assert_eq!(me(stack, &stack.url, &cookie).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_session_ends_when_its_time_has_passed() {
    let (stack, _, cookie) = signed_in("vera").await;
    for limit in ["session", "session_idle"] {
        let (strict, _served) = stack
            .replica(&stack.database, &format!("[limits]\n{limit} = \"1s\"\n"))
            .await;
        let begun = Instant::now();
        while me(stack, &strict, &cookie).await.0 == StatusCode::OK {
            assert!(begun.elapsed() < PATIENCE, "{limit}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(me(stack, &strict, &cookie).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(
        me(stack, &stack.url, &cookie).await.0,
        StatusCode::OK,
        "where it lasts longer, it goes on"
    );
}

#[tokio::test]
async fn where_nobody_can_say_who_has_signed_out_nobody_is_signed_in() {
    let (stack, _, cookie) = signed_in("vera").await;
    let (lost, _served) = stack.replica("no_such_database", "").await;
    assert_eq!(me(stack, &lost, &cookie).await.0, StatusCode::SERVICE_UNAVAILABLE);
}
