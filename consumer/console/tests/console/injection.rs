//! Every parameter of every operation, with values that mean something to ClickHouse, to HTTP, and to people.

use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use crate::stack::Stack;

/// For text, which goes all the way to ClickHouse: what ends a quoted text, by a quote or by an escape; what begins
/// something else in SQL, in a parameter's place, or on a page; and what is no text.
const NASTY_TEXT: [&str; 6] = [
    "' OR 1=1 --",
    "\\' OR 1=1 --",
    "') UNION ALL SELECT payload FROM frames; DROP TABLE access_log --",
    "{scope_subject:String}\\",
    "\\0*/ OR 1 /*%<script>alert(1)</script>日本\u{202e}",
    "\0",
];

/// For what is parsed before anything is asked: the bounds of what passes, and beyond.
const NASTY_OTHER: [&str; 7] = [
    "ffffffff-ffff-7fff-bfff-ffffffffffff",
    "9223372036854775807",
    "-9223372036854775809",
    "' OR 1=1 --",
    "{scope_subject:String}",
    "1; DROP TABLE access_log",
    "\0",
];

/// As a query's value is written.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The path and query that put a value where a parameter belongs, and right values elsewhere.
fn question(path: &str, name: &str, is_path: bool, value: &str, stack: &Stack) -> String {
    let filled = |own: &str| match is_path && own == name {
        true => encoded(value),
        false if ["number", "partition", "offset"].contains(&own) => "1".to_owned(),
        false if own == "topic" => "mcp.frames.v1".to_owned(),
        false => stack.recordings.vera.to_string(),
    };
    let at = path
        .replace("{session}", &filled("session"))
        .replace("{number}", &filled("number"))
        .replace("{export}", &filled("export"))
        .replace("{topic}", &filled("topic"))
        .replace("{partition}", &filled("partition"))
        .replace("{offset}", &filled("offset"));
    match is_path {
        true => at,
        // `text` is required where something is searched.
        false if path.ends_with("/search") && name != "text" => format!("{at}?text=canary&{name}={}", encoded(value)),
        false => format!("{at}?{name}={}", encoded(value)),
    }
}

#[tokio::test]
async fn no_parameter_changes_what_is_asked() {
    let stack = Stack::get().await;
    let bobs = "SELECT count() FROM frames WHERE subject = 'bob'";
    let before = stack.number(bobs).await;
    let description: Value = serde_json::from_str(&tapedeck_console::serve::openapi()).expect("JSON");
    let mut questions = Vec::new();
    for (path, methods) in description["paths"].as_object().expect("paths") {
        let operation = &methods["get"];
        // A tail that begins shows nothing that the session's frames do not.
        if !operation.is_object() || path.ends_with("/live") || path.starts_with("/auth") {
            continue;
        }
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in &parameters {
            let name = parameter["name"].as_str().expect("a name");
            let is_path = parameter["in"] == "path";
            let nasty = match parameter["schema"]["maxLength"].is_u64() {
                true => &NASTY_TEXT[..],
                false => &NASTY_OTHER[..],
            };
            // What only administrators may ask is asked by one.
            let asker = if path.contains("dead-letters") { "ada" } else { "vera" };
            questions.extend(
                nasty
                    .iter()
                    .map(|value| (asker, question(path, name, is_path, value, stack))),
            );
        }
    }
    let asked = questions.len();
    // As many at once as one user may have under way.
    let answers: Vec<_> = stream::iter(questions)
        .map(async |(asker, question)| (stack.ask(Some(asker), &question).await, question))
        .buffer_unordered(4)
        .collect()
        .await;
    for (answer, question) in &answers {
        let is_expected = matches!(answer.status.as_u16(), 200 | 400 | 404);
        assert!(is_expected, "{question}: {} {}", answer.status, answer.body);
        for foreign in ["canary-bob", "canary-audrey", "tool-bob", "DB::Exception"] {
            assert!(!answer.body.contains(foreign), "{question}: {}", answer.body);
        }
    }
    let answered = answers.iter().filter(|(answer, _)| answer.status.is_success()).count();
    assert!(
        asked > 300 && answered > 100,
        "only {asked} questions were asked, and {answered} answered"
    );
    assert_eq!(stack.number(bobs).await, before);
    assert!(
        stack.number("SELECT count() FROM access_log").await > 0,
        "it is still there"
    );
}

#[tokio::test]
async fn text_that_means_something_to_the_database_is_found_as_it_stands() {
    let stack = Stack::get().await;
    for (text, is_there) in [
        ("it's \\\\ 100%", true),
        ("it's", true),
        ("it''s", false),
        ("100_", false),
        ("CANARY-vera", true),
    ] {
        let found = stack
            .ask(Some("vera"), &format!("/api/v1/search?text={}", encoded(text)))
            .await;
        assert_eq!(found.status, 200, "{}", found.body);
        let hits = found.json()["items"].as_array().expect("items").len();
        assert_eq!(hits > 0, is_there, "{text}: {}", found.body);
        let listed = stack
            .ask(Some("vera"), &format!("/api/v1/sessions?text={}", encoded(text)))
            .await;
        assert_eq!(
            listed.json()["items"].as_array().expect("items").len() == 1,
            is_there,
            "{text}: {}",
            listed.body
        );
    }
}
