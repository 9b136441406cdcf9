mod properties;

use super::*;

fn client(message: &str) -> Result<Envelope, EnvelopeError> {
    Envelope::scan(message.as_bytes(), Limits::CLIENT)
}

fn target(message: &str) -> Result<Envelope, EnvelopeError> {
    Envelope::scan(message.as_bytes(), Limits::TARGET)
}

fn valid(message: &str) -> Envelope {
    client(message).unwrap_or_else(|error| panic!("{error}: {message}"))
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_request_is_named_by_its_tool_prompt_or_resource() {
    let call =
        valid(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"name":"x"}}}"#);
    assert_eq!(
        (call.kind, call.id, call.method, call.name),
        (Kind::Request, text("7"), text("tools/call"), text("echo"))
    );
    let prompt = valid(r#"{"params":{"uri":"u","name":"p"},"method":"prompts\/get","id":"a","jsonrpc":"2.0"}"#);
    assert_eq!(
        (prompt.id, prompt.method, prompt.name),
        (text("\"a\""), text("prompts/get"), text("p"))
    );
    let read = valid(r#"{"jsonrpc":"2.0","id":-1,"method":"resources/read","params":{"name":"n","uri":"file:///é"}}"#);
    assert_eq!((read.id, read.name), (text("-1"), text("file:///é")));
    let other = valid(r#"{"jsonrpc":"2.0","id":0,"method":"x/y","params":{"name":"n","uri":"u"}}"#);
    assert_eq!(other.name, None);
}

#[test]
fn each_kind_is_told_by_its_members() {
    for (message, kind) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Kind::Request),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#,
            Kind::Request,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            Kind::Notification,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, Kind::Response),
        (r#"{"jsonrpc":"2.0","id":"","result":null}"#, Kind::Response),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"m"}}"#,
            Kind::Error,
        ),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}"#, Kind::Error),
        (r#"{"jsonrpc":"2.0","error":{}}"#, Kind::Error),
        (
            r#" [{"jsonrpc":"2.0","method":"a"} , {"jsonrpc":"2.0","id":1,"result":1}] "#,
            Kind::Batch,
        ),
    ] {
        assert_eq!(valid(message).kind, kind, "{message}");
    }
}

#[test]
fn an_answer_tells_its_outcome() {
    let failed = valid(r#"{"result":{"content":[{"isError":false}],"isError":true},"jsonrpc":"2.0","id":1}"#);
    assert!(failed.is_error);
    assert!(!valid(r#"{"result":{"isError":false},"jsonrpc":"2.0","id":1}"#).is_error);
    assert!(!valid(r#"{"result":{"structuredContent":{"isError":true}},"jsonrpc":"2.0","id":1}"#).is_error);
    let refused = valid(r#"{"jsonrpc":"2.0","id":1,"error":{"data":{"code":1},"code":-32042,"message":"m"}}"#);
    assert_eq!(refused.error_code, Some(-32042));
    assert_eq!(
        valid(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5}}"#).error_code,
        None
    );
    assert_eq!(
        valid(r#"{"jsonrpc":"2.0","id":1,"error":{"code":99999999999999999999}}"#).error_code,
        None
    );
}

#[test]
fn initialize_and_meta_say_who_speaks() {
    let legacy = valid(
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},
            "clientInfo":{"name":"c","title":"t","version":"1.2"}}}"#,
    );
    assert_eq!(
        (legacy.protocol_version, legacy.client_name, legacy.client_version),
        (text("2025-06-18"), text("c"), text("1.2"))
    );
    let modern = valid(
        r#"{"jsonrpc":"2.0","id":0,"method":"tools/call","params":{"name":"n","clientInfo":{"name":"not me"},"protocolVersion":"no","_meta":{
            "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol\/clientInfo":{"version":"2","name":"m"},
            "progressToken":3,"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}}"#,
    );
    assert_eq!(
        (
            modern.protocol_version,
            modern.client_name,
            modern.client_version,
            modern.progress_token
        ),
        (text("2026-07-28"), text("m"), text("2"), text("3"))
    );
    assert_eq!(
        modern.trace_parent,
        text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    );
    let progress =
        valid(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"a\/b","progress":1}}"#);
    assert_eq!(progress.progress_token, text("\"a/b\""));
}

#[test]
fn equal_ids_compare_equal_however_they_are_spelled() {
    let id = |id: &str| valid(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#)).id;
    assert_eq!(id(r#""\u00e9\/\ud834\udd1e""#), id(r#""é/𝄞""#));
    assert_eq!(id(r#""\u0022\u005c\u000a\u0001\u0008""#), text(r#""\"\\\n\u0001\b""#));
    assert_eq!(id("12345678901234567890123"), text("12345678901234567890123"));
    assert_ne!(id("\"1\""), id("1"));
}

#[test]
fn what_two_parsers_could_read_differently_is_refused_from_clients_and_marked_from_targets() {
    let call = |members: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call",{members}}}"#);
    for (message, key) in [
        (call(r#""method":"ping""#), "method"),
        (call(r#""Method":"ping""#), "method"),
        (call(r#""meth\u006fd":"ping""#), "method"),
        (call(r#""method\u0000":"ping""#), "method"),
        (call(r#""ID":2"#), "id"),
        (call(r#""param\u017f":{}"#), "params"),
        (call(r#""params":{},"params":{"name":"x"}"#), "params"),
        (call(r#""params":{"name":"a","name":"b"}"#), "name"),
        (call(r#""params":{"name":"a","Name":"b"}"#), "name"),
        (call(r#""params":{"\u006eame":"a"}"#), "name"),
        (call(r#""params":{"URI":"a"}"#), "uri"),
        (call(r#""params":{"arguments":{},"arguments":{}}"#), "arguments"),
        (
            call(r#""params":{"requestState":"a","requeststate":"b"}"#),
            "requestState",
        ),
        (
            call(r#""params":{"_meta":{"progressToken":1,"progressToken":2}}"#),
            "progressToken",
        ),
        (
            call(r#""params":{"_meta":{"io.modelcontextprotocol/clientInfo":{"name":"a","NAME":"b"}}}"#),
            "name",
        ),
    ] {
        assert_eq!(client(&message), Err(EnvelopeError::Ambiguous(key)), "{message}");
        let noted = target(&message).unwrap_or_else(|error| panic!("{error}: {message}"));
        assert!(noted.ambiguous, "{message}");
        assert_eq!(noted.method, text("tools/call"), "the first spelling counts: {message}");
    }
    let name = |message: &str| target(message).expect("a target's message is only marked").name;
    assert_eq!(
        name(&call(r#""params":{"name":"a","name":"b"},"params":{"name":"c"}"#)),
        text("a")
    );
    assert_eq!(name(&call(r#""params":{"Name":"b","name":"a"}"#)), text("a"));
}

#[test]
fn an_escaped_slash_is_a_habit_and_no_ambiguity() {
    let message =
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"io.modelcontextprotocol\/protocolVersion":"v"}}}"#;
    assert_eq!(valid(message).protocol_version, text("v"));
}

#[test]
fn members_below_the_envelope_are_free() {
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","extra":{"id":1,"id":2,"ID":3},
        "params":{"name":"a","arguments":{"method":"x","method":"y","Name":"\ud800","name":[{"id":1}]},"other":1,"other":2}}"#;
    assert_eq!(valid(message).name, text("a"));
}

#[test]
fn half_a_surrogate_pair_names_nothing() {
    for members in [
        r#""method":"a\ud800""#,
        r#""method":"a","params":{"name":"\udc00"}"#,
        r#""method":"a","meth\ud800od":1"#,
    ] {
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,{members}}}"#);
        assert_eq!(client(&message).map_err(EnvelopeError::code), Err(-32600), "{message}");
    }
    assert!(client(r#"{"jsonrpc":"2.0","id":"\ud800","method":"a"}"#).is_err());
    // Where it names nothing, it passes as the grammar has it.
    assert!(client(r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":"\ud800","y":{"\ud800":1}}}"#).is_ok());
}

#[test]
fn what_is_no_json_rpc_message_is_an_invalid_request() {
    for message in [
        "1",
        "null",
        "\"x\"",
        "{}",
        "[]",
        "[1]",
        "[[]]",
        "[null]",
        "[{}]",
        r#"{"id":1,"method":"a"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1e3,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":["a"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","result":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#,
        r#"{"jsonrpc":"2.0","result":1}"#,
        r#"{"jsonrpc":"2.0","id":null,"result":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":null}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"initialize"}]"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}]"#,
    ] {
        assert_eq!(client(message).map_err(EnvelopeError::code), Err(-32600), "{message}");
    }
}

#[test]
fn what_is_no_json_is_a_parse_error() {
    for message in [
        &b""[..],
        b"  ",
        b"{",
        b"hello",
        b"{\"jsonrpc\":\"2.0\",}",
        b"{\"a\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        b"{} {}",
    ] {
        let error = Envelope::scan(message, Limits::CLIENT).expect_err("not JSON");
        // An object without members is refused before the second one is seen.
        assert_eq!(
            error.code(),
            if message == b"{} {}" { -32600 } else { -32700 },
            "{message:?}"
        );
    }
    let trailing = r#"{"jsonrpc":"2.0","id":1,"method":"a"} {"#;
    assert_eq!(client(trailing).map_err(EnvelopeError::code), Err(-32700));
}

#[test]
fn a_batch_has_its_messages_in_order() {
    let batch = valid(
        r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}},{"jsonrpc":"2.0","id":"x","error":{"code":5}}]"#,
    );
    assert_eq!((batch.kind, &batch.id, &batch.method), (Kind::Batch, &None, &None));
    let members: Vec<_> = batch
        .members
        .iter()
        .map(|member| (member.kind, member.id.as_deref()))
        .collect();
    assert_eq!(members, [(Kind::Request, Some("1")), (Kind::Error, Some("\"x\""))]);
    assert_eq!(batch.members[0].name, text("a"));
    assert_eq!(batch.members[1].error_code, Some(5));

    let many = format!(
        "[{}]",
        vec![r#"{"jsonrpc":"2.0","method":"a"}"#; Limits::CLIENT.members + 1].join(",")
    );
    assert_eq!(client(&many), Err(EnvelopeError::TooMany));
}

#[test]
fn long_labels_are_refused_and_long_names_cut_at_a_character() {
    let long = "é".repeat(129);
    let message = |id: &str, method: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#);
    assert_eq!(
        client(&message(&format!("\"{long}\""), "a")),
        Err(EnvelopeError::TooLong("id"))
    );
    assert_eq!(
        client(&message(&"1".repeat(257), "a")),
        Err(EnvelopeError::TooLong("id"))
    );
    assert_eq!(client(&message("1", &long)), Err(EnvelopeError::TooLong("method")));
    assert!(client(&message(&"1".repeat(256), &long[2..])).is_ok());

    let limits = Limits {
        name: 5,
        text: 3,
        ..Limits::CLIENT
    };
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ééé","_meta":{"progressToken":"abcd","traceparent":"ab\u20ac"}}}"#;
    let cut = Envelope::scan(message.as_bytes(), limits).expect("only cut");
    assert_eq!(
        (cut.name, cut.trace_parent, cut.progress_token),
        (text("éé"), text("ab"), None)
    );
    assert!(cut.truncated);
    assert!(!valid(message).truncated);
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{}{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert!(client(&nested(127)).is_ok());
    assert!(matches!(client(&nested(128)), Err(EnvelopeError::TooDeep(_))));
}

#[test]
fn a_streaming_answer_is_known_as_far_as_it_came() {
    let mut scanner = EnvelopeScanner::new(Limits::TARGET);
    assert_eq!(scanner.so_far(), None);
    scanner
        .push(br#"{"jsonrpc":"2.0","id":7,"res"#)
        .expect("so far, so good");
    assert_eq!(scanner.so_far(), None, "it may become anything");
    scanner
        .push(br#"ult":{"content":[{"text":"aaa"#)
        .expect("so far, so good");
    let known = scanner.so_far().expect("a result has begun");
    assert_eq!((known.kind, known.id.as_deref()), (Kind::Response, Some("7")));
    scanner
        .push(br#"""}],"isError":tru"#)
        .expect_err("two strings in a row");
    assert_eq!(scanner.so_far(), None);
    assert_eq!(
        scanner.push(b"whatever").map_err(EnvelopeError::code),
        Err(-32700),
        "it stays failed and usable"
    );
    assert!(scanner.finish().is_err());
}

#[test]
fn errors_never_quote_the_message() {
    for message in [
        r#"{"secret":"hunter2"} x"#,
        r#"{"secret" hunter2"#,
        r#"{"jsonrpc":"hunter2","id":1,"method":"secret"}"#,
    ] {
        let error = client(message).expect_err("not an envelope");
        assert!(
            !format!("{error} {error:?}").contains("hunter2") && !format!("{error}").contains("secret"),
            "{error}"
        );
    }
}
