//! Every operation that the API describes, as every role and as nobody.

use reqwest::header::AUTHORIZATION;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use crate::stack::{Answer, Stack, answer, http};

/// Nobody, somebody without a right, a viewer, an auditor of tenant a, an administrator.
const ASKERS: [Option<&str>; 5] = [None, Some("nora"), Some("vera"), Some("audrey"), Some("ada")];

/// What each of them is told. The session in the path is bob's, of tenant b.
fn expected(operation: &str) -> [u16; 5] {
    match operation {
        "get_me" | "list_sessions" | "count_sessions" | "list_calls" | "search" | "list_facets" | "get_statistics"
        | "list_access" | "get_health" | "tail_sessions" => [401, 403, 200, 200, 200],
        "export_sessions" => [401, 403, 200, 200, 200],
        // Nobody has exported anything by that id.
        "get_export" => [401, 403, 404, 404, 404],
        "get_programs" => [200; 5],
        "export_session" | "get_session" | "get_outline" | "list_frames" | "get_frame" | "list_session_calls"
        | "tail_session" => [401, 403, 404, 404, 200],
        "list_dead_letters" | "get_dead_letter" => [401, 403, 403, 403, 200],
        // It is asked nothing here.
        "find_value" => [401, 403, 403, 400, 400],
        // Begins for anybody; ends for nobody who has not begun; and bearers of tokens have no session to end.
        "sign_in" => [303; 5],
        "callback" | "sign_out" => [401; 5],
        other => panic!("{other} is described, and nobody has said who may use it"),
    }
}

/// Whose words an asker may hear.
fn may_hear(asker: Option<&str>, word: &str) -> bool {
    match asker {
        Some("ada") => true,
        Some("audrey") => word != "canary-bob" && word != "tool-bob",
        Some("vera") => word.ends_with("vera"),
        _ => false,
    }
}

/// Every operation of the description: its id, method and path.
fn operations() -> Vec<(String, Method, String)> {
    let description: Value = serde_json::from_str(&tapedeck_console::serve::openapi()).expect("JSON");
    let mut operations = Vec::new();
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            let method = method.to_uppercase().parse().expect("a method");
            operations.push((id, method, path.clone()));
        }
    }
    operations
}

async fn ask(stack: &Stack, asker: Option<&str>, method: Method, path: &str) -> Answer {
    let mut request = http().request(method, format!("{}{path}", stack.url));
    if let Some(user) = asker {
        request = request.header(AUTHORIZATION, format!("Bearer {}", stack.token(user)));
    }
    answer(request).await
}

fn filled_in(path: &str, session: Uuid) -> String {
    path.replace("{session}", &session.to_string())
        .replace("{number}", "1")
        .replace("{export}", &session.to_string())
        .replace("{source}/{topic}/{partition}/{offset}", "main/mcp.frames.v1/0/42")
        + "?text=canary"
}

#[tokio::test]
async fn every_operation_answers_every_role_as_it_may() {
    let stack = Stack::get().await;
    let operations = operations();
    assert!(operations.len() >= 23, "the description lists them all");
    for (id, method, path) in operations {
        let path = filled_in(&path, stack.recordings.bob);
        for (asker, expected) in ASKERS.into_iter().zip(expected(&id)) {
            let answer = ask(stack, asker, method.clone(), &path).await;
            assert_eq!(answer.status.as_u16(), expected, "{id} as {asker:?}: {}", answer.body);
            for word in ["vera", "audrey", "bob"]
                .map(|who| [format!("canary-{who}"), format!("tool-{who}")])
                .concat()
            {
                let is_heard = answer.body.contains(&word) && id != "list_access";
                assert!(
                    !is_heard || may_hear(asker, &word),
                    "{id} tells {asker:?} {word}: {}",
                    answer.body
                );
            }
            assert!(
                answer
                    .header("content-security-policy")
                    .starts_with("default-src 'none'")
            );
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
        }
    }
}

#[tokio::test]
async fn everybody_sees_just_the_sessions_that_are_theirs_to_see() {
    let stack = Stack::get().await;
    let recordings = &stack.recordings;
    for (user, mut visible) in [
        ("vera", vec![recordings.vera]),
        ("audrey", vec![recordings.vera, recordings.audrey]),
        ("ada", recordings.all().to_vec()),
    ] {
        let listed = stack.ask(Some(user), "/api/v1/sessions").await.json();
        let listed = listed["items"].as_array().expect("items");
        let mut ids: Vec<Uuid> = listed
            .iter()
            .map(|session| {
                session["session_id"]
                    .as_str()
                    .and_then(|id| id.parse().ok())
                    .expect("an id")
            })
            .collect();
        ids.sort();
        visible.sort();
        assert_eq!(ids, visible, "{user}");
        for session in recordings.all() {
            let is_visible = visible.contains(&session);
            let frames = stack
                .ask(Some(user), &format!("/api/v1/sessions/{session}/frames"))
                .await;
            assert_eq!(
                frames.status == StatusCode::OK,
                is_visible,
                "{user} {session}: {}",
                frames.body
            );
        }
    }
}

#[tokio::test]
async fn a_session_that_is_not_and_one_that_is_not_ours_look_the_same() {
    let stack = Stack::get().await;
    let foreign = stack
        .ask(Some("vera"), &format!("/api/v1/sessions/{}", stack.recordings.bob))
        .await;
    let missing = stack
        .ask(Some("vera"), &format!("/api/v1/sessions/{}", Uuid::now_v7()))
        .await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!((foreign.status, foreign.body), (missing.status, missing.body));
}

#[tokio::test]
async fn paths_that_are_not_are_problems_and_no_pages_of_somebody_else() {
    let stack = Stack::get().await;
    for path in [
        "/api/v1/nothing",
        "/api/v1/sessions/../../etc/passwd",
        "/api/v1/sessions/%2e%2e%2f",
        "/etc/passwd",
    ] {
        let answer = stack.ask(Some("ada"), path).await;
        assert!(matches!(answer.status.as_u16(), 400 | 404), "{path}: {}", answer.status);
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let answer = ask(stack, Some("ada"), Method::DELETE, "/api/v1/sessions").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}
