//! What holds for every body.

use proptest::prelude::*;
use serde::{Deserialize, Deserializer, de};
use std::{fmt, sync::LazyLock};
use tapedeck_redact::{Config, Content, Context, Outcome, Redactor};

static REDACTOR: LazyLock<Redactor> =
    LazyLock::new(|| Redactor::new(Config::default()).expect("the built-in packs are sound"));

/// A JSON tree that keeps duplicate keys and order.
#[derive(Debug, PartialEq)]
enum Tree {
    Leaf,
    List(Vec<Tree>),
    /// Members in order; the keys are told apart by their position.
    Members(Vec<Tree>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> de::Visitor<'de> for Visit {
            type Value = Tree;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }
            fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
                let mut all = Vec::new();
                while let Some(tree) = list.next_element()? {
                    all.push(tree);
                }
                Ok(Tree::List(all))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
                let mut all = Vec::new();
                while let Some((_, tree)) = members.next_entry::<String, Tree>()? {
                    all.push(tree);
                }
                Ok(Tree::Members(all))
            }
        }
        from.deserialize_any(Visit)
    }
}

/// Texts with and without something to find, and what grows out of them.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => any::<String>(),
        2 => "[a-z0-9 .:=@\"'\\\\{}\\[\\],/-]{0,12}",
        4 => prop::sample::select(vec![
            "bob@example.com", "4111 1111 1111 1111", "4111111111111111", "219-09-9999", "DE89370400440532013000",
            "Authorization: ", "Bearer abcdef0123456789", "Cookie: a=\"b\"; c=d", "password=", "\"password\": \"", "secret: ",
            "https://u:p@", "AKIAIOSFODNN7EXAMPLE", "sk_test_4eC39HqLyjWDarjtT1zdp7dc", "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.", "‹redacted:email›", "‹", "›", "~2", "\r\n",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "aws wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "ssn ", "-", " ", "\"", "[", "]",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        Just(4_111_111_111_111_111_u64.into()),
        text().prop_map(Into::into),
    ];
    let key = prop_oneof![
        text(),
        prop::sample::select(vec!["password", "id", "params", "result", "_meta", "token"]).prop_map(str::to_owned)
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((key.clone(), inner.clone()), 0..6)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
            // JSON in a string.
            inner.prop_map(|value| value.to_string().into()),
        ]
    })
}

fn redact(body: &str, content: Content) -> (String, Outcome) {
    let redacted = REDACTOR.redact(
        body.as_bytes(),
        &Context {
            content,
            ..Context::default()
        },
    );
    let kept = redacted.body().unwrap_or_else(|| panic!("dropped: {redacted:?}"));
    (
        String::from_utf8(kept.to_vec()).expect("output is UTF-8"),
        redacted.outcome(),
    )
}

/// A text as a JSON string in which each character is spelled as the choice at its place says.
fn spell(text: &str, choices: &[u8]) -> String {
    let mut out = String::from("\"");
    for (c, choice) in text.chars().zip(choices.iter().cycle()) {
        let plain = !matches!(c, '"' | '\\') && c >= ' ';
        match (choice % 4, c) {
            (0, '/') => out.push_str("\\/"),
            (0 | 1, c) if plain => out.push(c),
            (_, '"' | '\\') if choice % 2 == 0 => out.extend(['\\', c]),
            (_, '\n') if choice % 2 == 0 => out.push_str("\\n"),
            (2, c) => c
                .encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| out.push_str(&format!("\\u{unit:04X}"))),
            (_, c) => c
                .encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out.push('"');
    out
}

const PLANTED: [(&str, &str); 6] = [
    ("bob@example.com", "bob@example.com"),
    ("5500 0055 5555 5559", "5500 0055 5555 5559"),
    ("https://u:hun/ter@2@host/", "never"),
    (
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ\n-----END PRIVATE KEY-----",
        "MC4CAQAwBQYDK2VwBCIEIJ",
    ),
    ("{\"api_key\":\"hunter2\"}", "hunter2"),
    (
        "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    ),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_secret_is_found_in_every_spelling(
        (planted, secret) in prop::sample::select(PLANTED.to_vec()),
        choices in prop::collection::vec(any::<u8>(), 1..40),
        nested in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..8), 0..3),
    ) {
        let mut body = format!("[{}]", spell(planted, &choices));
        for choices in &nested {
            body = format!("{{\"a\":{}}}", spell(&body, choices));
        }
        let (kept, _) = redact(&body, Content::Json);
        let mut text = kept.clone();
        for _ in 0..=nested.len() {
            let value: serde_json::Value = serde_json::from_str(&text).expect("output is JSON");
            text = value.get("a").or(value.get(0)).and_then(|value| value.as_str()).expect("the same shape").to_owned();
        }
        prop_assert!(!text.contains(secret), "{} left in {}", secret, kept);
    }

    #[test]
    fn json_stays_json_of_the_same_shape(value in value()) {
        let body = value.to_string();
        let (kept, outcome) = redact(&body, Content::Json);
        prop_assert_eq!(serde_json::from_str::<Tree>(&body).unwrap(), serde_json::from_str::<Tree>(&kept).unwrap());
        prop_assert_eq!(outcome == Outcome::Unchanged, kept == body);
    }

    #[test]
    fn redacting_again_changes_nothing(value in value()) {
        let (once, _) = redact(&value.to_string(), Content::Json);
        let (twice, outcome) = redact(&once, Content::Json);
        prop_assert_eq!((twice, outcome), (once, Outcome::Unchanged));
    }

    #[test]
    fn text_redacted_again_changes_nothing(text in text()) {
        let (once, _) = redact(&text, Content::Text);
        let (twice, outcome) = redact(&once, Content::Text);
        prop_assert_eq!((twice, outcome), (once, Outcome::Unchanged));
    }

    #[test]
    fn keys_stay_apart(keys in prop::collection::btree_set(text(), 0..8)) {
        let body = serde_json::Value::Object(keys.iter().map(|key| (key.clone(), 1.into())).collect());
        let (kept, _) = redact(&body.to_string(), Content::Json);
        let kept: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&kept).unwrap();
        prop_assert_eq!(kept.len(), keys.len());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in text()) {
        for content in [Content::Json, Content::Text] {
            let context = Context { content, ..Context::default() };
            for body in [&bytes[..], text.as_bytes()] {
                let redacted = REDACTOR.redact(body, &context);
                prop_assert_eq!(redacted.original_size(), body.len());
                prop_assert_eq!(redacted.outcome() == Outcome::Unchanged, redacted.body() == Some(body));
            }
        }
        REDACTOR.redact_text(&text, &Context::default());
    }
}
