//! The ways in which redaction of JSON is known to go wrong, one test each.

use std::sync::LazyLock;
use tapedeck_redact::{Config, Content, Context, DropReason, Limits, Outcome, Redacted, Redactor};

fn redactor() -> &'static Redactor {
    static REDACTOR: LazyLock<Redactor> =
        LazyLock::new(|| Redactor::new(Config::default()).expect("the built-in packs are sound"));
    &REDACTOR
}

fn limited(limits: Limits) -> Redactor {
    Redactor::new(Config {
        limits,
        ..Config::default()
    })
    .expect("the built-in packs are sound")
}

fn masked(body: &str) -> String {
    let redactor = redactor();
    let redacted = redactor.redact(body.as_bytes(), &Context::default());
    String::from_utf8(redacted.body().expect("the body is not dropped").to_vec()).expect("output is UTF-8")
}

fn dropped(redacted: &Redacted<'_>) -> Option<DropReason> {
    assert_eq!(
        redacted.body().is_none(),
        matches!(redacted.outcome(), Outcome::Dropped(_))
    );
    match redacted.outcome() {
        Outcome::Dropped(reason) => Some(reason),
        Outcome::Unchanged | Outcome::Masked => None,
    }
}

#[test]
fn every_escape_is_read_and_everything_else_keeps_its_bytes() {
    assert_eq!(
        masked(r#" {"a" : "\u0041\/\ud83d\ude00 bob\u0040example\u002ecom\t\"", "n": 1.50e+3 } "#),
        r#" {"a" : "\u0041\/\ud83d\ude00 ‹redacted:email›\t\"", "n": 1.50e+3 } "#
    );
}

#[test]
fn lone_surrogates_neither_hide_nor_drop_anything() {
    assert_eq!(
        masked(r#"["\ud800 bob@example.com \udc00"]"#),
        r#"["\ud800 ‹redacted:email› \udc00"]"#
    );
}

#[test]
fn json_in_text_is_walked_and_escaped_as_found() {
    let inner = r#"{"user":"bob\u0040example.com","password":7,"ok":"\u0041"}"#;
    let body = serde_json::json!({"content": [{"type": "text", "text": serde_json::json!({"in": inner}).to_string()}]});
    let kept: serde_json::Value = serde_json::from_str(&masked(&body.to_string())).unwrap();
    let outer: serde_json::Value = serde_json::from_str(kept["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(
        outer["in"],
        r#"{"user":"‹redacted:email›","password":"‹redacted:credential›","ok":"\u0041"}"#
    );
}

#[test]
fn json_lines_in_text_are_walked_line_by_line() {
    assert_eq!(
        masked(r#"["{\"secret\":\"a\"}\n{\"secret\":2}"]"#),
        "[\"{\\\"secret\\\":\\\"‹redacted:credential›\\\"}\\n{\\\"secret\\\":\\\"‹redacted:credential›\\\"}\"]"
    );
}

#[test]
fn numbers_are_found_by_their_digits_and_become_strings() {
    assert_eq!(
        masked("[4111111111111111, -4111111111111111,4.111111111111111e15,4111111111111111.00,1732290000000000]"),
        r#"["‹redacted:card›", "‹redacted:card›","‹redacted:card›","‹redacted:card›",1732290000000000]"#
    );
}

#[test]
fn numbers_in_json_in_text_are_found_by_their_digits_too() {
    assert_eq!(
        masked(r#"{"text":"{\"n\":4.111111111111111e15}"}"#),
        r#"{"text":"{\"n\":\"‹redacted:card›\"}"}"#
    );
    assert_eq!(masked(r#"["4.111111111111111e15"]"#), r#"["‹redacted:card›"]"#);
    assert_eq!(masked(r#"["1.732290000000000e15"]"#), r#"["1.732290000000000e15"]"#);
}

#[test]
fn keys_are_masked_and_stay_apart() {
    assert_eq!(
        masked(r#"{"a@b.example":1,"x":0,"c@d.example":2,"‹redacted:email~2›":3,"e@f.example":4}"#),
        r#"{"‹redacted:email›":1,"x":0,"‹redacted:email~2›":2,"‹redacted:email~3›":3,"‹redacted:email~4›":4}"#
    );
}

#[test]
fn duplicate_keys_all_stay_and_are_all_searched() {
    assert_eq!(
        masked(r#"{"a":"x@y.example","a":"z","a":"x@y.example"}"#),
        r#"{"a":"‹redacted:email›","a":"z","a":"‹redacted:email›"}"#
    );
}

#[test]
fn batches_and_arrays_are_searched() {
    assert_eq!(
        masked(r#"[{"id":1,"params":[["x@y.example"]]},{"id":2}]"#),
        r#"[{"id":1,"params":[["‹redacted:email›"]]},{"id":2}]"#
    );
}

#[test]
fn the_envelope_correlates_but_hides_no_credential() {
    let envelope = r#"{"jsonrpc":"2.0","id":"a@b.example","method":"x@y.example","params":{"_meta":{"progressToken":4111111111111111},"cursor":"x@y.example"}}"#;
    assert_eq!(masked(envelope), envelope);
    assert_eq!(
        masked(r#"{"id":4111111111111111,"result":{"nextCursor":"x@y.example"}}"#),
        r#"{"id":4111111111111111,"result":{"nextCursor":"x@y.example"}}"#
    );
    assert_eq!(
        masked(r#"{"id":"sk_test_4eC39HqLyjWDarjtT1zdp7dc"}"#),
        r#"{"id":"‹redacted:stripe-key›"}"#
    );
    assert_eq!(
        masked(r#"{"params":{"id":"a@b.example"}}"#),
        r#"{"params":{"id":"‹redacted:email›"}}"#
    );
}

#[test]
fn a_password_beside_a_host_does_not_take_the_host_for_its_domain() {
    assert_eq!(
        masked(r#"["https://bob:pw@example.com/x"]"#),
        r#"["https://‹redacted:url-userinfo›@example.com/x"]"#
    );
}

#[test]
fn findings_are_counted_by_rule() {
    let redactor = redactor();
    let body = br#"{"password":"x","to":["a@b.example and c@d.example","4111111111111111"]}"#;
    let redacted = redactor.redact(body, &Context::default());
    let counts: Vec<_> = redacted
        .findings()
        .iter()
        .map(|finding| (&*finding.rule, finding.count))
        .collect();
    assert_eq!(counts, [("card", 1), ("credential", 1), ("email", 2)]);
    assert_eq!(redacted.original_size(), body.len());
}

#[test]
fn masks_have_one_length_whatever_they_hide() {
    let short = masked(r#"{"password":"x","m":"a@b.example"}"#);
    assert_eq!(
        short,
        masked(r#"{"password":"a very long pass phrase","m":"somebody.else@mail.example.org"}"#)
    );
}

#[test]
fn unchanged_is_the_very_same_memory() {
    let redactor = redactor();
    let body = br#" {"a":[1,"x"]} "#;
    let redacted = redactor.redact(body, &Context::default());
    assert_eq!(redacted.outcome(), Outcome::Unchanged);
    assert!(std::ptr::eq(redacted.body().unwrap(), body));
    assert_eq!(redactor.redact(b"", &Context::default()).outcome(), Outcome::Unchanged);
}

#[test]
fn what_is_not_json_is_dropped_unless_it_is_known_as_text() {
    let redactor = redactor();
    for body in [&b"<html>"[..], b"{\"a\":", b"{} {}", b"\xff", b" ", b"{\"a\":\"\xff\"}"] {
        assert_eq!(
            dropped(&redactor.redact(body, &Context::default())),
            Some(DropReason::NotJson),
            "{body:?}"
        );
    }
    let text = Context {
        content: Content::Text,
        ..Context::default()
    };
    assert_eq!(
        redactor.redact(b"<p>a@b.example</p>", &text).body(),
        Some("<p>‹redacted:email›</p>".as_bytes())
    );
    assert_eq!(
        redactor.redact(br#"{"password":"x"}"#, &text).body(),
        Some(r#"{"password":"‹redacted:credential›"}"#.as_bytes())
    );
    assert_eq!(dropped(&redactor.redact(b"\xff", &text)), Some(DropReason::NotText));
}

#[test]
fn what_exceeds_a_limit_is_dropped() {
    let small = limited(Limits {
        body: 8,
        ..Limits::default()
    });
    assert_eq!(
        dropped(&small.redact(b"[1,2,3,4]", &Context::default())),
        Some(DropReason::TooLarge)
    );
    assert_eq!(dropped(&small.redact(b"[1,2,3]", &Context::default())), None);
    let flat = limited(Limits {
        depth: 2,
        ..Limits::default()
    });
    assert_eq!(
        dropped(&flat.redact(b"[[[]]]", &Context::default())),
        Some(DropReason::TooDeep)
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(
        dropped(&redactor().redact(deep.as_bytes(), &Context::default())),
        Some(DropReason::TooDeep)
    );
}

#[test]
fn json_in_strings_beyond_the_limit_is_dropped_not_skipped() {
    let once = limited(Limits {
        nesting: 1,
        ..Limits::default()
    });
    let nest = |body: &str| serde_json::to_string(&[body]).unwrap();
    let one = nest(&nest("a@b.example"));
    assert_eq!(dropped(&once.redact(one.as_bytes(), &Context::default())), None);
    assert_eq!(
        dropped(&once.redact(nest(&one).as_bytes(), &Context::default())),
        Some(DropReason::TooDeep)
    );
}

#[test]
fn work_beyond_the_budget_drops_the_body() {
    let lazy = limited(Limits {
        work_per_byte: 0,
        ..Limits::default()
    });
    // Each of these has to be looked at.
    let body = format!("[\"{}\"]", "bob@example ".repeat(200_000));
    assert_eq!(
        dropped(&lazy.redact(body.as_bytes(), &Context::default())),
        Some(DropReason::OverBudget)
    );
}

#[test]
fn metadata_keeps_identity_and_loses_credentials() {
    let redactor = redactor();
    let keep = |text: &str| {
        redactor
            .redact_text(text, &Context::default())
            .text()
            .map(str::to_owned)
    };
    for text in [
        "alice@example.com",
        "file:///home/alice@example.com",
        "create_issue",
        "claude/1.0 (4111111111111111)",
        "",
        "{\"a\":",
    ] {
        assert_eq!(keep(text).as_deref(), Some(text));
    }
    assert_eq!(
        keep("https://u:p@example.com/x").as_deref(),
        Some("https://‹redacted:url-userinfo›@example.com/x")
    );
    assert_eq!(
        keep("curl/8 Bearer abcdef0123456789").as_deref(),
        Some("curl/8 Bearer ‹redacted:bearer-token›")
    );
    assert_eq!(
        keep("db://x?access_token=abc").as_deref(),
        Some("db://x?access_token=‹redacted:assigned-secret›")
    );
    let strict = Redactor::new(Config {
        personal_in_metadata: true,
        ..Config::default()
    })
    .unwrap();
    assert_eq!(
        strict.redact_text("alice@example.com", &Context::default()).text(),
        Some("‹redacted:email›")
    );
}

#[test]
fn nothing_of_a_body_is_in_its_debug_form() {
    let redactor = redactor();
    let shown = format!("{:?}", redactor.redact(br#"{"note":"sesame"}"#, &Context::default()));
    assert!(!shown.contains("sesame") && shown.contains("Unchanged"), "{shown}");
    assert!(!format!("{:?}", redactor.redact_text("sesame", &Context::default())).contains("sesame"));
}

#[test]
fn findings_have_the_general_rules_name_where_an_issuers_rule_finds_the_same() {
    for (rule, text) in [
        (
            "authorization",
            "curl -H 'Authorization: Basic dGFwZWRlY2s6Y2FuYXJ5MDE=' https://x.example/",
        ),
        ("bearer-token", "sent with Bearer mF_9.B5f-4.1JqMcanary03 today"),
        (
            "jwt",
            "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkwNCJ9.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U!",
        ),
        ("aws-access-key-id", "key AKIACANARY06EXAMPLE7."),
        (
            "aws-secret-key",
            "the AWS key is wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARY07AB, as ever",
        ),
        ("github-token", "ghp_16C7e42F292c6912E7710c838347canary08"),
        ("slack-token", "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcanary09"),
        ("llm-api-key", "key: sk-proj-Ab3_dEfGhIjKlMnOpQrStUvWxYz01canary10"),
        ("url-userinfo", "postgres://app:canary11swordfish@db:5432/main"),
        ("assigned-secret", "DB_PASSWORD=canary12hunter"),
        ("iban", "IBAN DE89370400440532013000"),
        ("us-ssn", "ssn 219-09-9999."),
    ] {
        let text_only = Context {
            content: Content::Text,
            ..Context::default()
        };
        let redacted = redactor().redact(text.as_bytes(), &text_only);
        let rules: Vec<_> = redacted.findings().iter().map(|finding| &*finding.rule).collect();
        assert!(rules.contains(&rule), "{text}: {rules:?}");
    }
}
