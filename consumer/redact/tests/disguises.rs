//! Secrets that do not stand as they are: encoded, spelled with look-alikes, cut by what nobody sees.

use std::sync::LazyLock;
use tapedeck_redact::{Config, Context, Outcome, Redactor};

static REDACTOR: LazyLock<Redactor> =
    LazyLock::new(|| Redactor::new(Config::default()).expect("the built-in packs are sound"));

fn masked(text: &str) -> String {
    let body = serde_json::to_string(&[text]).expect("a string can be written");
    let redacted = REDACTOR.redact(body.as_bytes(), &Context::default());
    let kept: Vec<String> =
        serde_json::from_slice(redacted.body().expect("it is not dropped")).expect("output is JSON");
    kept.concat()
}

const SECRET: &str = "user bob logs in with password=hunter2hunter2 every day";

fn base64(bytes: &[u8], last: [u8; 2]) -> String {
    let alphabet: Vec<u8> = (b'A'..=b'Z')
        .chain(b'a'..=b'z')
        .chain(b'0'..=b'9')
        .chain(last)
        .collect();
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            out.push(char::from(alphabet[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    out
}

#[test]
fn base64_goes_as_a_whole_in_either_alphabet_and_wherever_it_was_cut() {
    for alphabet in [*b"+/", *b"-_"] {
        let blob = base64(SECRET.as_bytes(), alphabet);
        for cut in 0..4 {
            assert_eq!(
                masked(&format!("data: {} end", &blob[cut..])),
                "data: ‹redacted:assigned-secret› end",
                "{cut}"
            );
        }
    }
}

#[test]
fn what_is_as_short_as_a_social_security_number_is_read_from_base64() {
    for alphabet in [*b"+/", *b"-_"] {
        let blob = base64(b"212-45-6789", alphabet);
        assert_eq!(masked(&format!("ssn {blob}")), "ssn ‹redacted:us-ssn›", "{blob}");
    }
}

#[test]
fn a_data_url_of_text_is_read() {
    let blob = base64(SECRET.as_bytes(), *b"+/");
    assert_eq!(
        masked(&format!("data:text/plain;base64,{blob}")),
        "data:text/plain;base64,‹redacted:assigned-secret›"
    );
}

#[test]
fn hexadecimal_goes_as_a_whole() {
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(masked(&format!("dump {hex}.")), "dump ‹redacted:assigned-secret›.");
    assert_eq!(
        masked(&format!("dump {}.", hex.to_uppercase())),
        "dump ‹redacted:assigned-secret›."
    );
}

#[test]
fn percent_encoding_is_read_through() {
    assert_eq!(masked("to=bob%40example.com&x=1"), "to=‹redacted:email›&x=1");
    assert_eq!(masked("q=100%25%20sure"), "q=100%25%20sure");
}

#[test]
fn full_width_and_other_digits_are_digits() {
    assert_eq!(
        masked("card ４１１１１１１１１１１１１１１１."),
        "card ‹redacted:card›."
    );
    assert_eq!(masked("card ٤١١١١١١١١١١١١١١١."), "card ‹redacted:card›.");
    assert_eq!(masked("ｂｏｂ＠ｅｘａｍｐｌｅ．ｃｏｍ"), "‹redacted:email›");
}

#[test]
fn what_nobody_sees_hides_nothing() {
    assert_eq!(masked("4111\u{200b}1111\u{2060}1111\u{feff}1111"), "‹redacted:card›");
    assert_eq!(masked("bob@exa\u{ad}mple.com"), "‹redacted:email›");
    assert_eq!(masked("219\u{2011}09\u{2011}9999"), "‹redacted:us-ssn›");
    assert_eq!(masked("4111\u{a0}1111\u{a0}1111\u{a0}1111"), "‹redacted:card›");
}

#[test]
fn escapes_hide_no_look_alike() {
    let body = r#"["\uff14111111111111111", "4111\u200b111111111111", "\ud835\udfd2111111111111111"]"#;
    let redacted = REDACTOR.redact(body.as_bytes(), &Context::default());
    let expected = r#"["‹redacted:card›", "‹redacted:card›", "‹redacted:card›"]"#;
    assert_eq!(redacted.body().map(String::from_utf8_lossy).as_deref(), Some(expected));
}

#[test]
fn structured_and_text_copies_of_a_result_get_the_same_masks() {
    let structured =
        serde_json::json!({"owner": "bob@example.com", "card": 4_111_111_111_111_111_u64, "api__key": "x", "n": 1.5});
    let body = serde_json::json!({"result": {"content": [{"type": "text", "text": structured.to_string()}], "structuredContent": structured}}).to_string();
    let redacted = REDACTOR.redact(body.as_bytes(), &Context::default());
    let kept: serde_json::Value = serde_json::from_slice(redacted.body().expect("it is not dropped")).expect("JSON");
    let text = kept["result"]["content"][0]["text"].as_str().expect("it is text");
    let copy: serde_json::Value = serde_json::from_str(text).expect("the text is JSON still");
    assert_eq!(copy, kept["result"]["structuredContent"]);
    assert_eq!(copy["api__key"], "‹redacted:credential›");
}

#[test]
fn what_is_no_text_stays() {
    for text in [
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZw==",
        "naïve – “quoted” … 日本語",
    ] {
        let body = serde_json::to_string(&[text]).expect("a string can be written");
        assert_eq!(
            REDACTOR.redact(body.as_bytes(), &Context::default()).outcome(),
            Outcome::Unchanged,
            "{text}"
        );
    }
}
