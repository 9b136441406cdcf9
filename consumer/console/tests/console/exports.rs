//! Exports: whole, proven, audited, and gone on with where they broke off.

use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::archive::{Archive, NASTY};
use crate::recordings::CALLS;
use crate::stack::{Answer, PATIENCE, Stack, http};

async fn manifest(stack: &Stack, user: &str, export: &Answer) -> Value {
    let id = export.header("x-request-id");
    let answer = stack.ask(Some(user), &format!("/api/v1/exports/{id}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()
}

fn hash(text: impl AsRef<[u8]>) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn every_form_is_what_its_manifest_says_and_holds_the_session() {
    let stack = Stack::get().await;
    let session = stack.recordings.audrey;
    for format in ["jsonl", "har", "cast", "html"] {
        let path = format!("/api/v1/sessions/{session}/export?format={format}");
        let export = stack.ask(Some("audrey"), &path).await;
        assert_eq!(export.status, StatusCode::OK, "{format}: {}", export.body);
        assert!(
            export
                .header("content-disposition")
                .contains(&format!("{session}.{format}"))
        );
        assert!(export.body.contains("canary-audrey"), "{format}: {}", export.body);
        let manifest = manifest(stack, "audrey", &export).await;
        assert_eq!(
            (&manifest["state"], &manifest["subject"], &manifest["role"]),
            (&"complete".into(), &"audrey".into(), &"auditor".into())
        );
        assert_eq!(manifest["sha256"], hash(&export.body), "{format}");
        assert_eq!(
            (&manifest["bytes"], &manifest["frames"]),
            (&export.body.len().into(), &(2 * CALLS).into()),
            "{format}"
        );
        assert_eq!(manifest["question"]["format"], format);
        let rows = stack
            .number(&format!(
                "SELECT count() FROM access_log WHERE request_id = '{}' AND action = 'export' AND session_id = '{session}'",
                export.header("x-request-id")
            ))
            .await;
        assert_eq!(rows, 2, "one before the first byte, one before the last");
    }
}

#[tokio::test]
async fn each_form_is_what_programs_expect_of_it() {
    let stack = Stack::get().await;
    let session = stack.recordings.bob;
    let get = async |format: &str| {
        let path = format!("/api/v1/sessions/{session}/export?format={format}");
        stack.ask(Some("ada"), &path).await.body
    };
    let lines = get("jsonl").await;
    let frames: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let numbers: Vec<u64> = frames
        .iter()
        .map(|frame| frame["session_seq"].as_u64().expect("a number"))
        .collect();
    assert_eq!(numbers, (1..=2 * CALLS).collect::<Vec<_>>());
    assert!(
        frames[0]["time"].as_str().is_some_and(|time| time.ends_with('Z')),
        "{}",
        frames[0]
    );
    assert_eq!(frames[0]["frame_hash"].as_str().map(str::len), Some(64));
    let archive: Value = serde_json::from_str(&get("har").await).expect("JSON");
    let entries = archive["log"]["entries"].as_array().expect("entries");
    assert_eq!(
        (archive["log"]["version"].as_str(), entries.len() as u64),
        (Some("1.2"), CALLS)
    );
    assert!(
        entries[0]["request"]["postData"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("canary-bob"))
    );
    let cast = get("cast").await;
    let mut events = cast
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    assert_eq!(events.next().expect("a header")["version"], 2);
    let times: Vec<f64> = events.map(|event| event[0].as_f64().expect("a time")).collect();
    assert!(times.len() as u64 > 2 * CALLS && times.is_sorted());
    let page = get("html").await;
    assert!(page.contains("default-src 'none'") && !page.contains("://") || page.contains("http://127.0.0.1"));
    let parquet = http()
        .get(format!("{}/api/v1/sessions/{session}/export?format=parquet", stack.url))
        .header(AUTHORIZATION, format!("Bearer {}", stack.token("ada")));
    let parquet = parquet.send().await.expect("an answer").bytes().await.expect("a body");
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
}

#[tokio::test]
async fn scripts_in_a_recording_do_not_run_on_its_page() {
    let archive = Archive::get().await;
    let path = format!("/api/v1/sessions/{}/export?format=html", archive.nasty);
    let page = archive.ask("ada", &path).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        !page.body.contains(NASTY) && page.body.contains("alert(1)"),
        "{}",
        page.body
    );
    assert!(
        !page.body.contains("<script>alert") && !page.body.contains("<img"),
        "{}",
        page.body
    );
    assert_eq!(page.body.matches("</script>").count(), 3, "the page's own");
}

#[tokio::test]
async fn an_export_of_many_sessions_holds_those_that_its_user_may_see() {
    let stack = Stack::get().await;
    for (user, words, missing) in [
        ("vera", &["canary-vera"][..], &["canary-audrey", "canary-bob"][..]),
        ("audrey", &["canary-vera", "canary-audrey"], &["canary-bob"]),
    ] {
        let export = stack
            .ask(Some(user), "/api/v1/export?format=jsonl&target=target-a")
            .await;
        assert_eq!(export.status, StatusCode::OK, "{}", export.body);
        assert!(
            words.iter().all(|word| export.body.contains(word)),
            "{user}: {}",
            export.body
        );
        assert!(
            !missing.iter().any(|word| export.body.contains(word)),
            "{user}: {}",
            export.body
        );
        assert_eq!(manifest(stack, user, &export).await["sha256"], hash(&export.body));
        let id = export.header("x-request-id");
        let foreign = stack.ask(Some("nora"), &format!("/api/v1/exports/{id}")).await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    }
    let refused = stack.ask(Some("ada"), "/api/v1/export?format=html").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
}

#[tokio::test]
async fn an_export_goes_on_where_it_broke_off_and_is_the_same_in_the_end() {
    let stack = Stack::get().await;
    let session = stack.recordings.bob;
    // Parquet is no text.
    let bytes = async |path: &str| {
        let request = http().get(format!("{}{path}", stack.url));
        let request = request.header(AUTHORIZATION, format!("Bearer {}", stack.token("ada")));
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let id = response.headers()["x-request-id"].to_str().expect("an id").to_owned();
        let body = response.bytes().await.expect("a body");
        let manifest = stack.ask(Some("ada"), &format!("/api/v1/exports/{id}")).await.json();
        (body, manifest)
    };
    for format in ["jsonl", "har", "cast", "html", "parquet"] {
        let path = format!("/api/v1/sessions/{session}/export?format={format}&last=7");
        let (whole, _) = bytes(&path).await;
        for offset in [0, 1, whole.len() / 2, whole.len(), whole.len() + 5] {
            let (rest, manifest) = bytes(&format!("{path}&offset={offset}")).await;
            let expected = whole.get(offset..).unwrap_or_default();
            assert!(rest == expected, "{format} from {offset}");
            assert_eq!(manifest["sha256"], hash(&whole), "{format} from {offset}");
        }
    }
}

#[tokio::test]
async fn an_export_that_nobody_waits_for_any_more_is_on_record_as_broken_off() {
    let archive = Archive::get().await;
    let request = http()
        .get(format!(
            "{}/api/v1/sessions/{}/export?format=jsonl",
            archive.url, archive.long
        ))
        .header(AUTHORIZATION, format!("Bearer {}", archive.stack.token("ada")));
    let mut export = request.send().await.expect("an answer");
    let id = export.headers()["x-request-id"].to_str().expect("text").to_owned();
    export.chunk().await.expect("a piece").expect("not the end");
    drop(export);
    let broken = format!(
        "SELECT count() FROM archive.access_log WHERE request_id = '{id}' AND action = 'export' AND outcome = 'failed' \
         AND reason = 'cancelled'"
    );
    let waits = async {
        while archive.stack.number(&broken).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("it is written down");
    let manifest = archive.ask("ada", &format!("/api/v1/exports/{id}")).await.json();
    assert_eq!(
        (&manifest["state"], &manifest["sha256"]),
        (&"broken_off".into(), &"".into())
    );
}
