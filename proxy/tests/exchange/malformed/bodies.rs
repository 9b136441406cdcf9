//! Bodies that are no message, or could be read as two.

use super::{Case, request};

/// Texts that are no JSON, in whatever place of a message.
const NO_VALUE: [&str; 46] = [
    "",
    "nul",
    "True",
    "NaN",
    "Infinity",
    "-Infinity",
    "undefined",
    "01",
    "-",
    "-01",
    "1.",
    ".5",
    "1e",
    "1e+",
    "+1",
    "0x10",
    "1_000",
    "'a'",
    "\"a",
    "\"\\x41\"",
    "\"\\u12\"",
    "\"\\u12G4\"",
    "\"a\tb\"",
    "\"a\nb\"",
    "\"\\\"",
    "[",
    "]",
    "{",
    "}",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "{]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{a:1}",
    "{1:1}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "/* x */ 1",
    "1 // x",
    "1;",
    "`a`",
];

/// Members whose value decides what a call is, where they stand.
const NAMING: [(&str, &str); 6] = [
    ("jsonrpc", "\"2.0\""),
    ("id", "1"),
    ("method", "\"tools/call\""),
    ("params", "{\"name\":\"x\"}"),
    ("name", "\"x\""),
    ("arguments", "{}"),
];

pub(super) fn cases(token: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, body: Vec<u8>, rule: &'static str| {
        cases.push(Case {
            bytes: request(token, &[], &body),
            name,
            status: 400,
            rule,
        });
    };
    for (at, text) in NO_VALUE.iter().enumerate() {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"x":{text}}}}}"#);
        add(
            format!("no JSON within, {at}: {text}"),
            body.into(),
            "malformed_message",
        );
    }
    for text in [
        "",
        " ",
        "nul",
        "{",
        "[",
        "\"",
        "{}{}",
        "{} x",
        "\u{feff}{}",
        "\0",
        "<xml/>",
        "id=1&method=ping",
    ] {
        add(format!("no JSON: {text:?}"), text.into(), "malformed_message");
    }
    for (name, bytes) in not_utf8() {
        let mut body = br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":""#.to_vec();
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\"}}");
        add(format!("not UTF-8: {name}"), body, "malformed_message");
    }
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    add(
        "UTF-16".to_owned(),
        wide(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
        "malformed_message",
    );
    for text in no_message() {
        add(
            format!("no JSON-RPC: {}", &text[..text.len().min(80)]),
            text.into(),
            "malformed_message",
        );
    }
    for (name, text) in deep() {
        add(format!("deep: {name}"), text.into(), "malformed_message");
    }
    for (key, value) in NAMING {
        for (how, text) in two_faced(key, value) {
            add(format!("{key}, {how}"), text.into(), "ambiguous_message");
        }
    }
    cases
}

fn not_utf8() -> [(&'static str, &'static [u8]); 8] {
    [
        ("a lone continuation", b"\x80"),
        ("a lone start", b"\xc3"),
        ("overlong", b"\xc0\xaf"),
        ("overlong of three", b"\xe0\x80\xaf"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("beyond Unicode", b"\xf4\x90\x80\x80"),
        ("no such byte", b"\xff"),
        ("Latin-1", b"caf\xe9"),
    ]
}

fn no_message() -> Vec<String> {
    let mut texts: Vec<String> = [
        "1",
        "\"ping\"",
        "null",
        "true",
        "[]",
        "[1]",
        "[[]]",
        "[null]",
        "{}",
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":null,"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":["ping"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":{"a":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":"no"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":"\ud800","method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"\udfff"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\ud83d"}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},1]"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},[]]"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{}]"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}]"#,
    ]
    .map(str::to_owned)
    .to_vec();
    // Ids and methods that would have to be cut, and batches without end.
    for size in [257, 4096, 300_000] {
        texts.push(format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"ping"}}"#,
            "9".repeat(size)
        ));
        texts.push(format!(
            r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#,
            "x".repeat(size)
        ));
        texts.push(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "x".repeat(size)));
    }
    for size in [129, 2_000] {
        let messages = vec![r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#; size];
        texts.push(format!("[{}]", messages.join(",")));
    }
    texts
}

fn deep() -> Vec<(String, String)> {
    let message = |inner: String| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{inner}}}}}"#);
    let mut texts = Vec::new();
    for depth in [127, 1_000, 100_000] {
        texts.push((
            format!("{depth} arrays"),
            message("[".repeat(depth) + &"]".repeat(depth)),
        ));
        texts.push((
            format!("{depth} objects"),
            message(r#"{"a":"#.repeat(depth) + "1" + &"}".repeat(depth)),
        ));
        texts.push((format!("{depth} arrays without end"), "[".repeat(depth)));
    }
    texts
}

/// Messages in which some parsers find one value of a member, and others another.
fn two_faced(key: &str, value: &str) -> Vec<(String, String)> {
    let message = |more: String| {
        let inside = |places: &[&str]| places.contains(&key);
        let (outer, inner) = if inside(&["name", "arguments"]) {
            (String::new(), more)
        } else {
            (more, String::new())
        };
        let params = match inner.is_empty() {
            true => r#""params":{"name":"x","arguments":{}}"#.to_owned(),
            false => format!(r#""params":{{"name":"x","arguments":{{}},{inner}}}"#),
        };
        let comma = if outer.is_empty() { "" } else { "," };
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call",{params}{comma}{outer}}}"#)
    };
    let capital = key[..1].to_uppercase() + &key[1..];
    let escaped = format!("\\u{:04x}{}", u32::from(key.as_bytes()[0]), &key[1..]);
    [
        ("twice", key.to_owned()),
        ("in capitals", key.to_uppercase()),
        ("with a capital", capital),
        ("with an escape", escaped),
        ("cut by a NUL", format!("{key}\\u0000")),
    ]
    .map(|(how, key)| (how.to_owned(), message(format!("\"{key}\":{value}"))))
    .to_vec()
}
