//! Heads that are no HTTP, that are too large, or that say something else than the body.

use super::{Case, head, request};

const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo",
    "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;

pub(super) fn cases(token: &str) -> Vec<Case> {
    let mut cases = disagreements(token);
    cases.extend(framing(token));
    cases.extend(no_http(token));
    cases.extend(bombs(token));
    cases.extend(sessions_and_charsets(token));
    cases
}

fn case(name: impl Into<String>, bytes: Vec<u8>, status: u16, rule: &'static str) -> Case {
    Case {
        name: name.into(),
        bytes,
        status,
        rule,
    }
}

fn disagreements(token: &str) -> Vec<Case> {
    let version = "mcp-protocol-version: 2026-07-28";
    let (method, name) = ("mcp-method: tools/call", "mcp-name: echo");
    let long = format!("mcp-name: {}", "e".repeat(5_000));
    let lines: [&[&str]; 18] = [
        &[version],
        &[version, method],
        &[version, name],
        &[method, name],
        &[version, "mcp-method: ping", name],
        &[version, "mcp-method: Tools/Call", name],
        &[version, "mcp-method: =?base64?dG9vbHMvY2FsbA==?=", name],
        &[version, method, "mcp-name: delete"],
        &[version, method, "mcp-name: ECHO"],
        &[version, method, "mcp-name: "],
        &[version, method, "mcp-name: echo, delete"],
        &[version, method, "mcp-name: =?base64?ZGVsZXRl?="],
        &[version, method, "mcp-name: =?base64?%%%?="],
        &[version, method, "mcp-name: =?base64?/w==?="],
        &[version, method, name, "mcp-name: delete"],
        &[version, method, method, name],
        &["mcp-protocol-version: 2025-11-25", method, name],
        &[version, method, &long],
    ];
    let of_call = |lines: &&[&str]| {
        let name = format!("disagrees: {:.120}", lines.join("; "));
        case(name, request(token, lines, CALL), 400, "header_mismatch")
    };
    let mut cases: Vec<Case> = lines.iter().map(of_call).collect();
    let batch = [b"[", PING, b"]"].concat();
    cases.push(case(
        "a modern batch",
        request(token, &[version], &batch),
        400,
        "header_mismatch",
    ));
    cases.push(case(
        "another method",
        request(token, &["mcp-method: tools/call"], PING),
        400,
        "header_mismatch",
    ));
    for lines in [
        ["mcp-protocol-version: 2025-06-18", "mcp-protocol-version: 2025-11-25"],
        ["mcp-protocol-version: a b", "x: y"],
        ["mcp-protocol-version: ", "x: y"],
    ] {
        let name = format!("a bad revision: {}", lines.join("; "));
        cases.push(case(name, request(token, &lines, PING), 400, "bad_revision"));
    }
    cases
}

/// Bodies whose length two readers could see differently.
fn framing(token: &str) -> Vec<Case> {
    let with = |lines: &[&str], rest: &str| {
        let mut bytes = head(token, lines);
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(rest.as_bytes());
        bytes
    };
    let hidden = format!("0\r\n\r\nGET /demo/mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n");
    let chunked = "transfer-encoding: chunked";
    vec![
        case(
            "two lengths",
            with(&["content-length: 5", chunked], &hidden),
            400,
            "malformed_message",
        ),
        case(
            "two codings",
            with(&[chunked, chunked], &hidden),
            400,
            "transfer_coding",
        ),
        case(
            "an inner coding",
            with(&["transfer-encoding: gzip, chunked"], &hidden),
            400,
            "transfer_coding",
        ),
        case(
            "a bad size",
            with(&[chunked], "zz\r\n{}\r\n0\r\n\r\n"),
            400,
            "body_incomplete",
        ),
        case(
            "a negative size",
            with(&[chunked], "-1\r\n{}\r\n0\r\n\r\n"),
            400,
            "body_incomplete",
        ),
        case(
            "a size with a prefix",
            with(&[chunked], "0x2\r\n{}\r\n0\r\n\r\n"),
            400,
            "body_incomplete",
        ),
        case(
            "a huge size",
            with(&[chunked], "ffffffffffffffff1\r\n{}\r\n"),
            400,
            "body_incomplete",
        ),
        case(
            "a chunk longer than its size",
            with(&[chunked], "1\r\n{}\r\n0\r\n\r\n"),
            400,
            "body_incomplete",
        ),
        case(
            "chunks of nothing",
            with(&[chunked], "0\r\n\r\n"),
            400,
            "malformed_message",
        ),
    ]
}

/// What is refused before a request can be made of it.
fn no_http(token: &str) -> Vec<Case> {
    let lines = [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: -1",
        "content-length: +5",
        "content-length: 0x5",
        "content-length: 5, 6",
        "content-length: 99999999999999999999999",
        "transfer-encoding: identity",
        "transfer-encoding: chunked, gzip",
        "content length: 5",
        "content-length : 5",
        "x\0y: 1",
        "x: a\0b",
        ": empty",
        "x\u{e9}: 1",
        "no colon",
        " folded: 1",
        "x: \u{7f}",
    ];
    let mut cases: Vec<Case> = lines
        .iter()
        .map(|line| {
            let mut bytes = head(token, &[line]);
            bytes.extend_from_slice(b"\r\n");
            case(format!("no HTTP: {line:?}"), bytes, 400, "malformed_http")
        })
        .collect();
    let starts = [
        "POST /demo/mcp HTTP/9.9\r\n\r\n",
        "POST /demo/mcp HTTP/1.1 x\r\n\r\n",
        "POST  /demo/mcp HTTP/1.1\r\n\r\n",
        "P\u{e9}ST /demo/mcp HTTP/1.1\r\n\r\n",
        "POST /demo/\u{1}mcp HTTP/1.1\r\n\r\n",
        "\u{1}\u{2}\u{3}\u{4}\r\n\r\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\r\n\r\n",
    ];
    cases.extend(starts.iter().map(|start| {
        case(
            format!("no HTTP: {start:?}"),
            start.as_bytes().to_vec(),
            400,
            "malformed_http",
        )
    }));
    cases
}

/// More than anybody needs to send.
fn bombs(token: &str) -> Vec<Case> {
    let bomb = |name: &str, lines: &[&str]| case(name, request(token, lines, PING), 431, "head_too_large");
    let (long, many) = (format!("x: {}", "y".repeat(70_000)), vec!["x: y"; 200]);
    let name = format!("{}: y", "x".repeat(70_000));
    let lines: Vec<String> = (0..20).map(|at| format!("x-{at}: {}", "y".repeat(4_000))).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut large = head(token, &["content-length: 4194305"]);
    large.extend_from_slice(b"\r\n");
    let mut endless = head(token, &["transfer-encoding: chunked"]);
    endless.extend_from_slice(b"\r\n");
    for _ in 0..5 {
        endless.extend_from_slice(b"100000\r\n");
        endless.extend_from_slice(&vec![b' '; 0x10_0000]);
        endless.extend_from_slice(b"\r\n");
    }
    vec![
        bomb("one long field", &[&long]),
        bomb("a long name", &[&name]),
        bomb("many fields", &many),
        bomb("long fields together", &lines),
        case("a body too large by its length", large, 413, "body_too_large"),
        case("a body too large without one", endless, 413, "body_too_large"),
    ]
}

fn sessions_and_charsets(token: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let tag = "A".repeat(48);
    for id in [
        "x",
        ".",
        &tag,
        &format!("x.{tag}"),
        &format!(".{tag}"),
        &format!("x y.{tag}"),
        &"x".repeat(9_000),
    ] {
        let line = format!("mcp-session-id: {id}");
        let name = format!("no session of ours: {id:.60}");
        cases.push(case(name, request(token, &[&line], PING), 404, "unknown_session"));
    }
    for field in [
        "application/json; charset=utf-7",
        "application/json; charset=utf-16",
        "application/json;charset=ebcdic",
    ] {
        let line = format!("content-type: {field}");
        cases.push(case(field, request(token, &[&line], PING), 415, "charset"));
    }
    for coding in ["gzip", "br", "deflate", "gzip, identity", "x"] {
        let line = format!("content-encoding: {coding}");
        cases.push(case(coding, request(token, &[&line], PING), 415, "content_encoding"));
    }
    cases
}
