//! The rules by hand.

use super::*;

const MODERN: &str = "2026-07-28";

fn checked(fields: &[(&'static str, &str)], message: &str, modern: bool) -> Result<(), Mismatch> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    let envelope = Envelope::scan(message.as_bytes(), Limits::CLIENT).expect("a message");
    check(&headers, &envelope, modern)
}

fn call(name: &str) -> String {
    let name = serde_json::to_string(name).expect("a string");
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{name},
            "_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}"}}}}}}"#
    )
}

fn modern_call(name: &str, header: &str) -> Result<(), Mismatch> {
    let fields = [
        ("mcp-protocol-version", MODERN),
        ("mcp-method", "tools/call"),
        ("mcp-name", header),
    ];
    checked(&fields, &call(name), true)
}

#[test]
fn headers_that_say_what_the_message_says_agree() {
    assert_eq!(modern_call("echo", "echo"), Ok(()));
    assert_eq!(modern_call("hällo wörld", "=?base64?aMOkbGxvIHfDtnJsZA==?="), Ok(()));
    assert_eq!(modern_call("hällo", "hällo"), Ok(()), "the same bytes");
    assert_eq!(modern_call("=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?="), Ok(()));
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(checked(&[("mcp-method", "tools/list")], list, true), Ok(()));
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#;
    assert_eq!(
        checked(&[], cancelled, true),
        Ok(()),
        "nothing is asked of notifications"
    );
}

#[test]
fn headers_that_say_something_else_are_refused() {
    let different = Err(Mismatch::Different("Mcp-Name"));
    for header in [
        "delete",
        "Echo",
        "echo2",
        "=?base64?ZWNobw=?=",
        "=?base64?ZWNoby4=?=",
        "=?base64?ZWNobx==?=",
        "=?base64? ZWNobw==?=",
        "=?BASE64?ZWNobw==?=",
        "",
    ] {
        assert_eq!(modern_call("echo", header), different, "{header}");
    }
    assert_eq!(
        modern_call("=?base64?x?=", "=?base64?x?="),
        different,
        "it stands for another"
    );
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    for modern in [true, false] {
        assert_eq!(
            checked(&[("mcp-method", "tools/call")], list, modern),
            Err(Mismatch::Different("Mcp-Method"))
        );
    }
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(
        checked(&[("mcp-method", "tools/call")], answer, false),
        Err(Mismatch::Different("Mcp-Method"))
    );
    let nameless = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#;
    let fields = [("mcp-method", "tools/call"), ("mcp-name", "echo")];
    assert_eq!(checked(&fields, nameless, true), different);
}

#[test]
fn what_the_modern_revision_demands_may_be_missing_in_others() {
    let fields = [("mcp-protocol-version", MODERN)];
    assert_eq!(
        checked(&fields, &call("echo"), true),
        Err(Mismatch::Missing("Mcp-Method"))
    );
    let fields = [("mcp-protocol-version", MODERN), ("mcp-method", "tools/call")];
    assert_eq!(
        checked(&fields, &call("echo"), true),
        Err(Mismatch::Missing("Mcp-Name"))
    );
    let legacy = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
    assert_eq!(checked(&[], legacy, false), Ok(()));
}

#[test]
fn the_revision_is_the_same_in_both_places() {
    assert_eq!(
        checked(&[], &call("echo"), true),
        Err(Mismatch::Missing("MCP-Protocol-Version"))
    );
    assert_eq!(
        checked(&[("mcp-protocol-version", "2025-06-18")], &call("echo"), false),
        Err(Mismatch::Different("MCP-Protocol-Version"))
    );
    let handshake = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    assert_eq!(
        checked(&[("mcp-protocol-version", "2025-06-18")], handshake, false),
        Ok(())
    );
}

#[test]
fn a_header_given_twice_and_a_batch_agree_with_nothing() {
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let fields = [("mcp-method", "tools/list"), ("mcp-method", "tools/list")];
    assert_eq!(checked(&fields, list, true), Err(Mismatch::Repeated("Mcp-Method")));
    assert_eq!(checked(&[], &format!("[{list}]"), true), Err(Mismatch::Batch));
    assert_eq!(checked(&[], &format!("[{list}]"), false), Ok(()));
    assert_eq!(
        checked(&[("mcp-method", "tools/list")], &format!("[{list}]"), false),
        Err(Mismatch::Different("Mcp-Method"))
    );
}

#[test]
fn a_name_too_long_to_be_kept_agrees_with_no_header() {
    let kept = "x".repeat(Limits::CLIENT.name);
    assert_eq!(modern_call(&kept, &kept), Ok(()));
    assert_eq!(
        modern_call(&format!("{kept}, and more"), &kept),
        Err(Mismatch::Different("Mcp-Name"))
    );
}
