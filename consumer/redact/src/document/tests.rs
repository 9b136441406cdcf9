use super::{Pass, Walk};
use crate::{Config, active::Active, config::Limits, place::Place, policy::Policies, rules::Rules, tokens::Texts};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

static RULES: LazyLock<Rules> =
    LazyLock::new(|| Rules::compile(&Config::default()).expect("the built-in packs are sound"));

/// Where masks go in a body, and under which rules.
fn masked(body: &str, every: bool) -> Result<Vec<(usize, usize, u16)>, String> {
    let limits = Limits::default();
    let policies = Policies::new(Vec::new(), &RULES, false, &mut Vec::new());
    let active = Active {
        rules: &RULES,
        plan: Arc::clone(policies.usual()),
        key: None,
    };
    let mut pass = Pass::new(active, &limits);
    pass.every = every;
    let mut edits = Vec::new();
    let walk = Walk::new(Texts::One, pass.root(Place::Message), 0);
    let walked = pass.document(body, walk, &mut edits);
    walked.map_err(|stop| format!("{stop:?}"))?;
    Ok(edits.iter().map(|edit| (edit.start, edit.end, edit.rule)).collect())
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        2 => any::<String>(),
        3 => "[a-zA-Z0-9 .:=@\"'\\\\{}\\[\\],/+-]{0,24}",
        3 => "[0-9 -]{8,24}",
        2 => "(::|[0-9a-f]{1,4}:){2,8}[0-9a-f]{0,4}",
        1 => "[A-Za-z0-9+/]{20,60}",
        1 => "(%[0-9a-f]{2}|[a-z]){0,12}",
        6 => prop::sample::select(vec![
            "bob@example.com", "4111 1111 1111 1111", "4111111111111111", "219-09-9999", "DE89370400440532013000", "\n",
            "Authorization: ", "Bearer abcdef0123456789", "Cookie: a=b", "password=", "\"password\": \"hunter2\"", "é",
            "https://u:p@", "AKIAIOSFODNN7EXAMPLE", "sk_test_4eC39HqLyjWDarjtT1zdp7dc", "-----BEGIN PRIVATE KEY-----",
            "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.", "‹redacted:email›", "４１１１", "\u{200b}", "\u{a0}", "bob%40example.com",
            "cGFzc3dvcmQ9aHVudGVyMiBhbmQgbW9yZSBvZiBpdA==", "+49 30 12345678", "192.168.0.17",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        Just(4_111_111_111_111_111_u64.into()),
        text().prop_map(Into::into),
    ];
    let key = prop_oneof![
        text(),
        "(db|api|set|user|x)?[_ -]?(password|token|secret|key|cookie|ssn|cvv|pwd)",
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((key.clone(), inner.clone()), 0..5)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
            inner.clone().prop_map(|value| value.to_string().into()),
            inner.prop_map(|value| serde_json::to_string_pretty(&value).unwrap_or_default().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// The search of the raw bytes may only pass over what holds nothing, however deep it stands.
    #[test]
    fn what_the_raw_search_passes_over_holds_nothing(value in value()) {
        let body = value.to_string();
        prop_assert_eq!(masked(&body, false), masked(&body, true), "{}", body);
    }
}
