//! What comes in chunks becomes what the whole becomes, wherever it was cut.

use proptest::prelude::*;
use std::sync::{Arc, LazyLock};
use tapedeck_redact::{Config, Content, Context, DropReason, Limits, Outcome, Redacted, Redactor, TokenKey};

/// Strings are long beyond 3,000 bytes here, so that tests have some.
static REDACTOR: LazyLock<Arc<Redactor>> = LazyLock::new(|| {
    let config = Config {
        keys: vec![TokenKey::new("k1", &[7; 32], Vec::new()).expect("it is sound")],
        limits: Limits {
            string: 3_000,
            ..Limits::default()
        },
        ..Config::default()
    };
    Arc::new(Redactor::new(config).expect("the built-in packs are sound"))
});

fn context(content: Content) -> Context<'static> {
    Context {
        content,
        ..Context::default()
    }
}

/// The body that is left of these chunks; `None` if the last of them was dropped.
fn streamed<'c>(
    chunks: impl IntoIterator<Item = &'c [u8]>,
    content: Content,
) -> (Option<Vec<u8>>, Vec<Redacted<'static>>) {
    let mut stream = REDACTOR.stream(&context(content));
    let mut back: Vec<Redacted<'static>> = chunks.into_iter().flat_map(|chunk| stream.push(chunk)).collect();
    back.extend(stream.finish());
    let bodies: Option<Vec<&[u8]>> = back.iter().map(Redacted::body).collect();
    (bodies.map(|bodies| bodies.concat()), back)
}

fn whole(body: &[u8], content: Content) -> Option<Vec<u8>> {
    let redacted = REDACTOR.redact(body, &context(content));
    redacted.body().map(<[u8]>::to_vec)
}

/// Chunks of these sizes, one after the other.
fn cut<'b>(mut body: &'b [u8], sizes: &[usize]) -> Vec<&'b [u8]> {
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        if body.is_empty() {
            break;
        }
        let (chunk, rest) = body.split_at((*size).clamp(1, body.len()));
        chunks.push(chunk);
        body = rest;
    }
    chunks
}

const PLANTED: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"mail bob@example.com, card 4111 1111 1111 1111 é"},
 {"type":"text","text":"{\"user\":\"bob\\u0040example.com\",\"password\":\"hunter2\",\"n\":4.111111111111111e15}"}],
 "bob@example.com":1,"bob@EXAMPLE.com":2,"‹redacted:email›":3,"x":[true,null,-1.5e3,{}],
 "pem":"-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu\n-----END RSA PRIVATE KEY-----\n"}}"#;

#[test]
fn at_every_split_offset_chunks_become_what_the_whole_becomes() {
    let expected = whole(PLANTED.as_bytes(), Content::Json).expect("it is kept");
    let text = String::from_utf8(expected.clone()).expect("it is text");
    assert!(
        !text.contains("4111") && !text.contains("hunter2") && !text.contains("MIIBOgIBAAJ"),
        "{text}"
    );
    for at in 0..=PLANTED.len() {
        let (first, second) = PLANTED.as_bytes().split_at(at);
        assert_eq!(
            streamed([first, second], Content::Json).0.as_ref(),
            Some(&expected),
            "cut at {at}"
        );
    }
    let (bytes, _) = streamed(PLANTED.as_bytes().chunks(1), Content::Json);
    assert_eq!(bytes, Some(expected));
}

#[test]
fn chunks_come_back_as_they_went_in_where_nothing_is_found() {
    let body = format!(r#"{{"a":[{}"end"]}}"#, r#""nothing to see here","#.repeat(500));
    let (_, back) = streamed(body.as_bytes().chunks(700), Content::Json);
    let outcomes: Vec<Outcome> = back.iter().map(Redacted::outcome).collect();
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Unchanged));
    for (chunk, redacted) in body.as_bytes().chunks(700).zip(&back) {
        assert_eq!(redacted.body(), Some(chunk));
    }
}

#[test]
fn a_chunk_comes_back_before_the_body_ends_and_little_is_held() {
    let mut stream = REDACTOR.stream(&context(Content::Json));
    let mut back = stream.push(br#"{"a":["#).len();
    for _ in 0..2_000 {
        back += stream.push(br#""mail bob@example.com","nothing to see","#).len();
        assert!(stream.held() < 1_000);
    }
    assert!(back > 1_990);
}

#[test]
fn a_long_text_of_any_size_is_searched_as_it_comes() {
    let filler = "There is nothing in this line that anybody would hide.\\n".repeat(40_000);
    let body = format!(r#"{{"text":"{filler} bob@example.com {filler}","more":"alice@example.com"}}"#);
    let expected = whole(body.as_bytes(), Content::Json).expect("it is kept");
    assert!(!String::from_utf8_lossy(&expected).contains("@example.com"));
    let mut stream = REDACTOR.stream(&context(Content::Json));
    let mut out = Vec::new();
    for chunk in body.as_bytes().chunks(100_000) {
        out.extend(
            stream
                .push(chunk)
                .iter()
                .flat_map(|back| back.body().unwrap_or_default().to_vec()),
        );
        assert!(stream.held() < 2_000_000, "{} bytes are held", stream.held());
    }
    out.extend(
        stream
            .finish()
            .iter()
            .flat_map(|back| back.body().unwrap_or_default().to_vec()),
    );
    assert!(out == expected);
}

#[test]
fn a_private_key_that_no_window_holds_is_masked_to_its_end() {
    let filler = "Lines of text, and then some.\\n".repeat(33_000);
    let key = "MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu\\n".repeat(20_000);
    let body = format!(
        r#"["{filler}-----BEGIN PRIVATE KEY-----\n{key}-----END PRIVATE KEY-----\nafter bob@example.com {filler}"]"#
    );
    let kept = whole(body.as_bytes(), Content::Json).expect("it is kept");
    let kept = String::from_utf8(kept).expect("it is text");
    assert!(
        !kept.contains("MIIBOgIBAAJ") && kept.contains("after ‹email:k1:"),
        "{} bytes",
        kept.len()
    );
    let (bytes, _) = streamed(cut(body.as_bytes(), &[77_777, 3, 150_000]), Content::Json);
    assert!(bytes == Some(kept.into_bytes()));
}

#[test]
fn what_is_broken_ends_with_nothing_more_and_says_why() {
    for (body, reason) in [
        (&br#"{"a":[1,2,3,}"#[..], DropReason::NotJson),
        (br#"{"a":[1,2,3"#, DropReason::NotJson),
        (b"[1,\"\xff\"]", DropReason::NotJson),
    ] {
        let (bytes, back) = streamed(body.chunks(2), Content::Json);
        assert_eq!(bytes, None);
        assert_eq!(back.last().map(Redacted::outcome), Some(Outcome::Dropped(reason)));
        assert_eq!(back.len(), body.chunks(2).count());
    }
    let mut stream = REDACTOR.stream(&context(Content::Json));
    assert!(stream.push(b"[1,").is_empty());
    let back = stream.give_up(DropReason::Incomplete);
    assert_eq!(back[0].outcome(), Outcome::Dropped(DropReason::Incomplete));
}

#[test]
fn json_in_a_string_that_is_too_long_to_be_read_drops_what_is_left() {
    let inner = format!("[{}0]", "\\\"x\\\",".repeat(2_000));
    let body = format!(r#"{{"first":"kept","text":"{inner}"}}"#);
    assert_eq!(whole(body.as_bytes(), Content::Json), None);
    let (bytes, back) = streamed(body.as_bytes().chunks(500), Content::Json);
    assert_eq!(bytes, None);
    assert_eq!(
        back.last().map(Redacted::outcome),
        Some(Outcome::Dropped(DropReason::TooLarge))
    );
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        2 => any::<String>(),
        2 => "[a-z0-9 .:=@\"'\\\\{}\\[\\],/-]{0,12}",
        1 => "[a-z ]{0,4000}",
        4 => prop::sample::select(vec![
            "bob@example.com", "4111 1111 1111 1111", "219-09-9999", "DE89370400440532013000", "\"password\": \"",
            "Authorization: ", "Bearer abcdef0123456789", "password=", "-----BEGIN PRIVATE KEY-----\nMIIB",
            "-----END PRIVATE KEY-----", "‹redacted:email›", "‹", "›", "\r\n", "\\", "\"", "[", "]", "cGFzc3dvcmQ9aHVudGVyMiBhbmQgbW9yZQ==",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<f64>().prop_map(Into::into),
        Just(4_111_111_111_111_111_u64.into()),
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((prop_oneof![text(), "(password|id|token)"], inner.clone()), 0..6)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
            inner.prop_map(|value| value.to_string().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn chunks_become_what_the_whole_becomes(
        value in value(),
        sizes in prop::collection::vec(prop_oneof![1_usize..8, 1_usize..5_000], 1..12),
    ) {
        let body = value.to_string();
        let (bytes, _) = streamed(cut(body.as_bytes(), &sizes), Content::Json);
        prop_assert_eq!(bytes, whole(body.as_bytes(), Content::Json), "{}", body);
    }

    #[test]
    fn chunks_of_text_become_what_the_whole_becomes(
        text in text(),
        sizes in prop::collection::vec(1_usize..5_000, 1..12),
    ) {
        let (bytes, _) = streamed(cut(text.as_bytes(), &sizes), Content::Text);
        prop_assert_eq!(bytes, whole(text.as_bytes(), Content::Text));
    }

    #[test]
    fn no_chunks_make_it_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        for content in [Content::Json, Content::Text] {
            let (_, back) = streamed(chunks.iter().map(Vec::as_slice), content);
            prop_assert_eq!(back.len(), chunks.len());
        }
    }
}
