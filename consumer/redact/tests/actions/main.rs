//! What becomes of findings: actions, tokens, policies, paths.

mod refused;

use proptest::prelude::*;
use std::{collections::BTreeMap, sync::LazyLock};
use tapedeck_redact::{Action, Config, Content, Context, Outcome, Pack, Policy, Redactor, TokenKey};

fn key(id: &str) -> TokenKey {
    TokenKey::new(
        id,
        format!("{id}: a secret of more than 32 bytes").as_bytes(),
        Vec::new(),
    )
    .expect("it is sound")
}

fn with(policies: Vec<Policy>) -> Config {
    Config {
        keys: vec![key("k1")],
        policies,
        ..Config::default()
    }
}

fn redactor(config: Config) -> Redactor {
    Redactor::new(config).expect("the configuration is sound")
}

#[test]
fn switched_off_it_keeps_everything_as_it_is() {
    let off = Config {
        enabled: false,
        ..with(Vec::new())
    };
    let redactor = std::sync::Arc::new(redactor(off));
    let context = Context::default();
    for body in [
        "{\"password\":\"hunter2-hunter2\"}",
        "no JSON: \u{1}",
        "alice@example.com",
    ] {
        let redacted = redactor.redact(body.as_bytes(), &context);
        assert_eq!(
            (redacted.outcome(), redacted.body()),
            (Outcome::Unchanged, Some(body.as_bytes()))
        );
        assert_eq!(redactor.redact_text(body, &context).text(), Some(body));
        assert_eq!(redactor.marks(body.as_bytes(), &context), Ok(Vec::new()));
        let mut stream = redactor.stream(&context);
        let (first, rest) = body.as_bytes().split_at(5);
        let parts = [stream.push(first), stream.push(rest), stream.finish()].concat();
        let parts: Vec<_> = parts.iter().map(|part| (part.outcome(), part.body())).collect();
        assert_eq!(parts, [first, rest].map(|part| (Outcome::Unchanged, Some(part))));
    }
}

fn actions(pairs: &[(&str, Action)]) -> BTreeMap<String, Action> {
    pairs
        .iter()
        .map(|(name, action)| ((*name).to_owned(), *action))
        .collect()
}

fn redact(redactor: &Redactor, body: &str, context: &Context<'_>) -> (String, Vec<String>) {
    let redacted = redactor.redact(body.as_bytes(), context);
    let body = redacted.body().expect("the body is kept").to_vec();
    let again = redactor.redact(&body, context);
    assert_eq!(
        again.outcome(),
        Outcome::Unchanged,
        "a second time: {}",
        String::from_utf8_lossy(&body)
    );
    (
        String::from_utf8(body).expect("output is UTF-8"),
        redacted.tokens().to_vec(),
    )
}

fn in_acme() -> Context<'static> {
    Context {
        tenant: "acme",
        target: "files",
        name: Some("read"),
        ..Context::default()
    }
}

fn pack(rules: &str) -> Pack {
    Pack {
        name: "mine.toml".to_owned(),
        toml: rules.to_owned(),
    }
}

fn with_pack(rules: &str) -> Config {
    let mut config = with(Vec::new());
    config.packs.push(pack(rules));
    config
}

#[test]
fn each_action_writes_what_it_says() {
    for (action, expected) in [
        (Action::Mask, "[\"card ‹redacted:card›.\"]"),
        (Action::Partial, "[\"card ‹card:****1111›.\"]"),
        (Action::Drop, "[\"‹dropped:card›\"]"),
    ] {
        let policy = Policy {
            actions: actions(&[("card", action)]),
            ..Policy::default()
        };
        let redactor = redactor(with(vec![policy]));
        assert_eq!(
            redact(&redactor, r#"["card 4111111111111111."]"#, &in_acme()).0,
            expected
        );
    }
    let policy = Policy {
        actions: actions(&[("card", Action::Hash)]),
        ..Policy::default()
    };
    let redactor = redactor(with(vec![policy]));
    let (body, tokens) = redact(&redactor, r#"["card 4111111111111111."]"#, &in_acme());
    assert!(body.starts_with("[\"card ‹card:#") && tokens.is_empty(), "{body}");
}

#[test]
fn structured_and_text_copies_of_a_result_carry_the_same_tokens() {
    let redactor = redactor(with(Vec::new()));
    let structured = serde_json::json!({"card": 4_111_111_111_111_111_u64, "mail": "Bob@EXAMPLE.com"});
    let result = serde_json::json!({"result": {
        "structuredContent": structured,
        "content": [
            {"type": "text", "text": structured.to_string()},
            {"type": "text", "text": "4111 1111 1111 1111 of Bob@example.com, ４１１１１１１１１１１１１１１１"},
            {"type": "text", "text": "Qm9iQGV4YW1wbGUuY29tIGFuZCBtb3Jl"},
        ],
    }});
    let (body, tokens) = redact(&redactor, &result.to_string(), &in_acme());
    assert_eq!(tokens.len(), 2, "{body}");
    for (token, count) in tokens.iter().zip([4, 4]) {
        assert_eq!(body.matches(token.as_str()).count(), count, "{token} in {body}");
    }
}

#[test]
fn tokens_of_a_value_are_found_again_and_belong_to_tenant_and_key() {
    let old = redactor(with(Vec::new()));
    let rotated = redactor(Config {
        keys: vec![key("k2"), key("k1")],
        ..Config::default()
    });
    let body = r#"["pay 4111-1111-1111-1111"]"#;
    let (_, before) = redact(&old, body, &in_acme());
    let (_, after) = redact(&rotated, body, &in_acme());
    let sought = rotated.tokens_of("acme", "4111111111111111");
    assert_ne!(before, after);
    assert!(sought.contains(&before[0]) && sought.contains(&after[0]));
    let elsewhere = rotated.tokens_of("other", "4111111111111111");
    assert!(!elsewhere.contains(&before[0]) && !elsewhere.contains(&after[0]));
    // What a former key has made is left as it is.
    let again = rotated.redact(body.as_bytes(), &in_acme());
    assert_eq!(
        rotated.redact(again.body().expect("kept"), &in_acme()).outcome(),
        Outcome::Unchanged
    );
}

#[test]
fn without_a_key_for_the_tenant_tokens_are_masks() {
    let own = TokenKey::new("k1", &[1; 32], vec!["acme".to_owned()]).expect("it is sound");
    let redactor = redactor(Config {
        keys: vec![own],
        ..Config::default()
    });
    let other = Context {
        tenant: "other",
        ..Context::default()
    };
    assert_eq!(
        redact(&redactor, r#"["bob@example.com"]"#, &other).0,
        "[\"‹redacted:email›\"]"
    );
    assert!(
        redact(&redactor, r#"["bob@example.com"]"#, &in_acme())
            .0
            .starts_with("[\"‹email:k1:")
    );
}

#[test]
fn credentials_are_masked_and_show_nothing_of_themselves() {
    let policy = Policy {
        actions: actions(&[("*", Action::Partial)]),
        ..Policy::default()
    };
    let redactor = redactor(with(vec![policy]));
    let (body, tokens) = redact(&redactor, r#"["AKIAIOSFODNN7EXAMPLE", "4111111111111111"]"#, &in_acme());
    assert_eq!(body, r#"["‹redacted:aws-access-key-id›", "‹card:****1111›"]"#);
    assert!(tokens.is_empty());
    let policy = Policy {
        actions: actions(&[("credential", Action::Partial), ("jwt", Action::Partial)]),
        ..Policy::default()
    };
    assert_eq!(refused::messages(with(vec![policy])).len(), 2);
}

#[test]
fn all_that_tokens_have_in_common_is_their_length() {
    let redactor = redactor(with(Vec::new()));
    let length = |mail: &str| redact(&redactor, &format!("[\"{mail}\"]"), &in_acme()).0.len();
    assert_eq!(
        length("a@example.com"),
        length("somebody.with.a.long.name@mail.example.com")
    );
}

#[test]
fn policies_switch_rules_by_tenant_target_and_tool_and_later_ones_win() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let redactor = redactor(with(vec![
        Policy {
            actions: actions(&[("personal", Action::Mask)]),
            ..Policy::default()
        },
        Policy {
            tenants: names(&["acme"]),
            disable: names(&["email"]),
            ..Policy::default()
        },
        Policy {
            targets: names(&["files"]),
            tools: names(&["write"]),
            enable: names(&["e*"]),
            disable: names(&["card"]),
            ..Policy::default()
        },
    ]));
    let body = r#"["bob@example.com 4111111111111111"]"#;
    let at = |tenant, target, method, name| {
        let context = Context {
            tenant,
            target,
            method,
            name,
            ..Context::default()
        };
        redact(&redactor, body, &context).0
    };
    let call = Some("tools/call");
    let all = "[\"‹redacted:email› ‹redacted:card›\"]";
    assert_eq!(at("other", "files", call, Some("read")), all);
    assert_eq!(
        at("acme", "files", call, Some("read")),
        "[\"bob@example.com ‹redacted:card›\"]"
    );
    assert_eq!(
        at("acme", "files", call, Some("write")),
        "[\"‹redacted:email› 4111111111111111\"]"
    );
    assert_eq!(
        at("acme", "other", call, Some("write")),
        "[\"bob@example.com ‹redacted:card›\"]"
    );
    // Which tool it is will be known later: what may be on is on, and nothing is off.
    assert_eq!(at("acme", "files", call, None), all);
}

const PATHS: &str = r#"
[[rule]]
id = "acme-login"
class = "credential"
description = "What the login tool is called with."
paths = ["$.params.arguments.password", "$.params.arguments['one-time code']"]
[[rule]]
id = "acme-customer"
class = "personal"
description = "Customers' names."
paths = ["$..customer.name", "$.result.rows[*][0]"]
"#;

#[test]
fn paths_take_the_values_that_they_lead_to_and_nothing_else() {
    let redactor = redactor(with_pack(PATHS));
    for (body, expected) in [
        (
            r#"{"params":{"arguments":{"one-time code":123456,"user":"ada"}},"one-time code":1}"#,
            r#"{"params":{"arguments":{"one-time code":"‹redacted:acme-login›","user":"ada"}},"one-time code":1}"#,
        ),
        (
            r#"{"params":{"arguments":{"p\u0061ssword":{"a":["x",1,true,null,""]}}}}"#,
            r#"{"params":{"arguments":{"p\u0061ssword":{"a":["‹redacted:acme-login›","‹redacted:acme-login›",true,null,""]}}}}"#,
        ),
        (
            r#"[{"params":{"arguments":{"one-time code":"x"}}}]"#,
            r#"[{"params":{"arguments":{"one-time code":"‹redacted:acme-login›"}}}]"#,
        ),
        (r#"{"name":"x","customer":"y"}"#, r#"{"name":"x","customer":"y"}"#),
    ] {
        assert_eq!(redact(&redactor, body, &in_acme()).0, expected);
    }
    let (body, tokens) = redact(
        &redactor,
        r#"{"result":{"rows":[["Ada",2],["Bob",3]],"text":"{\"customer\":{\"name\":\"Ada\",\"city\":\"B\"}}"}}"#,
        &in_acme(),
    );
    assert!(
        !body.contains("Ada") && !body.contains("Bob") && body.contains("city"),
        "{body}"
    );
    assert_eq!(tokens.len(), 2, "{body}");
}

#[test]
fn a_key_becomes_a_token_too_and_keys_stay_apart() {
    let redactor = redactor(with(Vec::new()));
    let (body, tokens) = redact(
        &redactor,
        r#"{"bob@example.com":1,"bob@EXAMPLE.com":2,"amy@example.com":3}"#,
        &in_acme(),
    );
    let kept: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&body).expect("output is JSON");
    assert_eq!((kept.len(), tokens.len()), (3, 2), "{body}");
}

#[test]
fn text_has_tokens_as_well() {
    let redactor = redactor(with(Vec::new()));
    let context = Context {
        content: Content::Text,
        ..in_acme()
    };
    let (body, tokens) = redact(&redactor, "mail bob@example.com", &context);
    assert_eq!(body, format!("mail ‹{}›", tokens[0]));
}

/// One engine for each action, for all personal data.
static EACH: LazyLock<Vec<Redactor>> = LazyLock::new(|| {
    let all = [Action::Mask, Action::Token, Action::Hash, Action::Partial, Action::Drop];
    let one = |action| {
        let policy = Policy {
            actions: actions(&[("personal", action)]),
            ..Policy::default()
        };
        redactor(with(vec![policy]))
    };
    all.map(one).into()
});

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        1 => any::<String>(),
        2 => "[a-z0-9 .:=@\"'\\\\{}\\[\\],/-]{0,12}",
        5 => prop::sample::select(vec![
            "bob@example.com", "4111 1111 1111 1111", "4111111111111111", "219-09-9999", "DE89370400440532013000",
            "+49 30 901820", "password=", "Authorization: ", "secret: ", "https://u:p@", "‹card:k1:ABCDEFGHIJKLMNOP2345›",
            "‹card:****4242›", "‹", "›", "~2", ":", " ", "-", "Ym9iQGV4YW1wbGUuY29tIGFuZCBtb3Jl", "ssn 219099999",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_stands_in_for_findings_holds_none(key in text(), value in text(), number in any::<u64>()) {
        let body = serde_json::json!({ key.clone(): value, "list": [number, { "ssn": 219_099_999, "x": key }] }).to_string();
        for redactor in EACH.iter() {
            let once = redactor.redact(body.as_bytes(), &in_acme());
            let once = once.body().expect("the body is kept");
            let twice = redactor.redact(once, &in_acme());
            prop_assert_eq!(twice.outcome(), Outcome::Unchanged, "{}", String::from_utf8_lossy(once));
            serde_json::from_slice::<serde_json::Value>(once).expect("JSON stays JSON");
        }
    }
}
