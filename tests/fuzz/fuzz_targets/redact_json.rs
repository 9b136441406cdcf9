//! Valid JSON, made of the fuzzer's bytes, with secrets in it in any spelling: what comes out has the same tokens in the same
//! order; those without a finding keep their bytes; a second time changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tapedeck_redact::{Config, Context, DropReason, Outcome, Redactor, TokenKey};

/// With a key, so that personal data becomes tokens, and without.
static REDACTORS: LazyLock<[Redactor; 2]> = LazyLock::new(|| {
    let key = TokenKey::new("k1", &[7; 32], Vec::new()).expect("it is long enough");
    [vec![key], Vec::new()].map(|keys| {
        let config = Config {
            keys,
            ..Config::default()
        };
        Redactor::new(config).expect("the built-in packs are sound")
    })
});

/// Pieces of what rules look for, whole secrets, and what means something to JSON.
const PIECES: [&str; 32] = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "bob@example.com",
    "@",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghp_",
    "password=",
    "hunter22",
    "Authorization: Bearer ",
    "mF_9.B5f-4.1JqM",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----END RSA PRIVATE KEY-----",
    "219-09-9999",
    "DE89370400440532013000",
    "+49 30 901820",
    "https://u:p@h/",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x",
    "cGFzc3dvcmQ9aHVudGVyMmh1bnRlcjI=",
    "70617373776f72643d68756e74657232",
    "password%3Dhunter22",
    "‹redacted:card›",
    "‹",
    "{\"a\":",
    "[\"",
    "\"}",
    "\\",
    "\n",
    "４１１１",
    "\u{200b}",
    "日本",
    "token",
    " ",
];

const KEYS: [&str; 10] = [
    "password", "id", "method", "text", "ssn", "firstName", "progressToken", "a", "params", "Set-Cookie",
];

/// Bytes that decide.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> u8 {
        match self.0.split_first() {
            None => 0,
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
        }
    }

    fn value(&mut self, depth: u8, out: &mut String) {
        let choice = self.next();
        match choice % 8 {
            0 => out.push_str(["null", "true", "false"][usize::from(choice / 8 % 3)]),
            1 => self.number(out),
            2 | 3 if depth < 12 => self.several(choice, depth, ['[', ']'], out),
            4 | 5 if depth < 12 => self.several(choice, depth, ['{', '}'], out),
            6 if depth < 6 => {
                // JSON in a string.
                let mut inner = String::new();
                self.value(depth + 4, &mut inner);
                self.spell(&inner, choice / 8, out);
            }
            _ => self.string(out),
        }
    }

    fn several(&mut self, choice: u8, depth: u8, [open, close]: [char; 2], out: &mut String) {
        out.push(open);
        for member in 0..choice / 8 % 5 {
            if member > 0 {
                out.push_str([",", ", ", " ,\n"][usize::from(choice % 3)]);
            }
            if open == '{' {
                match self.next() {
                    key if key % 4 == 0 => self.string(out),
                    key => self.spell(KEYS[usize::from(key / 4) % KEYS.len()], key, out),
                }
                out.push_str([":", ": ", " :\t"][usize::from(choice % 3)]);
            }
            self.value(depth + 1, out);
        }
        out.push(close);
    }

    fn number(&mut self, out: &mut String) {
        let choice = self.next();
        if choice % 5 == 0 {
            out.push('-');
        }
        out.push_str(match choice % 4 {
            0 => "4111111111111111",
            1 => "4.111111111111111e15",
            2 => "0",
            _ => "1",
        });
        if choice % 4 == 3 {
            for _ in 0..choice / 4 % 24 {
                out.push(char::from(b'0' + self.next() % 10));
            }
        }
    }

    fn string(&mut self, out: &mut String) {
        let choice = self.next();
        let mut text = String::new();
        for _ in 0..choice % 6 {
            match self.next() {
                piece @ 0..=0x9F => text.push_str(PIECES[usize::from(piece) % PIECES.len()]),
                // Any character that there is, the fuzzer's choice.
                high => {
                    let code = u32::from(high - 0xA0) << 16 | u32::from(self.next()) << 8 | u32::from(self.next());
                    text.extend(char::from_u32(code));
                }
            }
        }
        self.spell(&text, choice / 6, out);
    }

    /// A JSON string of the text, each character in one of its spellings.
    fn spell(&mut self, text: &str, how: u8, out: &mut String) {
        out.push('"');
        for (place, c) in text.chars().enumerate() {
            let is_spelled = how % 4 == 1 || how % 4 == 2 && place % 3 == 0;
            match c {
                '"' | '\\' if !is_spelled => out.extend(['\\', c]),
                '/' if how % 4 == 3 => out.push_str("\\/"),
                '\n' if !is_spelled => out.push_str("\\n"),
                c if is_spelled || (c as u32) < 0x20 => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

/// Strings, numbers, words and signs, without the white space between them.
fn tokens(json: &str) -> Vec<&str> {
    let bytes = json.as_bytes();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let from = at;
        at += 1;
        match bytes[from] {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'"' => {
                while bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => {}
            _ => {
                while at < bytes.len() && !b" \t\n\r{}[],:\"".contains(&bytes[at]) {
                    at += 1;
                }
            }
        }
        tokens.push(&json[from..at]);
    }
    tokens
}

fuzz_target!(|data: &[u8]| {
    let mut source = String::new();
    Choices(data).value(0, &mut source);
    for redactor in REDACTORS.iter() {
        let once = redactor.redact(source.as_bytes(), &Context::default());
        let Some(body) = once.body() else {
            let reason = once.outcome();
            // It is neither too large nor too deep, and it is JSON.
            assert_eq!(reason, Outcome::Dropped(DropReason::OverBudget), "{source}");
            continue;
        };
        let after = std::str::from_utf8(body).expect("what comes out is text");
        assert_eq!(once.outcome() == Outcome::Unchanged, after == source);
        let (was, is) = (tokens(&source), tokens(after));
        assert_eq!(was.len(), is.len(), "{source}\nbecame\n{after}");
        for (was, is) in was.iter().zip(&is) {
            let is_masked = is.starts_with('"') && is.contains('‹') && !was.starts_with(['{', '}', '[', ']', ',', ':']);
            assert!(was == is || is_masked, "{was} became {is} in\n{after}");
        }
        serde_json::from_str::<serde_json::Value>(after).expect("JSON stays JSON");
        let twice = redactor.redact(body, &Context::default());
        assert_eq!(twice.outcome(), Outcome::Unchanged, "a second time:\n{source}\n{after}");
    }
});
