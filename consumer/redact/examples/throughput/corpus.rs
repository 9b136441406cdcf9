//! Generated MCP frames: the same for everyone.

use crate::numbers::{Numbers, WORDS};
use serde_json::{Value, json};

const SECRETS: [&str; 12] = [
    "bob@example.com",
    "4111 1111 1111 1111",
    "219-09-9999",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "Authorization: Bearer mF_9.B5f-4.1JqM",
    "DE89370400440532013000",
    "+49 30 901820",
    "PESEL 44051401359",
    "password=hunter2hunter2",
    "AKIAIOSFODNN7EXAMPLE",
    "81.2.69.142",
    "https://app:s3cret@db.example.com/main",
];

/// A sentence; in a dense corpus, with something that has to go.
fn note(numbers: &mut Numbers, dense: bool) -> String {
    let note = numbers.sentence(12);
    if dense {
        format!("{note}\n{} {}", numbers.pick(&SECRETS), numbers.sentence(4))
    } else {
        note
    }
}

/// Frames of 1.8 KB on average, one JSON text each. In a dense corpus every note has a finding.
pub(crate) fn frames(count: u64, dense: bool) -> Vec<String> {
    let mut numbers = Numbers::new(7);
    (0..count)
        .map(|id| frame(&mut numbers, id, dense).to_string())
        .collect()
}

/// One answer of `size` bytes or a little more.
pub(crate) fn large(size: usize, dense: bool) -> String {
    let mut numbers = Numbers::new(11);
    let mut rows = Vec::new();
    let mut length = 0;
    while length < size {
        // The structured copy and the one in the text, with its escapes.
        let row = row(&mut numbers, rows.len() as u64, dense);
        length += row.to_string().len() * 2 + 40;
        rows.push(row);
    }
    answer(1, &json!({ "rows": rows })).to_string()
}

fn frame(numbers: &mut Numbers, id: u64, dense: bool) -> Value {
    match numbers.below(10) {
        0..6 => {
            let rows: Vec<_> = (0..4).map(|at| row(numbers, at, dense)).collect();
            answer(id, &json!({ "rows": rows, "next": numbers.uuid() }))
        }
        6 | 7 => {
            let lines: Vec<_> = (0..14)
                .map(|_| format!("{} {} {}", numbers.time(), numbers.hex(8), note(numbers, dense)))
                .collect();
            json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": lines.join("\n")}]}})
        }
        8 => {
            let tools: Vec<_> = (0..5).map(|at| tool(numbers, at)).collect();
            json!({"jsonrpc": "2.0", "id": id, "result": {"tools": tools}})
        }
        _ => json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": "create_issue",
            "arguments": {"title": numbers.sentence(6), "body": note(numbers, dense), "at": numbers.time(), "labels": ["bug", "p2"]},
            "_meta": {"progressToken": numbers.uuid(), "traceparent": format!("00-{}-{}-01", numbers.hex(32), numbers.hex(16))},
        }}),
    }
}

fn row(numbers: &mut Numbers, at: u64, dense: bool) -> Value {
    json!({
        "row": at, "id": numbers.uuid(), "sha": numbers.hex(40), "at": numbers.time(), "micros": 1_763_825_815_123_456 + numbers.below(1_000_000_000),
        "url": format!("https://example.com/{}/{}?page={}", numbers.pick(&WORDS), numbers.hex(6), numbers.below(90)),
        "ratio": numbers.below(1_000_000) as f64 / 7.0, "open": numbers.below(2) == 0, "note": note(numbers, dense),
    })
}

/// Structured results come as text too.
fn answer(id: u64, structured: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": structured.to_string()}], "structuredContent": structured}})
}

fn tool(numbers: &mut Numbers, at: u64) -> Value {
    json!({"name": format!("tool_{at}"), "description": numbers.sentence(20), "inputSchema": {"type": "object", "properties": {
        "path": {"type": "string", "description": numbers.sentence(8)}, "limit": {"type": "integer", "minimum": 1}}, "required": ["path"]}})
}
