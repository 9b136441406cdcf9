//! The grammar agrees with `serde_json` on what is JSON, and with itself on every split.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::{Fault, JsonError, Literal, MAX_DEPTH, Machine, Sink};

/// Writes down everything it is told, with the pieces of a string or number joined.
#[derive(Debug, Default, PartialEq)]
struct Log {
    events: Vec<String>,
    open: Vec<u8>,
}

impl Sink for Log {
    type Error = JsonError;

    fn begin_object(&mut self) -> Result<(), JsonError> {
        self.events.push("{".into());
        Ok(())
    }
    fn end_object(&mut self) -> Result<(), JsonError> {
        self.events.push("}".into());
        Ok(())
    }
    fn begin_array(&mut self) -> Result<(), JsonError> {
        self.events.push("[".into());
        Ok(())
    }
    fn end_array(&mut self) -> Result<(), JsonError> {
        self.events.push("]".into());
        Ok(())
    }
    fn begin_string(&mut self, _: bool) -> bool {
        self.open.clear();
        true
    }
    fn text(&mut self, utf8: &[u8]) {
        self.open.extend_from_slice(utf8);
    }
    fn escape(&mut self) {}
    fn lone_surrogate(&mut self) {
        self.open.extend_from_slice(b"<lone>");
    }
    fn end_string(&mut self, is_key: bool) -> Result<(), JsonError> {
        let text = String::from_utf8(std::mem::take(&mut self.open)).expect("the machine passes on valid UTF-8 only");
        self.events
            .push(format!("{} {text}", if is_key { "key" } else { "string" }));
        Ok(())
    }
    fn begin_number(&mut self) {
        self.open.clear();
    }
    fn number(&mut self, raw: &[u8]) {
        self.open.extend_from_slice(raw);
    }
    fn end_number(&mut self) -> Result<(), JsonError> {
        let text = String::from_utf8(std::mem::take(&mut self.open)).expect("a number is ASCII");
        self.events.push(format!("number {text}"));
        Ok(())
    }
    fn literal(&mut self, literal: Literal) -> Result<(), JsonError> {
        self.events.push(format!("{literal:?}"));
        Ok(())
    }
}

fn scan<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<String>, JsonError> {
    let mut log = Log::default();
    let mut machine = Machine::new(MAX_DEPTH);
    for piece in pieces {
        machine.push(piece, &mut log)?;
    }
    machine.finish(&mut log)?;
    Ok(log.events)
}

fn fault(input: &[u8]) -> Option<Fault> {
    scan([input]).err().map(|error| error.fault)
}

/// JSON with every construct, as a starting point for mutations.
fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
        any::<String>().prop_map(|text| serde_json::Value::String(text).to_string()),
        "\"(\\\\u[0-9a-fA-F]{4}|\\\\[\"\\\\/bfnrt]|[a-z é𝄞\\x7f])*\"",
    ];
    scalar.prop_recursive(6, 64, 6, |inner| {
        let key = prop_oneof!["[a-z]{0,4}", any::<String>()].prop_map(|key| serde_json::Value::String(key).to_string());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|values| format!("[ {}\t]", values.join(","))),
            prop::collection::vec((key, inner), 0..6).prop_map(|fields| {
                let fields: Vec<_> = fields
                    .into_iter()
                    .map(|(key, value)| format!("{key} :\r\n{value}"))
                    .collect();
                format!("{{{}}}", fields.join(" ,"))
            }),
        ]
    })
}

/// The text with up to three bytes replaced, inserted or removed, mostly by bytes that mean something to JSON.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        prop::sample::select(b"{}[]:,\"\\/u0-1.eE+tfn \n\x00\x1f\x80\xc3\xed\xa0\xff".to_vec()),
        any::<u8>()
    ];
    (
        json(),
        prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, byte), 0..4),
    )
        .prop_map(|(text, edits)| {
            let mut bytes = text.into_bytes();
            for (place, edit, byte) in edits {
                let at = place.index(bytes.len() + 1);
                match edit {
                    0 => bytes.insert(at, byte),
                    1 if at < bytes.len() => bytes[at] = byte,
                    _ if at < bytes.len() => drop(bytes.remove(at)),
                    _ => {}
                }
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn mutated_json_is_valid_exactly_where_serde_json_says_so(input in mutated()) {
        prop_assert_eq!(scan([&input[..]]).is_ok(), serde_json::from_slice::<&RawValue>(&input).is_ok());
    }

    #[test]
    fn arbitrary_bytes_are_valid_exactly_where_serde_json_says_so(input in prop::collection::vec(any::<u8>(), 0..24)) {
        prop_assert_eq!(scan([&input[..]]).is_ok(), serde_json::from_slice::<&RawValue>(&input).is_ok());
    }

    #[test]
    fn every_split_finds_the_same(input in mutated(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let whole = scan([&input[..]]);
        prop_assert_eq!(&scan(cuts.windows(2).map(|cut| &input[cut[0]..cut[1]])), &whole);
        prop_assert_eq!(&scan(input.chunks(1)), &whole);
    }

    #[test]
    fn strings_decode_as_serde_json_decodes_them(text in any::<String>(), escaped in any::<bool>()) {
        let json = if escaped {
            let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            format!("\"{units}\"")
        } else {
            serde_json::Value::String(text.clone()).to_string()
        };
        prop_assert_eq!(scan([json.as_bytes()]), Ok(vec![format!("string {text}")]));
    }
}

#[test]
fn what_the_grammar_does_not_allow_is_refused() {
    for input in [
        "{,}",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{1:2}",
        "[1 2]",
        "01",
        "-",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "nul1",
        "True",
        "'a'",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "1 2",
        "[]]",
        "{}}",
        "[}",
        "{]",
        "// c\n1",
        "\u{feff}1",
    ] {
        assert!(
            matches!(fault(input.as_bytes()), Some(Fault::Syntax | Fault::Incomplete)),
            "{input}"
        );
    }
    for input in ["", "  ", "[", "{\"a\":", "\"abc", "\"\\u00", "tru", "-", "1e"] {
        assert_eq!(fault(input.as_bytes()), Some(Fault::Incomplete), "{input}");
    }
}

#[test]
fn invalid_utf8_in_a_string_is_refused() {
    // Stray tail, bad lead, cut short, overlong, surrogate, beyond U+10FFFF.
    for bytes in [
        &b"\x80"[..],
        b"\xff",
        b"\xc3",
        b"\xc0\xaf",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf0\x80\x80\x80",
    ] {
        let input = [b"\"", bytes, b"\""].concat();
        assert_eq!(fault(&input), Some(Fault::Utf8), "{bytes:x?}");
    }
}

#[test]
fn the_error_names_the_byte_that_showed_it() {
    assert_eq!(
        scan([&b"[1,"[..], b" x]"]),
        Err(JsonError {
            fault: Fault::Syntax,
            offset: 4
        })
    );
    assert_eq!(
        scan([&b"[1"[..], b"23"]),
        Err(JsonError {
            fault: Fault::Incomplete,
            offset: 4
        })
    );
}

#[test]
fn surrogates_pair_up_and_halves_are_reported() {
    assert_eq!(scan([&br#""\ud834\udd1e""#[..]]), Ok(vec!["string 𝄞".to_owned()]));
    for (input, text) in [
        (r#""\ud834""#, "<lone>"),
        (r#""\udd1e\ud834""#, "<lone><lone>"),
        (r#""\ud834x\udd1e""#, "<lone>x<lone>"),
        (r#""\ud834\ud834\udd1e""#, "<lone>𝄞"),
        (r#""\ud834\n""#, "<lone>\n"),
        (r#""\ud834\u0041""#, "<lone>A"),
    ] {
        assert_eq!(scan([input.as_bytes()]), Ok(vec![format!("string {text}")]), "{input}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    assert_eq!(fault(&nested(usize::from(MAX_DEPTH))), None);
    assert_eq!(fault(&nested(usize::from(MAX_DEPTH) + 1)), Some(Fault::Depth));
}
