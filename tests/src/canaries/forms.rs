//! The forms in which a secret can be on the wire, and all that would have to be looked for if it came out.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};

use super::secret::Secret;

/// How a secret is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// A JSON string.
    Plain,
    /// Every character as `\u0040`.
    Escaped,
    /// Some characters so.
    HalfEscaped,
    /// In a JSON text in a string.
    Nested,
    /// In a JSON text in a string of a JSON text in a string.
    NestedTwice,
    /// Escaped in a JSON text in a string.
    NestedEscaped,
    /// On a line of JSON lines in a string.
    Lines,
    /// Base64, begun after so many other bytes.
    Base64(usize),
    /// The same for URLs, without padding.
    Base64Url(usize),
    /// Base64 in a data URL.
    DataUrl,
    /// Hexadecimal digits, small or capital.
    Hex(bool),
    /// All but letters and digits percent-encoded.
    Percent,
    /// Everything percent-encoded.
    PercentAll,
    /// Full-width characters.
    FullWidth,
    /// Zero-width spaces between all characters.
    ZeroWidth,
    /// The name of a member.
    Key,
    /// The source text of a number.
    Number,
    /// A number with point and exponent.
    Exponent,
    /// One of a list.
    List,
}

const PHASES: [usize; 3] = [0, 1, 2];

impl Form {
    /// Forms of a text.
    pub(super) const OF_TEXTS: [Self; 22] = [
        Self::Plain,
        Self::Escaped,
        Self::HalfEscaped,
        Self::Nested,
        Self::NestedTwice,
        Self::NestedEscaped,
        Self::Lines,
        Self::Base64(0),
        Self::Base64(1),
        Self::Base64(2),
        Self::Base64Url(0),
        Self::Base64Url(1),
        Self::Base64Url(2),
        Self::DataUrl,
        Self::Hex(false),
        Self::Hex(true),
        Self::Percent,
        Self::PercentAll,
        Self::FullWidth,
        Self::ZeroWidth,
        Self::Key,
        Self::List,
    ];

    /// Forms of a number that needs no words beside it.
    pub(super) const OF_NUMBERS: [Self; 24] = {
        let mut all = [Self::Number; 24];
        let mut at = 0;
        while at < Self::OF_TEXTS.len() {
            all[at] = Self::OF_TEXTS[at];
            at += 1;
        }
        all[at] = Self::Exponent;
        all
    };

    /// Forms of a member whose name gives it away.
    pub(super) const OF_MEMBERS: [Self; 7] = [
        Self::Plain,
        Self::Escaped,
        Self::HalfEscaped,
        Self::Nested,
        Self::NestedTwice,
        Self::NestedEscaped,
        Self::List,
    ];

    /// Forms that are one string, for places that take nothing else.
    pub(super) const OF_STRINGS: [Self; 11] = [
        Self::Plain,
        Self::Escaped,
        Self::HalfEscaped,
        Self::Base64(0),
        Self::Base64(2),
        Self::Base64Url(1),
        Self::Hex(false),
        Self::Percent,
        Self::PercentAll,
        Self::FullWidth,
        Self::ZeroWidth,
    ];

    /// Forms that a header field can have.
    pub(super) const OF_HEADERS: [Self; 6] = [
        Self::Plain,
        Self::Base64(0),
        Self::Base64Url(0),
        Self::Hex(true),
        Self::Percent,
        Self::PercentAll,
    ];

    /// The source text of a JSON value that holds the secret.
    pub(super) fn write(self, secret: &Secret) -> String {
        match secret {
            Secret::Text { text, .. } => self.write_text(text, secret.digits()),
            Secret::Member { key, value } => self.write_member(key, value, secret.digits().is_some()),
        }
    }

    fn write_text(self, text: &str, digits: Option<&str>) -> String {
        match (self, digits) {
            (Self::Nested | Self::Lines | Self::NestedTwice, _) => self.nest(&quoted(text)),
            (Self::NestedEscaped, _) => self.nest(&spelled(text)),
            (Self::Key, _) => format!("{{{}:true}}", quoted(text)),
            (Self::List, _) => format!("[0,[{}]]", quoted(text)),
            (Self::Number, Some(digits)) => digits.to_owned(),
            (Self::Exponent, Some(digits)) => exponent(digits),
            (Self::Escaped, _) => spelled(text),
            (Self::HalfEscaped, _) => half_spelled(text),
            _ => quoted(&self.text(text)),
        }
    }

    fn write_member(self, key: &str, value: &str, is_number: bool) -> String {
        let plain = if is_number { value.to_owned() } else { quoted(value) };
        let member = |key: String, value: String| format!("{{{key}:{value}}}");
        match self {
            Self::Escaped => member(spelled(key), spelled(value)),
            Self::HalfEscaped => member(half_spelled(key), half_spelled(value)),
            Self::Nested | Self::NestedTwice => self.nest(&member(quoted(key), plain)),
            Self::NestedEscaped => self.nest(&member(spelled(key), spelled(value))),
            Self::List => member(quoted(key), format!("[{plain},\"\"]")),
            _ => member(quoted(key), plain),
        }
    }

    /// A JSON string that holds a JSON text with that value.
    fn nest(self, value: &str) -> String {
        match self {
            Self::Lines => quoted(&format!("{{\"line\":1}}\n{{\"line\":2,\"note\":{value}}}\n")),
            Self::NestedTwice => quoted(&format!(
                "{{\"rows\":[{}]}}",
                quoted(&format!("{{\"note\":{value},\"n\":1}}"))
            )),
            _ => quoted(&format!("{{\"n\":1.50,\"note\":{value}}}")),
        }
    }

    /// The text as a program has it once it has read JSON: for places where no JSON is.
    pub(super) fn text(self, text: &str) -> String {
        let padded = |phase: usize| format!("{}{text}", &"  "[..phase]);
        match self {
            Self::Base64(phase) => BASE64_STANDARD.encode(padded(phase)),
            Self::Base64Url(phase) => BASE64_URL_SAFE_NO_PAD.encode(padded(phase)),
            Self::DataUrl => format!("data:text/plain;base64,{}", BASE64_STANDARD.encode(text)),
            Self::Hex(is_capital) => hex(text.as_bytes(), is_capital),
            Self::Percent => percent(text, |byte| !byte.is_ascii_alphanumeric()),
            Self::PercentAll => percent(text, |_| true),
            Self::FullWidth => full_width(text),
            Self::ZeroWidth => zero_width(text),
            _ => text.to_owned(),
        }
    }
}

/// Whatever would have to be looked for, if the secret came out in any form: all that is written here, as bytes.
pub(super) fn needles(secret: &Secret) -> Vec<Vec<u8>> {
    let window = secret.window();
    let short: String = window.chars().skip(window.chars().count().saturating_sub(8)).collect();
    let mut texts = vec![window.to_owned()];
    // A value in quotes is escaped anew by each string that it is in.
    for spelled in [
        inner(&quoted(window)),
        full_width(&short),
        zero_width(&short),
        inner(&spelled(&short)),
        inner(&half_spelled(&short)),
    ] {
        let mut text = spelled;
        for _ in 0..4 {
            let again = inner(&quoted(&text));
            texts.push(std::mem::replace(&mut text, again));
        }
    }
    texts.extend([
        percent(window, |byte| !byte.is_ascii_alphanumeric()),
        percent(&short, |_| true),
        percent(&short, |_| true).to_ascii_lowercase(),
        hex(short.as_bytes(), false),
        hex(short.as_bytes(), true),
    ]);
    for phase in PHASES {
        texts.extend(base64_within(window.as_bytes(), phase));
    }
    if let Some(digits) = secret.digits() {
        texts.extend([digits.to_owned(), exponent(digits)]);
    }
    texts.sort();
    texts.dedup();
    texts.into_iter().map(String::into_bytes).collect()
}

/// The characters of base64 that bytes alone decide, where `phase` other bytes stand before them, in both alphabets.
fn base64_within(bytes: &[u8], phase: usize) -> [String; 2] {
    let mut padded = vec![b' '; phase];
    padded.extend_from_slice(bytes);
    let whole = padded.len() / 3 * 3;
    let from = [0, 2, 3][phase];
    let encoded = BASE64_STANDARD.encode(&padded[..whole]);
    let within = encoded[from..].to_owned();
    let for_urls = within.replace('+', "-").replace('/', "_");
    [within, for_urls]
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}

/// What stands between a JSON string's quotes.
fn inner(json: &str) -> String {
    json[1..json.len() - 1].to_owned()
}

fn spelled(text: &str) -> String {
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{units}\"")
}

/// Spells out what is no letter or digit, and every other of those.
fn half_spelled(text: &str) -> String {
    let write = |c: char| match c {
        '/' => "\\/".to_owned(),
        c if c.is_ascii_alphanumeric() && (c as u32).is_multiple_of(2) => c.to_string(),
        c => inner(&spelled(c.encode_utf8(&mut [0; 4]))),
    };
    format!("\"{}\"", text.chars().map(write).collect::<String>())
}

fn hex(bytes: &[u8], is_capital: bool) -> String {
    let write = |byte: &u8| match is_capital {
        true => format!("{byte:02X}"),
        false => format!("{byte:02x}"),
    };
    bytes.iter().map(write).collect()
}

fn percent(text: &str, goes: fn(&u8) -> bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match goes(&byte) || !byte.is_ascii() {
            true => out.push_str(&format!("%{byte:02X}")),
            false => out.push(char::from(byte)),
        }
    }
    out
}

fn full_width(text: &str) -> String {
    let wide = |c: char| match c {
        ' ' => '\u{3000}',
        '!'..='~' => char::from_u32(c as u32 - 0x21 + 0xFF01).expect("the block has a form for each of them"),
        c => c,
    };
    text.chars().map(wide).collect()
}

fn zero_width(text: &str) -> String {
    let mut out = String::new();
    for (place, c) in text.chars().enumerate() {
        if place > 0 {
            out.push('\u{200b}');
        }
        out.push(c);
    }
    out
}

/// 4111… as 4.111…e15.
fn exponent(digits: &str) -> String {
    let (first, rest) = digits.split_at(1);
    format!("{first}.{rest}e{}", rest.len())
}
