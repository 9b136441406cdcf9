//! The web pages' files as browsers and caches see them, and the outline that the player is drawn from.

use reqwest::StatusCode;

use crate::recordings::CALLS;
use crate::stack::Stack;

#[tokio::test]
async fn every_place_is_the_same_page_and_is_asked_for_anew() {
    let stack = Stack::get().await;
    let home = stack.ask(None, "/").await;
    assert_eq!(home.status, StatusCode::OK, "{}", home.body);
    assert_eq!(home.header("cache-control"), "no-cache", "{}", home.body);
    let session = format!("/sessions/{}", stack.recordings.vera);
    for path in [
        "/sessions",
        &session,
        "/live",
        "/overview",
        "/access",
        "/values",
        "/compare?a=1",
    ] {
        assert_eq!(stack.ask(None, path).await.body, home.body, "{path}");
    }
    let tag = home.header("etag");
    let again = stack.ask_with(None, "/", &[("if-none-match", tag)]).await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

#[tokio::test]
async fn files_with_a_hash_in_their_names_are_kept_for_ever_and_sent_compressed() {
    let stack = Stack::get().await;
    let home = stack.ask(None, "/").await.body;
    let (_, from) = home.split_once("src=\"").expect("a script");
    let (script, _) = from.split_once('"').expect("a quoted path");
    let plain = stack.ask(None, script).await;
    assert!(plain.header("cache-control").contains("immutable"), "{script}");
    assert!(plain.headers.get("content-encoding").is_none());
    assert_eq!(plain.header("content-type"), "text/javascript; charset=utf-8");
    let small = stack.ask_with(None, script, &[("accept-encoding", "gzip")]).await;
    assert_eq!(small.header("content-encoding"), "gzip");
    assert_eq!(small.header("vary"), "Accept-Encoding");
    assert_ne!(
        small.header("etag"),
        plain.header("etag"),
        "each coding has a tag of its own"
    );
    let missing = stack.ask(None, "/assets/..%2f..%2fetc%2fpasswd").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_outline_says_when_each_frame_was_and_what_it_is() {
    let stack = Stack::get().await;
    let session = stack.recordings.audrey;
    let outline = stack
        .ask(Some("audrey"), &format!("/api/v1/sessions/{session}/outline"))
        .await;
    assert_eq!(outline.status, StatusCode::OK, "{}", outline.body);
    let outline = outline.json();
    let frames = usize::try_from(CALLS * 2).expect("a few");
    assert_eq!(outline["marks"], "qr".repeat(frames / 2).as_str());
    assert_eq!(outline["numbers"].as_array().map(Vec::len), Some(frames));
    assert_eq!(outline["times"].as_array().map(Vec::len), Some(frames));
    assert_eq!(outline["next"], serde_json::Value::Null);
    let rest = stack
        .ask(
            Some("audrey"),
            &format!("/api/v1/sessions/{session}/outline?after=4&limit=2"),
        )
        .await
        .json();
    assert_eq!(
        (&rest["numbers"], &rest["next"]),
        (&serde_json::json!([5, 1]), &6.into())
    );
}
