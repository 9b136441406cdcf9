//! Every look is on record before it is answered, or it is not answered.

use futures_util::StreamExt as _;
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use tokio::net::TcpListener;

use crate::stack::{Answer, Stack, answer, http};

async fn row(stack: &Stack, answer: &Answer, condition: &str) -> u64 {
    let id = answer.header("x-request-id");
    stack
        .number(&format!(
            "SELECT count() FROM access_log WHERE request_id = '{id}' AND ({condition})"
        ))
        .await
}

#[tokio::test]
async fn a_look_is_a_row_before_its_answer_is_here() {
    let stack = Stack::get().await;
    let session = stack.recordings.vera;
    let path = format!("/api/v1/sessions/{session}/frames?limit=3");
    let shown = stack.ask_with(Some("audrey"), &path, &[("user-agent", "a look")]).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.body);
    let expected = format!(
        "subject = 'audrey' AND email = 'audrey@example.com' AND role = 'auditor' AND action = 'replay' \
         AND outcome = 'allowed' AND tenant = 'a' AND session_id = '{session}' AND rows = 3 AND bytes = {} \
         AND client_address = '127.0.0.1' AND user_agent = 'a look' AND filter LIKE '%\"limit\":3%'",
        shown.body.len()
    );
    assert_eq!(row(stack, &shown, "1").await, 1, "one look is one row");
    for condition in expected.split(" AND ") {
        assert_eq!(row(stack, &shown, condition).await, 1, "{condition}");
    }
    let found = stack.ask(Some("vera"), "/api/v1/search?text=canary").await;
    assert_eq!(
        row(
            stack,
            &found,
            "action = 'search' AND filter LIKE '%canary%' AND rows > 0"
        )
        .await,
        1
    );
}

#[tokio::test]
async fn a_refusal_is_a_row_that_says_whom_and_why() {
    let stack = Stack::get().await;
    let nobody = stack.ask(None, "/api/v1/sessions").await;
    assert_eq!(
        row(
            stack,
            &nobody,
            "outcome = 'refused' AND reason = 'unauthenticated' AND subject = ''"
        )
        .await,
        1
    );
    let nora = stack.ask(Some("nora"), "/api/v1/sessions").await;
    assert_eq!(
        row(
            stack,
            &nora,
            "outcome = 'refused' AND reason = 'forbidden' AND subject = 'nora'"
        )
        .await,
        1
    );
    let foreign = stack
        .ask(
            Some("vera"),
            &format!("/api/v1/sessions/{}/frames", stack.recordings.bob),
        )
        .await;
    let expected = format!(
        "reason = 'not-found' AND subject = 'vera' AND action = 'replay' AND object LIKE '%{}%'",
        stack.recordings.bob
    );
    assert_eq!(row(stack, &foreign, &expected).await, 1);
    let wrong = stack.ask(Some("vera"), "/api/v1/sessions?limit=x").await;
    assert_eq!(
        row(stack, &wrong, "reason = 'bad-request' AND filter = 'limit=x'").await,
        1
    );
}

#[tokio::test]
async fn who_cannot_be_put_on_record_is_shown_nothing() {
    let stack = Stack::get().await;
    // A port that nobody listens on: its listener is gone.
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    stack.serve(listener, &format!("http://{gone}"), "");
    for path in [
        "/api/v1/sessions",
        "/api/v1/search?text=canary",
        "/api/v1/live",
        "/api/v1/nothing",
    ] {
        let request = http().get(format!("{url}{path}"));
        let refused = answer(request.header(AUTHORIZATION, format!("Bearer {}", stack.token("ada")))).await;
        assert_eq!(
            refused.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{path}: {}",
            refused.body
        );
        assert_eq!(refused.json()["type"], "urn:tapedeck:problem:not-on-record");
        assert!(refused.headers.contains_key("retry-after"));
        assert!(!refused.body.contains("canary"), "{}", refused.body);
    }
}

#[tokio::test]
async fn strangers_cannot_fill_the_log() {
    let stack = Stack::get().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    stack.serve(listener, &stack.clickhouse.url(), "");
    let asked = 200;
    let answers = futures_util::stream::iter(0..asked).map(|_| {
        let request = http().get(format!("{url}/api/v1/sessions"));
        answer(request.header("user-agent", "a stranger"))
    });
    let answers: Vec<Answer> = answers.buffer_unordered(20).collect().await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::UNAUTHORIZED));
    let rows = stack
        .number("SELECT count() FROM access_log WHERE user_agent = 'a stranger'")
        .await;
    assert!(rows > 0 && rows < asked, "{rows} rows");
}

#[tokio::test]
async fn many_looks_at_once_are_a_row_each() {
    let stack = Stack::get().await;
    let looks = (0..50).map(|number| async move {
        let agent = format!("many-looks-{number}");
        stack
            .ask_with(
                Some(["vera", "audrey", "ada"][number % 3]),
                "/api/v1/health",
                &[("user-agent", &agent)],
            )
            .await
    });
    let answers = futures_util::future::join_all(looks).await;
    assert!(answers.iter().any(|answer| answer.status == StatusCode::OK));
    for answer in &answers {
        let (rows, allowed) = (
            row(stack, answer, "1").await,
            row(stack, answer, "outcome = 'allowed'").await,
        );
        match answer.status {
            StatusCode::OK => assert_eq!((rows, allowed), (1, 1)),
            // Too much at once for one user.
            StatusCode::TOO_MANY_REQUESTS => assert_eq!((rows, allowed), (1, 0)),
            // An insert that took too long may have been made all the same: a row too many shows nobody anything.
            StatusCode::SERVICE_UNAVAILABLE => assert!(rows <= 1),
            other => panic!("{other}: {}", answer.body),
        }
    }
}

#[tokio::test]
async fn the_log_shows_everybody_their_own_looks_and_administrators_all() {
    let stack = Stack::get().await;
    let look = stack
        .ask_with(Some("ada"), "/api/v1/health", &[("user-agent", "a look of ada's")])
        .await;
    let id = look.header("x-request-id").to_owned();
    for (user, is_seen) in [("vera", false), ("audrey", false), ("ada", true)] {
        let log = stack.ask(Some(user), "/api/v1/access?limit=500").await;
        assert_eq!(log.status, StatusCode::OK, "{}", log.body);
        assert_eq!(log.body.contains(&id), is_seen, "{user}");
    }
    let log = stack.ask(Some("vera"), "/api/v1/access?limit=500").await.json();
    let entries = log["items"].as_array().expect("items");
    assert!(entries.iter().all(|entry| entry["subject"] == "vera"));
}
