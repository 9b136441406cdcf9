//! What is answered: pages, filters, tags, streams, limits.

use clickhouse::Client;
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::recordings::{CALLS, add_frame};
use crate::stack::{PATIENCE, Stack, answer, http};

/// All items of a list, page by page.
async fn all(stack: &Stack, user: &str, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    for _page in 0..100 {
        let page = stack.ask(Some(user), &format!("{path}{cursor}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let page = page.json();
        items.extend(page["items"].as_array().expect("items").iter().cloned());
        match page["next"].as_str() {
            None => return items,
            Some(next) => cursor = format!("&cursor={next}"),
        }
    }
    panic!("the list does not end");
}

#[tokio::test]
async fn lists_are_whole_and_in_order_page_by_page() {
    let stack = Stack::get().await;
    let sessions = all(stack, "ada", "/api/v1/sessions?limit=1").await;
    let ids: Vec<&str> = sessions
        .iter()
        .map(|one| one["session_id"].as_str().expect("an id"))
        .collect();
    let recordings = &stack.recordings;
    let expected = [recordings.bob, recordings.audrey, recordings.vera].map(|id| id.to_string());
    assert_eq!(ids, expected, "newest first");
    let calls = all(stack, "ada", "/api/v1/calls?limit=2").await;
    assert_eq!(calls.len() as u64, 3 * CALLS);
    let times: Vec<&str> = calls
        .iter()
        .map(|call| call["called"].as_str().expect("a time"))
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "latest first: {times:?}");
    let path = format!("/api/v1/sessions/{}/calls?limit=2", recordings.bob);
    let calls = all(stack, "ada", &path).await;
    assert_eq!(calls.len() as u64, CALLS);
    assert!(
        calls
            .iter()
            .all(|call| call["outcome"] == "answered" && call["name"] == "tool-bob"),
        "{calls:?}"
    );
    let hits = all(stack, "ada", "/api/v1/search?text=canary-bob&limit=3").await;
    assert_eq!(hits.len() as u64, 2 * CALLS);
    for hit in &hits {
        let (excerpt, at) = (
            hit["excerpt"].as_str().expect("text"),
            hit["excerpt_at"].as_u64().expect("a number"),
        );
        assert!(
            excerpt
                .chars()
                .skip(at as usize)
                .collect::<String>()
                .starts_with("canary-bob"),
            "{hit}"
        );
    }
}

#[tokio::test]
async fn a_count_is_how_many_sessions_the_list_has() {
    let stack = Stack::get().await;
    for (user, filter) in [
        ("ada", ""),
        ("ada", "&user=vera"),
        ("ada", "&user=vera%40example.com"),
        ("ada", "&tool=tool-bob"),
        ("ada", "&target=target-a&tool=tool-vera"),
        ("ada", "&target=target-a&tool=tool-bob"),
        ("ada", "&outcome=ok"),
        ("ada", "&outcome=error"),
        ("ada", "&user=nobody"),
        ("ada", "&text=canary-bob"),
        ("audrey", ""),
        ("vera", ""),
        ("vera", "&user=bob"),
    ] {
        let listed = all(stack, user, &format!("/api/v1/sessions?limit=100{filter}")).await;
        let path = format!("/api/v1/sessions/count?{}", filter.trim_start_matches('&'));
        let counted = stack.ask(Some(user), &path).await;
        let expected = serde_json::json!({ "sessions": listed.len(), "is_more": false });
        assert_eq!(counted.json(), expected, "{user}: {filter}");
        let waited = counted.header("server-timing");
        assert!(
            waited.starts_with("questions;dur=") && waited.contains(", access;dur="),
            "{waited}"
        );
    }
}

#[tokio::test]
async fn frames_are_paged_by_their_number_and_any_place_can_be_jumped_to() {
    let stack = Stack::get().await;
    let session = stack.recordings.audrey;
    let page = |query: &str| format!("/api/v1/sessions/{session}/frames?{query}");
    let numbers = |page: &Value| -> Vec<u64> {
        let items = page["items"].as_array().expect("items").iter();
        items
            .map(|frame| frame["session_seq"].as_u64().expect("a number"))
            .collect()
    };
    let first = stack.ask(Some("ada"), &page("limit=4")).await.json();
    assert_eq!(
        (numbers(&first), &first["next"], &first["total"]),
        (vec![1, 2, 3, 4], &4.into(), &10.into())
    );
    let last = stack.ask(Some("ada"), &page("after=8&limit=4")).await.json();
    assert_eq!((numbers(&last), &last["next"]), (vec![9, 10], &Value::Null));
    let cut = stack.ask(Some("ada"), &page("limit=1&payload_bytes=5")).await.json();
    assert_eq!(cut["items"][0]["payload"].as_str().map(str::len), Some(5));
    let whole = stack
        .ask(Some("ada"), &format!("/api/v1/sessions/{session}/frames/1"))
        .await
        .json();
    assert_eq!(
        whole["payload"].as_str().map(|text| text.len() as u64),
        whole["payload_stored"].as_u64()
    );
    let none = stack
        .ask(Some("ada"), &format!("/api/v1/sessions/{session}/frames/11"))
        .await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn filters_leave_what_fits() {
    let stack = Stack::get().await;
    for (query, expected) in [
        ("user=bob@example.com", 1),
        ("user=bob", 1),
        ("user=bobby", 0),
        ("target=target-a", 2),
        ("tool=tool-vera", 1),
        ("tenant=b", 1),
        ("tenant=a&user=bob", 0),
        ("client=test", 3),
        ("outcome=ok", 3),
        ("outcome=error", 0),
        ("from=2020-01-01T00:00:00Z", 3),
        ("to=2020-01-01T00:00:00Z", 0),
        ("text=canary-audrey", 1),
        ("text=CANARY&tenant=a&outcome=ok&limit=1", 1),
    ] {
        let page = stack.ask(Some("ada"), &format!("/api/v1/sessions?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query}: {}", page.body);
        assert_eq!(
            page.json()["items"].as_array().map(Vec::len),
            Some(expected),
            "{query}: {}",
            page.body
        );
    }
}

#[tokio::test]
async fn facets_and_statistics_count_what_the_caller_sees() {
    let stack = Stack::get().await;
    let facets = stack.ask(Some("audrey"), "/api/v1/facets").await.json();
    let values = facets["values"].as_array().expect("values").clone();
    let count = |facet: &str, value: &str| {
        let found = values.iter().find(|one| one["facet"] == facet && one["value"] == value);
        found.and_then(|one| one["sessions"].as_u64())
    };
    assert_eq!(
        (count("target", "target-a"), count("tool", "tool-vera")),
        (Some(2), Some(1))
    );
    assert_eq!((count("tenant", "b"), count("user", "bob@example.com")), (None, None));
    for (user, sessions) in [("vera", 1), ("audrey", 2), ("ada", 3)] {
        let counted = stack.ask(Some(user), "/api/v1/statistics?step=60").await;
        assert_eq!(counted.status, StatusCode::OK, "{}", counted.body);
        let counted = counted.json();
        let sum = |list: &str, key: &str| -> u64 {
            let steps = counted[list].as_array().expect("steps").iter();
            steps.map(|step| step[key].as_u64().expect("a number")).sum()
        };
        assert_eq!(sum("sessions", "sessions"), sessions, "{user}: {counted}");
        assert_eq!(sum("calls", "calls"), sessions * CALLS, "{user}: {counted}");
    }
    let letters = stack
        .ask(Some("ada"), "/api/v1/dead-letters?reason=not_avro")
        .await
        .json();
    assert_eq!(
        (&letters["items"][0]["reason"], &letters["items"][0]["offset"]),
        (&"not_avro".into(), &42.into())
    );
}

#[tokio::test]
async fn a_dead_letter_is_found_by_what_was_wrong_and_shown_with_every_attempt_to_read_it_again() {
    let stack = Stack::get().await;
    let retry = "INSERT INTO deadletter_retries (kafka_source, kafka_topic, kafka_partition, kafka_offset, requested_by, outcome) \
        VALUES ('main', 'mcp.frames.v1', 0, 42, 'ada', 'unknown_schema')";
    stack.direct().query(retry).execute().await.expect("somebody has tried");
    let offsets = async |query: &str| -> Vec<u64> {
        let listed = stack
            .ask(Some("ada"), &format!("/api/v1/dead-letters?{query}"))
            .await
            .json();
        let items = listed["items"].as_array().expect("items").iter();
        items.map(|item| item["offset"].as_u64().expect("a number")).collect()
    };
    for (query, found) in [
        ("reason=not_avro", &[42][..]),
        ("reason=too_large", &[]),
        ("topic=mcp.frames.v1&state=open", &[42]),
        ("topic=mcp.frames.v2", &[]),
        ("state=loaded", &[]),
    ] {
        assert_eq!(offsets(query).await, found, "{query}");
    }
    let opened = stack
        .ask(Some("ada"), "/api/v1/dead-letters/main/mcp.frames.v1/0/42")
        .await
        .json();
    assert_eq!(opened["letter"]["reason"], "not_avro", "{opened}");
    let retries = opened["retries"].as_array().expect("retries");
    let last = retries.last().expect("an attempt");
    assert_eq!(
        (&last["requested_by"], &last["outcome"]),
        (&"ada".into(), &"unknown_schema".into())
    );
    for elsewhere in ["main/mcp.frames.v1/0/43", "other/mcp.frames.v1/0/42"] {
        let missing = stack
            .ask(Some("ada"), &format!("/api/v1/dead-letters/{elsewhere}"))
            .await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND, "{elsewhere}: {}", missing.body);
    }
}

#[tokio::test]
async fn dead_letters_of_one_moment_and_offset_in_several_clusters_and_topics_are_each_on_one_page() {
    let stack = Stack::get().await;
    let letters = "INSERT INTO deadletters (kafka_source, kafka_topic, kafka_partition, kafka_offset, kafka_time, reason) \
        SELECT ['east', 'west'][1 + number % 2], ['frames.a', 'frames.b'][1 + intDiv(number, 2)], 0, 7, '2020-02-02 02:02:02', 'of_one_moment' \
        FROM numbers(4)";
    stack.direct().query(letters).execute().await.expect("rows are added");
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let path = format!("/api/v1/dead-letters?reason=of_one_moment&limit=1{next}");
        let page = stack.ask(Some("ada"), &path).await.json();
        let letter = &page["items"][0];
        seen.push(format!("{} {}", letter["source"], letter["topic"]).replace('"', ""));
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(
        seen,
        ["west frames.b", "west frames.a", "east frames.b", "east frames.a"]
    );
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let stack = Stack::get().await;
    let path = format!("/api/v1/sessions/{}", stack.recordings.bob);
    let first = stack.ask(Some("ada"), &path).await;
    let tag = first.header("etag").to_owned();
    let again = stack.ask_with(Some("ada"), &path, &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    let other = stack
        .ask_with(Some("ada"), &path, &[("if-none-match", "\"other\"")])
        .await;
    assert_eq!((other.status, other.body), (StatusCode::OK, first.body));
}

#[tokio::test]
async fn a_tail_shows_a_frame_when_it_comes() {
    let stack = Stack::get().await;
    let session = stack.recordings.vera;
    let url = format!("{}/api/v1/sessions/{session}/live?after=10", stack.url);
    let request = http()
        .get(url)
        .header(AUTHORIZATION, format!("Bearer {}", stack.token("vera")));
    let mut tail = request.send().await.expect("an answer");
    assert_eq!(tail.status(), StatusCode::OK);
    let client = Client::default()
        .with_url(stack.clickhouse.url())
        .with_database(&stack.database);
    add_frame(&client, stack.identity.issuer(), session, 11).await;
    let mut heard = String::new();
    let hears = async {
        while !heard.contains("\n\n") || !heard.contains("event: frame") {
            let chunk = tail.chunk().await.expect("a stream").expect("no end");
            heard.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    tokio::time::timeout(PATIENCE, hears).await.expect("the frame comes");
    assert!(
        heard.contains("canary-vera and more") && heard.contains("id: 11"),
        "{heard}"
    );
}

#[tokio::test]
async fn a_question_that_costs_too_much_is_refused_and_says_so() {
    let stack = Stack::get().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    stack.serve(listener, &stack.clickhouse.url(), "[limits]\nrows = 3\n");
    let request = http().get(format!("{url}/api/v1/search?text=canary"));
    let refused = answer(request.header(AUTHORIZATION, format!("Bearer {}", stack.token("ada")))).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    assert_eq!(refused.json()["type"], "urn:tapedeck:problem:too-much");
}

#[tokio::test]
async fn the_description_and_its_page_are_there_for_everybody() {
    let stack = Stack::get().await;
    let json = stack.ask(None, "/api/openapi.json").await;
    assert!(
        json.json()["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    for (path, kind) in [
        ("/api/", "text/html; charset=utf-8"),
        ("/api/style.css", "text/css; charset=utf-8"),
    ] {
        let page = stack.ask(None, path).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, kind));
    }
    assert_eq!(stack.ask(None, "/healthz").await.status, StatusCode::OK);
}
